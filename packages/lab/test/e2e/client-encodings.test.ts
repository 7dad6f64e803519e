/** The client in both encodings: what it gives to the application is the same. */
import { connect, longPoll, sse, websocket } from '@trunkline/client';
import type { ConnectOptions, Message } from '@trunkline/client';
import { binary } from '@trunkline/client/binary';
import { exactJson } from '@trunkline/client/exact';
import { expect, test } from 'vitest';
import { startServer } from '../../src/server.ts';

const BIG = '{"n":12345678901234567890}';

async function firstMessages(
  url: string,
  options: ConnectOptions,
  count: number,
): Promise<Message[]> {
  const line = connect(url, options);
  const messages: Message[] = [];
  try {
    for await (const message of line.channel('room/7', { after: 'start' })) {
      messages.push(message);
      if (messages.length === count) break;
    }
  } finally {
    line.close();
  }
  return messages;
}

test.each([{ transport: websocket }, { transport: longPoll }, { transport: sse }])(
  '[BIN-1] [BIN-2] receives the same over $transport.name',
  async ({ transport }) => {
    await using server = await startServer();
    const channel = 'room/7';
    await server.publishAll([
      { channel, data: JSON.parse('[1,"ä"]'), event: 'moved' },
      { channel, data: '<b>', contentType: 'text/html' },
      { channel, bytes: 'AAH/' },
      { channel, bytes: Buffer.from(BIG).toString('base64'), contentType: 'application/json' },
    ]);
    const options = { transports: [transport] };
    const json = await firstMessages(server.url, { ...options, encoding: exactJson }, 4);
    const inBinary = await firstMessages(server.url, { ...options, encoding: binary }, 4);
    const plain = await firstMessages(server.url, options, 4);
    expect(inBinary).toEqual(json);
    expect(inBinary[3]?.source).toBe(BIG);
    expect(plain).toEqual(json.map(({ source: _, ...message }) => message));
  },
);
