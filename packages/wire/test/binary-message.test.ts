import { describe, expect, test } from 'vitest';
import { endOfStretch, readMessages, writeMessages } from '../src/binary-message.ts';
import type { MessageRun } from '../src/binary-message.ts';
import { ByteReader, ByteWriter } from '../src/bytes.ts';
import type { Message } from '../src/message.ts';

const time = 1_700_000_000_000;
const payload = new TextEncoder().encode('{"x":1}');

function message(offset: number, rest: Partial<Message> = {}): Message {
  return { offset, time, payload, ...rest };
}

function run(...messages: Message[]): MessageRun {
  return { channel: 'room/42', epoch: 'k3f9', messages };
}

function bodyOf(of: MessageRun, mark?: string): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(0));
  writeMessages(writer, of, { start: 0, end: of.messages.length, mark });
  return writer.written();
}

describe('endOfStretch', () => {
  test('is where offsets stop to follow one another', () => {
    const of = run(message(1), message(2), message(4));
    expect([0, 1, 2].map((start) => endOfStretch(of, start))).toEqual([2, 2, 3]);
  });

  test('is the end where there are no offsets', () => {
    expect(endOfStretch({ ...run(message(0), message(0)), epoch: '' }, 0)).toBe(2);
  });
});

describe('messages of one channel', () => {
  test('name it once, and their publisher too [BIN-5]', () => {
    const from = { user: 'alice', session: 'x7Jq2mPb91sLw0Zk' };
    const one = bodyOf(run(message(1, { from })));
    const two = bodyOf(run(message(1, { from }), message(2, { from: { ...from } })));
    // Flags, time, and the size of the payload.
    expect(two.length - one.length).toBe(payload.length + 3);
  });

  test('do not show what a protocol keeps with them', () => {
    const attributed = message(2, { attributes: Uint8Array.of(1, 2) });
    expect(bodyOf(run(message(1), attributed))).toEqual(bodyOf(run(message(1), message(2))));
  });

  test.each<[string, Partial<Message>]>([
    ['a content type', { contentType: 'image/png' }],
    ['an event', { event: 'moved' }],
    ['a sender', { from: { session: 's1' } }],
    ['a user', { from: { session: 's1', user: 'alice' } }],
    ['nothing', {}],
  ])('keep %s apart from that of the one before [BIN-6]', (_, rest) => {
    const others: Partial<Message>[] = [
      {},
      { event: 'other' },
      { contentType: 'text/plain', from: { session: 's1' } },
      { from: { session: 's2', user: 'alice' } },
      rest,
    ];
    const messages = others.flatMap((other, index) => [
      message(index * 2 + 1, other),
      message(index * 2 + 2, rest),
    ]);
    const of = run(...messages);
    expect(readMessages(new ByteReader(bodyOf(of)))).toEqual(
      messages.map((each) => ({ channel: 'room/42', epoch: 'k3f9', ...each })),
    );
  });

  test('have views of the bytes as payloads', () => {
    const body = bodyOf(run(message(1)));
    expect(readMessages(new ByteReader(body))[0]?.payload.buffer).toBe(body.buffer);
  });

  test('have neither offset nor epoch in a volatile channel', () => {
    const body = bodyOf({ ...run(message(0)), epoch: '' });
    expect(readMessages(new ByteReader(body))).toEqual([{ channel: 'room/42', time, payload }]);
  });
});
