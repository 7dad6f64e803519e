import { describe, expect, it } from 'vitest';
import { decodeWill, encodeWill } from '../../../../src/protocols/mqtt/wills/will-record.ts';
import type { WillRecord } from '../../../../src/protocols/mqtt/wills/will-record.ts';

const WILL: WillRecord = {
  life: 'l1',
  session: 's1',
  channel: 'status/ü',
  identity: {
    kind: 'user',
    user: 'alice',
    grants: new Map([['status/#', new Set(['publish', 'history'] as const)]]),
  },
  request: {
    payload: Uint8Array.of(0, 255, 10),
    attributes: Uint8Array.of(1, 2),
    contentType: 'text/plain',
    ttl: 5_000,
    retain: true,
    from: { user: 'alice', session: 'w1' },
  },
  delayMs: 10_000,
};

describe('encodeWill and decodeWill', () => {
  it('keep everything that is needed to publish it', () => {
    expect(decodeWill(encodeWill(WILL))).toEqual(WILL);
    expect(decodeWill(encodeWill({ ...WILL, dueAt: 7 }))).toEqual({ ...WILL, dueAt: 7 });
  });

  it('keep what has nothing but a topic', () => {
    const bare: WillRecord = {
      ...WILL,
      identity: { kind: 'anonymous', grants: new Map() },
      request: { payload: new Uint8Array(0) },
    };
    expect(decodeWill(encodeWill(bare))).toEqual(bare);
  });

  it('leave out what says nothing of rights', () => {
    const { identity } = WILL;
    const more = { ...identity, info: { name: 'Alice' }, expiresAt: 1 };
    expect(decodeWill(encodeWill({ ...WILL, identity: more }))).toEqual(WILL);
  });

  it.each(['', '{}', '[]', 'null', '{"format":2}', '{"format":1}', '{"format":1,"request":{}}'])(
    'take %s for the record of another version',
    (text) => {
      expect(decodeWill(Buffer.from(text))).toBeUndefined();
    },
  );
});
