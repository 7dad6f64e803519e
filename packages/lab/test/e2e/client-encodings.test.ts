/** The client in both encodings: what it gives to the application is the same. */
import { subscribe } from '@trunkline/client/single';
import type { ReceivedMessage, SubscribeOptions } from '@trunkline/client/single';
import { expect, test } from 'vitest';
import { startServer } from '../../src/server.ts';

const BIG = '{"n":12345678901234567890}';

async function firstMessages(options: SubscribeOptions, count: number): Promise<ReceivedMessage[]> {
  const messages: ReceivedMessage[] = [];
  for await (const event of subscribe(options)) {
    if (event.kind === 'message') messages.push(event);
    if (messages.length === count) break;
  }
  return messages;
}

test.each(['ws', 'poll'] as const)(
  '[BIN-1] [BIN-2] receives the same over %s',
  async (transport) => {
    await using server = await startServer();
    const channel = 'room/7';
    await server.publishAll([
      { channel, data: JSON.parse('[1,"ä"]'), event: 'moved' },
      { channel, data: '<b>', contentType: 'text/html' },
      { channel, bytes: 'AAH/' },
      { channel, bytes: Buffer.from(BIG).toString('base64'), contentType: 'application/json' },
    ]);
    const options = { url: server.url, channel, transport, after: 'start' };
    const json = await firstMessages({ ...options, encoding: 'json' }, 4);
    const binary = await firstMessages({ ...options, encoding: 'binary' }, 4);
    expect(binary).toEqual(json);
    expect(binary[3]?.source).toBe(BIG);
  },
);
