import { constants, deflateRawSync } from 'node:zlib';
import { OPCODES, toFrame } from '@trunkline/server/internal/transports/websocket/frames.ts';
import type { Opcode } from '@trunkline/server/internal/transports/websocket/frames.ts';
import {
  ContextInflater,
  PlainInflater,
} from '@trunkline/server/internal/transports/websocket/inflate.ts';
import { Receiver } from '@trunkline/server/internal/transports/websocket/receiver.ts';
import type { ReceiverRules } from '@trunkline/server/internal/transports/websocket/receiver.ts';
import { describe, expect, test } from 'vitest';
import { fuzzWebSocketDeflate } from '../../fuzz/websocket-deflate.fuzz.ts';
import { bytewise, receive, RecordingSink, RULES } from './recorder.ts';

const MASK = 0x37fa213d;
const rules = (): ReceiverRules => ({ ...RULES, inflater: new PlainInflater() });

function frame(
  opcode: Opcode,
  payload: Uint8Array | string,
  options: { fin?: boolean; compressed?: boolean } = {},
): Uint8Array {
  return toFrame(opcode, Buffer.from(payload), { ...options, mask: MASK });
}

/** The payload of a compressed message. */
function compressed(text: string | Uint8Array): Buffer {
  return deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/** The first byte with more bits, in a frame that is otherwise right. */
function withBits(bits: number, opcode: Opcode): Buffer {
  const bytes = Buffer.from(frame(opcode, ''));
  bytes[0] = (bytes[0] ?? 0) | bits;
  return bytes;
}

const HELLO = compressed('Hello, Hello');

describe('RSV1 [COMP-3]', () => {
  test('is refused where no compression was agreed on', () => {
    expect(receive([frame(OPCODES.text, HELLO, { compressed: true })])).toEqual([{ error: 1002 }]);
  });

  test('says that a message is compressed, and its absence that it is not', () => {
    const frames = [
      frame(OPCODES.text, HELLO, { compressed: true }),
      frame(OPCODES.text, 'plain'),
      frame(OPCODES.binary, HELLO, { compressed: true }),
    ];
    const expected = [
      { text: 'Hello, Hello' },
      { text: 'plain' },
      { binary: Buffer.from('Hello, Hello').toString('hex') },
    ];
    expect(receive(frames, rules())).toEqual(expected);
    expect(receive(bytewise(Buffer.concat(frames)), rules())).toEqual(expected);
  });

  test.each([
    ['RSV2', 0x20, OPCODES.text],
    ['RSV3', 0x10, OPCODES.text],
    ['RSV1 and RSV2', 0x60, OPCODES.binary],
    ['RSV1 on a ping', 0x40, OPCODES.ping],
    ['RSV1 on a pong', 0x40, OPCODES.pong],
    ['RSV1 on a close', 0x40, OPCODES.close],
  ] as const)('%s is refused', (_, bits, opcode) => {
    expect(receive([withBits(bits, opcode)], rules())).toEqual([{ error: 1002 }]);
  });

  test('stands on the first fragment and no other', () => {
    const first = frame(OPCODES.text, HELLO.subarray(0, 3), { fin: false, compressed: true });
    const rest = frame(OPCODES.continuation, HELLO.subarray(3));
    expect(receive([first, rest], rules())).toEqual([{ text: 'Hello, Hello' }]);
    const marked = frame(OPCODES.continuation, HELLO.subarray(3), { compressed: true });
    expect(receive([first, marked], rules())).toEqual([{ error: 1002 }]);
  });
});

describe('a compressed message', () => {
  test('may come in fragments with control frames between them', () => {
    const text = 'κόσμε '.repeat(500);
    const data = compressed(text);
    const frames = [...data].flatMap((byte, index) => [
      frame(index === 0 ? OPCODES.text : OPCODES.continuation, Buffer.from([byte]), {
        fin: false,
        compressed: index === 0,
      }),
      frame(OPCODES.ping, 'x'),
    ]);
    frames.push(frame(OPCODES.continuation, ''));
    const received = receive([Buffer.concat(frames)], rules());
    expect(received.filter((one) => 'ping' in one)).toHaveLength(data.length);
    expect(received.at(-1)).toEqual({ text });
    expect(receive(bytewise(Buffer.concat(frames)), rules())).toEqual(received);
  });

  test('refers to the one before it, whatever was sent between them', () => {
    const first = frame(OPCODES.text, Buffer.from('f248cdc9c90700', 'hex'), { compressed: true });
    const second = frame(OPCODES.text, Buffer.from('f200110000', 'hex'), { compressed: true });
    const stream = [first, frame(OPCODES.text, 'plain'), frame(OPCODES.ping, ''), second];
    const context = { ...RULES, inflater: new ContextInflater(15) };
    expect(receive(stream, context).at(-1)).toEqual({ text: 'Hello' });
    expect(receive(stream, rules()).at(-1)).toEqual({ error: 1007 });
  });

  test('is checked for UTF-8 after it was inflated', () => {
    const data = compressed(Buffer.from('c328', 'hex'));
    expect(receive([frame(OPCODES.text, data, { compressed: true })], rules())).toEqual([
      { error: 1007 },
    ]);
    expect(receive([frame(OPCODES.binary, data, { compressed: true })], rules())).toEqual([
      { binary: 'c328' },
    ]);
    // The compressed bytes themselves need not be UTF-8, nor end with a whole character.
    const text = 'ÿ'.repeat(3);
    const first = frame(OPCODES.text, compressed(text).subarray(0, 1), {
      fin: false,
      compressed: true,
    });
    const rest = frame(OPCODES.continuation, compressed(text).subarray(1));
    expect(receive([first, rest], rules())).toEqual([{ text }]);
  });

  test('is bounded as it comes and as it is', () => {
    const small = { ...rules(), messageBytesMax: 1000 };
    const bomb = compressed(Buffer.alloc(100_000));
    expect(bomb.length).toBeLessThan(1000);
    expect(receive([frame(OPCODES.binary, bomb, { compressed: true })], small)).toEqual([
      { error: 1009 },
    ]);
    const long = frame(OPCODES.binary, Buffer.alloc(1001), { compressed: true });
    expect(receive([long.subarray(0, 8)], small)).toEqual([{ error: 1009 }]);
  });

  test('is passed over by who is deaf', () => {
    const sink = Object.assign(new RecordingSink(), { isDeaf: true });
    const inflater = {
      inflate() {
        throw new Error('expected nothing to be inflated');
      },
    };
    const bytes = Buffer.concat([
      frame(OPCODES.text, HELLO, { compressed: true }),
      frame(OPCODES.close, Buffer.from([3, 232])),
    ]);
    new Receiver({ ...RULES, inflater }).push(bytes, sink);
    expect(sink.received).toEqual([{ close: 1000, reason: '' }]);
  });

  test.each([1, 2, 3])('survives fuzzing, seed %i', (seed) => {
    fuzzWebSocketDeflate(seed, 150);
  });
});
