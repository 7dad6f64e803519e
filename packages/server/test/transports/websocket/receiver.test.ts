import { readFileSync } from 'node:fs';
import {
  applyMask,
  OPCODES,
  toFrame,
} from '@trunkline/server/internal/transports/websocket/frames.ts';
import {
  ProtocolError,
  Receiver,
} from '@trunkline/server/internal/transports/websocket/receiver.ts';
import type { ReceiverRules } from '@trunkline/server/internal/transports/websocket/receiver.ts';
import { describe, expect, test } from 'vitest';
import { fuzzWebSocketReceiver } from '../../fuzz/websocket.fuzz.ts';
import { bytewise, hex, receive, RecordingSink, RULES } from './recorder.ts';
import type { Received } from './recorder.ts';

type Parts = string | (string | { readonly repeat: string; readonly times: number })[];

interface Case {
  readonly name: string;
  readonly clause: string;
  readonly peer?: 'client' | 'server';
  readonly limits?: Partial<ReceiverRules>;
  readonly bytes: Parts;
  readonly events: readonly (Received | { readonly text: Parts })[];
  readonly error?: number;
}

const vectors = JSON.parse(
  readFileSync(
    new URL('../../../../../spec/vectors/websocket-frames.json', import.meta.url),
    'utf8',
  ),
) as { readonly streams: readonly Case[] };

function join(parts: Parts): string {
  if (typeof parts === 'string') return parts;
  return parts
    .map((part) => (typeof part === 'string' ? part : part.repeat.repeat(part.times)))
    .join('');
}

const MASK = 0x37fa213d;

function masked(opcode: (typeof OPCODES)[keyof typeof OPCODES], payload: Uint8Array): Uint8Array {
  return toFrame(opcode, payload, { mask: MASK });
}

describe('the frames of RFC 6455', () => {
  for (const { name, clause, peer, limits, bytes, events, error } of vectors.streams) {
    const stream = Buffer.from(join(bytes), 'hex');
    const rules: ReceiverRules = { ...RULES, peerMasks: peer !== 'server', ...limits };
    const expected = events.map((event) => ('text' in event ? { text: join(event.text) } : event));
    const outcome = error === undefined ? expected : [...expected, { error }];

    test(`${clause}: ${name}`, () => {
      expect(receive([stream], rules)).toEqual(outcome);
      expect(receive([stream], rules, false)).toEqual(outcome);
      expect(receive(bytewise(stream), rules)).toEqual(outcome);
      if (stream.length > 200) return;
      for (let cut = 1; cut < stream.length; cut += 1) {
        expect(receive([stream.subarray(0, cut), stream.subarray(cut)], rules)).toEqual(outcome);
      }
    });
  }
});

