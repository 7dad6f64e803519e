import { describe, expect, it } from 'vitest';
import {
  decodeGroup,
  encodeGroup,
  expiryOf,
  SHARE_PREFIX,
  shareKey,
  withEnds,
} from '../../../../src/protocols/mqtt/share/group-record.ts';
import type { GroupRecord } from '../../../../src/protocols/mqtt/share/group-record.ts';

const place = (offset: number) => ({ channel: 'a/"ö"', epoch: 'e', offset });

const RECORD: GroupRecord = {
  share: '$share/g/a/#',
  isOpen: true,
  place: '~mark',
  members: [
    { key: 'one', qos: 1, expirySeconds: 60, expiresAt: 1_000 },
    { key: 'two', qos: 2, expirySeconds: 30 },
  ],
  owed: [{ place: place(1), holder: 'two' }, { place: place(2) }],
};

describe('GroupRecord', () => {
  it('reads what it wrote', () => {
    expect(decodeGroup(encodeGroup(RECORD))).toEqual(RECORD);
  });

  it('knows nothing of a holder that is not kept', () => {
    const owed = [{ place: place(1), holder: 'three' }];
    expect(decodeGroup(encodeGroup({ ...RECORD, owed }))?.owed).toEqual([{ place: place(1) }]);
  });

  it.each(['', '{', 'null', '{"format":2}', '{"format":1}'])('reads nothing of %j', (text) => {
    expect(decodeGroup(Buffer.from(text))).toBeUndefined();
  });

  it('has a key of one length, whatever the filter is', () => {
    expect(shareKey(`$share/g/${'a'.repeat(60_000)}`)).toHaveLength(SHARE_PREFIX.length + 43);
    expect(shareKey('$share/g/a')).not.toBe(shareKey('$share/h/a'));
  });

  it('expires with the last session, and with none that has a connection', () => {
    expect(expiryOf(RECORD)).toEqual({});
    const cutOff = withEnds(RECORD, 5_000);
    expect(cutOff.members.map(({ expiresAt }) => expiresAt)).toEqual([1_000, 35_000]);
    expect(expiryOf(cutOff)).toEqual({ expiresAt: 35_000 });
  });
});
