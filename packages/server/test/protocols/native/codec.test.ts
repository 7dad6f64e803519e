import {
  binaryCodec,
  CODECS,
  jsonCodec,
} from '@trunkline/server/internal/protocols/native/codec.ts';
import type { Snapshot } from '@trunkline/server/internal/hub/snapshots.ts';
import { decodeServerFrames, decodeServerRecords, encodeBinaryCommand } from '@trunkline/wire';
import type { ServerFrame } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';

const payload = new TextEncoder().encode('{"n":\r\n12345678901234567890}');
const messages = [
  { offset: 4, time: 7, payload },
  { offset: 5, time: 8, payload: new Uint8Array([0, 255]), contentType: 'image/png' },
];
const ONE = new TextEncoder().encode('1');
const ofOne = { channel: 'a', epoch: 'e', messages: messages.slice(0, 1) };
const PONG: ServerFrame = { type: 'pong' };

/** What a frame says, as JSON has it. */
function said(frame: string | Uint8Array): unknown {
  if (typeof frame === 'string') return decodeServerFrames(frame);
  return decodeServerRecords(frame).map((record) =>
    record.kind === 'json' ? JSON.parse(record.json) : record,
  );
}

describe('codecs', () => {
  test('are found by their subprotocol', () => {
    expect([...CODECS.keys()]).toEqual(['trunkline.v1.json', 'trunkline.v1.bin']);
    for (const [name, codec] of CODECS) {
      expect(codec.encoding.name).toBe(name);
      expect(codec.encoding.encode([ofOne]).text).toBe(typeof codec.frame(PONG) === 'string');
    }
  });

  test.each([...CODECS])('say the same frames: %s', (_, codec) => {
    expect(said(codec.frame(PONG))).toEqual([PONG]);
  });

  test('read commands of their own frames alone [WS-1] [BIN-1]', () => {
    const text = '{"type":"ping"}';
    const bytes = encodeBinaryCommand({ type: 'ping' });
    const ping = [{ ok: true, command: { type: 'ping' } }];
    const refusal = [{ ok: false, error: { code: 'bad_request' } }];
    expect(jsonCodec.decode(text)).toEqual(ping);
    expect(binaryCodec.decode(bytes)).toEqual(ping);
    expect(jsonCodec.decode(bytes)).toMatchObject(refusal);
    expect(binaryCodec.decode(text)).toMatchObject(refusal);
  });
});

describe('what is written for a subscription that stands apart', () => {
  const run = { channel: 'a', epoch: 'e', messages: [{ offset: 4, time: 7, payload: ONE }] };
  const late = { channel: 'b', epoch: 'e', messages: [], expired: { from: 1, to: 2 } };
  const snapshot: Snapshot = { position: { epoch: 'e', offset: 4 }, time: 5, payload: ONE };
  const join = { kind: 'join', member: { session: 's1', since: 6 } } as const;
  const page = { kind: 'snapshot', page: { members: [], count: 0 } } as const;

  test.each([...CODECS])('has its number everywhere [APART-2]: %s', (_, codec) => {
    const { encoding, presence, snapshot: write } = codec.apart(7);
    expect(saidFlat(encoding.encode([run, late], '~m').payload)).toMatchObject([
      { channel: 'a', offset: 4, as: 7 },
      { type: 'expired', channel: 'b', from: 1, to: 2, mark: '~m', as: 7 },
    ]);
    expect(saidFlat(encoding.encode([run], '~m').payload)).toMatchObject([{ mark: '~m', as: 7 }]);
    expect(saidFlat(presence.encode('a', [join, page]))).toMatchObject([
      { type: 'join', as: 7 },
      { type: 'presence', as: 7 },
    ]);
    expect(saidFlat(write('a', snapshot).payload)).toMatchObject([{ type: 'snapshot', as: 7 }]);
  });

  test.each([...CODECS])('is one object for each number, a key to share by: %s', (_, codec) => {
    expect(codec.apart(7)).toBe(codec.apart(7));
    expect(codec.apart(7).encoding).not.toBe(codec.apart(8).encoding);
    expect(codec.apart(7).snapshot('a', snapshot)).toBe(codec.apart(7).snapshot('a', snapshot));
    const { encoding } = codec;
    expect([encoding.as, codec.apart(999).encoding.as]).toEqual([undefined, 999]);
    const apart = codec.apart(1).encoding;
    expect(apart.name).toBe(encoding.name);
    expect(apart.encode([run]).text).toBe(encoding.encode([run]).text);
  });

  test.each([...CODECS])(
    'keeps few forms of a snapshot, and that of most for good: %s',
    (_, codec) => {
      const held = (as: number) => codec.apart(as).snapshot('a', snapshot);
      const own = codec.snapshot('a', snapshot);
      const first = held(1);
      for (let as = 2; as <= 999; as += 1) expect(held(as)).toBe(held(as));
      expect(codec.snapshot('a', snapshot)).toBe(own);
      expect(held(1)).not.toBe(first);
      expect(held(1).payload).toEqual(first.payload);
    },
  );

  /** Messages one by one, whatever record they came in. */
  function saidFlat(bytes: Uint8Array): unknown[] {
    if (bytes[0] === 0x7b) return decodeServerFrames(Buffer.from(bytes).toString());
    return decodeServerRecords(bytes).flatMap((record) =>
      record.kind === 'json' ? [JSON.parse(record.json)] : record.messages,
    );
  }
});

describe('the binary codec', () => {
  const run = { channel: 'a', epoch: 'e', messages };

  test('hands on payloads as they are [BIN-6]', () => {
    const frame = binaryCodec.encoding.encode([run], '~m').payload;
    expect(said(frame)).toMatchObject([
      {
        messages: [
          { channel: 'a', epoch: 'e', offset: 4, time: 7, payload },
          { offset: 5, time: 8, payload: new Uint8Array([0, 255]), mark: '~m' },
        ],
      },
    ]);
  });

  test('answers history with the members that JSON has, and the messages [BIN-8]', () => {
    const at = (offset: number) => ({ epoch: 'e', offset });
    const page = {
      ...{ messages, epoch: 'e', position: at(5), oldest: at(0), newest: at(5), more: true },
      gap: { reason: 'trimmed', from: 1, to: 3 } as const,
    };
    const [record] = decodeServerRecords(binaryCodec.history(9, 'a', page) as Uint8Array);
    if (record?.kind !== 'page') throw new Error('expected a page');
    expect(record.messages).toMatchObject([{ offset: 4, payload }, { offset: 5 }]);
    const json = JSON.parse(jsonCodec.history(9, 'a', page) as string) as object;
    expect({ ...JSON.parse(record.json), messages: expect.anything() }).toEqual(json);
  });

  test('answers an empty page', () => {
    const at = { epoch: '0', offset: 0 };
    const page = { messages: [], epoch: '0', position: at, oldest: at, newest: at, more: false };
    const [record] = decodeServerRecords(binaryCodec.history(9, 'a', page) as Uint8Array);
    expect(record).toMatchObject({ kind: 'page', messages: [] });
  });
});