describe('Receiver', () => {
  // Messages of many sizes, whole and in fragments and chunks of many sizes.
  test.each([65_536, 262_144, 1_048_576])('reads messages of %i bytes', (size) => {
    const payload = Buffer.alloc(size, 'κόσμε ');
    const text = payload.toString('utf8').replace(/\uFFFD$/u, '');
    const message = Buffer.from(text.slice(0, text.length - 8));
    const rules = { ...RULES, fragmentsMax: 100_000 };
    const expected = [{ text: message.toString('utf8') }];
    for (const chunkSize of [1448, 65_536]) {
      expect(receive(chunksOf(masked(OPCODES.text, message), chunkSize), rules)).toEqual(expected);
    }
    for (const fragmentSize of [1024, 16_384]) {
      const fragments = [...chunksOf(message, fragmentSize)].map((fragment, index, all) =>
        toFrame(index === 0 ? OPCODES.text : OPCODES.continuation, fragment, {
          fin: index === all.length - 1,
          mask: MASK + index,
        }),
      );
      expect(receive(chunksOf(Buffer.concat(fragments), 4096), rules)).toEqual(expected);
    }
  });

  test('hands on bytes that lie in one chunk without copying them', () => {
    const chunk = Buffer.from(masked(OPCODES.binary, Buffer.from('payload')));
    const seen: Uint8Array[] = [];
    const sink = Object.assign(new RecordingSink(), {
      onMessage: (message: string | Uint8Array) => {
        if (typeof message !== 'string') seen.push(message);
        return true;
      },
    });
    new Receiver(RULES).push(chunk, sink);
    expect(seen[0]?.buffer).toBe(chunk.buffer);
    expect(Buffer.from(seen[0] ?? []).toString()).toBe('payload');
  });

  test('stops between two messages and leaves the rest untouched', () => {
    const first = masked(OPCODES.text, Buffer.from('first'));
    const second = masked(OPCODES.text, Buffer.from('second'));
    const chunk = Buffer.concat([first, second]);
    const receiver = new Receiver(RULES);
    const sink = new RecordingSink(false);
    const read = receiver.push(chunk, sink);
    expect(read).toBe(first.length);
    expect(hex(chunk.subarray(read))).toBe(hex(second));
    expect(receiver.isIdle).toBe(true);
    expect(receiver.push(chunk.subarray(read), sink)).toBe(second.length);
    expect(sink.received).toEqual([{ text: 'first' }, { text: 'second' }]);
  });

  test('is idle between messages only', () => {
    const receiver = new Receiver(RULES);
    const sink = new RecordingSink();
    const push = (bytes: Uint8Array): boolean => {
      receiver.push(Buffer.from(bytes), sink);
      return receiver.isIdle;
    };
    const frame = masked(OPCODES.text, Buffer.from('hello'));
    expect(receiver.isIdle).toBe(true);
    expect(push(frame.subarray(0, 1))).toBe(false);
    expect(push(frame.subarray(1, 8))).toBe(false);
    expect(push(frame.subarray(8))).toBe(true);
    expect(push(toFrame(OPCODES.text, Buffer.from('x'), { fin: false, mask: MASK }))).toBe(false);
    expect(push(masked(OPCODES.ping, Buffer.alloc(0)))).toBe(false);
    expect(push(masked(OPCODES.continuation, Buffer.alloc(0)))).toBe(true);
  });

  test('takes no memory for what was announced and did not come', () => {
    const rules = { ...RULES, frameBytesMax: 2 ** 30, messageBytesMax: 2 ** 30 };
    const head = Buffer.from('82ff000000003fffffff00000000', 'hex');
    const before = process.memoryUsage().arrayBuffers;
    const receivers = Array.from({ length: 100 }, () => {
      const receiver = new Receiver(rules);
      receiver.push(Buffer.concat([head, Buffer.alloc(100)]), new RecordingSink());
      return receiver;
    });
    expect(receivers).toHaveLength(100);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
  });

  test('throws an error that tells the close code and a fixed phrase', () => {
    const receiver = new Receiver(RULES);
    const push = (): number => receiver.push(Buffer.from('83', 'hex'), new RecordingSink());
    expect(push).toThrow(ProtocolError);
    expect(push()).toBe(1);
    try {
      new Receiver(RULES).push(Buffer.from('83', 'hex'), new RecordingSink());
    } catch (error) {
      expect(error).toMatchObject({
        name: 'ProtocolError',
        closeCode: 1002,
        message: 'reserved opcode',
      });
    }
  });

  test('takes no text where only bytes are spoken, from its first byte on [MQTT-6.0.0-1]', () => {
    const receiver = new Receiver({ ...RULES, binaryOnly: true });
    const sink = new RecordingSink();
    // Bytes in two fragments, with a ping between them.
    const frames = [
      toFrame(OPCODES.binary, Buffer.from('by'), { fin: false, mask: 1 }),
      toFrame(OPCODES.ping, Buffer.from('p'), { mask: 1 }),
      toFrame(OPCODES.continuation, Buffer.from('tes'), { mask: 1 }),
    ];
    receiver.push(Buffer.concat(frames), sink);
    expect(sink.received).toHaveLength(2);
    const text = toFrame(OPCODES.text, Buffer.from('t'), { mask: 1 });
    const push = (): number => receiver.push(Buffer.from(text.subarray(0, 1)), sink);
    expect(push).toThrow(expect.objectContaining({ closeCode: 1003 }));
    expect(sink.received).toHaveLength(2);
  });

  test('says the same however a stream is cut, and nothing but events or a typed error', () => {
    for (let seed = 1; seed <= 5; seed += 1) fuzzWebSocketReceiver(seed, 200);
  });
});

describe('applyMask', () => {
  test('masks as RFC 6455 §5.3 says for every size, place and phase', () => {
    const key = [0xde, 0xad, 0x80, 0x01];
    const mask = 0xdead8001;
    for (const size of [0, 1, 3, 4, 7, 191, 192, 193, 195, 300]) {
      for (let offset = 0; offset < 5; offset += 1) {
        for (let phase = 0; phase < 5; phase += 1) {
          const memory = new Uint8Array(offset + size + 4);
          const bytes = memory.subarray(offset);
          applyMask(bytes, { start: 1, end: 1 + size, mask, phase });
          const expected = Array.from({ length: size }, (_, index) => key[(index + phase) & 3]);
          expect([...bytes]).toEqual([0, ...expected, 0, 0, 0]);
        }
      }
    }
  });
});

function* chunksOf(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
