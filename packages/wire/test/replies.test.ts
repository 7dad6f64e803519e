import { describe, expect, test } from 'vitest';
import type { Message, Sender } from '../src/message.ts';
import { encodeMessage } from '../src/replies.ts';
import { readVectors, vectorPayload, vectorText } from './support/vectors.ts';
import type { VectorPayload, VectorText } from './support/vectors.ts';

interface MessageVectors {
  readonly messages: {
    name: string;
    message: VectorPayload & {
      channel: string;
      epoch: string;
      offset: number;
      time: number;
      contentType?: string;
      event?: string;
      from?: Sender;
    };
    text: VectorText;
  }[];
}

describe('encodeMessage', () => {
  test.each(readVectors<MessageVectors>('messages').messages)('$name', ({ message, text }) => {
    const { channel, epoch, payload, payloadBase64, ...rest } = message;
    const draft: Message = { ...rest, payload: vectorPayload(message) };
    const expected = vectorText(text);
    // Compared as a boolean: a difference in a megabyte helps nobody when printed.
    expect(encodeMessage(channel, epoch, draft, false) === expected).toBe(true);
    const push = encodeMessage(channel, epoch, draft, true);
    expect(push === `{"type":"message",${expected.slice(1)}`).toBe(true);
    expect(push).not.toMatch(/[\r\n]/);
    expect(JSON.parse(push)).toMatchObject({ type: 'message', channel, epoch });
  });

  test('does not show what a protocol keeps with a message', () => {
    const message: Message = { offset: 1, time: 2, payload: new TextEncoder().encode('1') };
    const attributed = { ...message, attributes: Uint8Array.of(1, 2) };
    expect(encodeMessage('a', 'e', attributed, true)).toBe(encodeMessage('a', 'e', message, true));
  });

  test('says last for which subscription apart it is [APART-1]', () => {
    const payload = new TextEncoder().encode('1');
    const message: Message = { offset: 1, time: 2, payload };
    expect(encodeMessage('a', 'e', message, true, '~m', 7)).toBe(
      '{"type":"message","channel":"a","offset":1,"epoch":"e","time":2,"data":1,"mark":"~m","as":7}',
    );
  });
});
