import { describe, expect, it } from 'vitest';
import { decodeRecord, encodeRecord } from '../../../../src/protocols/mqtt/session/record.ts';
import type { SessionRecord } from '../../../../src/protocols/mqtt/session/record.ts';
import { Window } from '../../../../src/protocols/mqtt/delivery/window.ts';

const RECORD: SessionRecord = {
  clientId: 'ä"\n',
  user: 'alice',
  session: 's1',
  expirySeconds: 4_294_967_295,
  isConnected: true,
  subscriptions: [
    { filter: 'a/#', qos: 2, noLocal: false, retainAsPublished: true, id: 7, place: '~m.1' },
    { filter: 'b', qos: 0, noLocal: true, retainAsPublished: false },
  ],
  retained: [{ filter: 'a/#', after: 'a/3' }],
  sent: [
    { packetId: 65_535, awaited: 'puback', place: { channel: 'a/ü', epoch: 'k3f9', offset: 1 } },
    { packetId: 1, awaited: 'pubrec', place: { channel: 'a/2', epoch: 'k3f9', offset: 9 } },
    {
      packetId: 7,
      awaited: 'pubcomp',
      place: { channel: 'a/3', epoch: 'k3f9', offset: 2 ** 53 - 1, isRetained: true },
    },
  ],
  received: [
    [1, 'word'],
    [65_535, 'other'],
  ],
};

const write = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const stored = () =>
  JSON.parse(new TextDecoder().decode(encodeRecord(RECORD))) as Record<string, unknown>;

describe('a record', () => {
  it('comes back as it was', () => {
    expect(decodeRecord(encodeRecord(RECORD))).toEqual(RECORD);
  });

  it('has no user where nobody knows who it is', () => {
    const { user: _, ...anonymous } = RECORD;
    const read = decodeRecord(encodeRecord(anonymous));
    expect(read).toEqual(anonymous);
    expect(read).not.toHaveProperty('user');
  });

  it('is none where another version of the server wrote it, or nobody', () => {
    expect(decodeRecord(write({ ...stored(), format: 2 }))).toBeUndefined();
    expect(decodeRecord(write({ ...stored(), sent: 7 }))).toBeUndefined();
    expect(decodeRecord(write(null))).toBeUndefined();
    expect(decodeRecord(Uint8Array.of(0x7b))).toBeUndefined();
    expect(decodeRecord(Uint8Array.of())).toBeUndefined();
  });

  it('leaves out of what was sent what no window can hold', () => {
    const sent = [
      [0, 'puback', 'a', 'e:1'],
      [65_536, 'puback', 'a', 'e:1'],
      [1.5, 'puback', 'a', 'e:1'],
      ['2', 'puback', 'a', 'e:1'],
      [3, 'puback', 'a', 'nowhere'],
      [4, 'puback', 'a', 'e:1'],
    ];
    const record = decodeRecord(write({ ...stored(), sent }));
    expect(record?.sent).toEqual([
      { packetId: 4, awaited: 'puback', place: { channel: 'a', epoch: 'e', offset: 1 } },
    ]);
    const window = new Window(4);
    window.restore(record?.sent ?? []);
    expect(window.count).toBe(1);
  });

  it('of a whole window is well within what a store takes', () => {
    const channel = 'x'.repeat(255);
    const sent = Array.from({ length: 256 }, (_, index) => ({
      ...{ packetId: index + 1, awaited: 'pubrec' as const },
      place: { channel, epoch: 'e'.repeat(32), offset: 2 ** 53 - 1 },
    }));
    expect(encodeRecord({ ...RECORD, sent }).length).toBeLessThan(100_000);
  });
});
