/** Payloads: what was published is what comes, byte for byte, over every transport. */
import { hash } from 'node:crypto';
import { oneLine } from '@trunkline/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PUBLISH_TRANSPORTS } from '../../src/payloads.ts';
import type { Payload } from '../../src/payloads.ts';
import type { Begin, Reader, ReadTransport } from '../../src/reader.ts';
import { READ_TRANSPORTS } from '../../src/readers/all.ts';
import { receivedOf } from '../../src/readers/websocket.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

let server: LabServer;
let count = 0;

beforeAll(async () => {
  server = await startServer({
    namespaces: { 'payload/#': { messageBytesMax: 2_097_152 } },
    link: { frameBytesMax: 4_194_304 },
  });
  for (const { name, publish } of PUBLISH_TRANSPORTS) {
    await publish(server, `payload/over ${name}`);
  }
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

/** Bytes as a failed comparison can show them. */
function shown(bytes: Buffer): string {
  if (bytes.length <= 300) return bytes.toString('latin1');
  return `${bytes.length} bytes, ${hash('sha256', bytes)}`;
}

function nextChannel(): string {
  count += 1;
  return `payload/${count}`;
}

describe.each(READ_TRANSPORTS)('over $name', (transport: ReadTransport) => {
  const open = (begin: Begin): Promise<Reader> => transport.open(server, begin);

  test.each(PUBLISH_TRANSPORTS)(
    '[MSG-1] [MSG-3] [BIN-6] [BIN-7] [GUA-10] hands on what was published over $name',
    async ({ name, payloads }) => {
      await using reader = await open({ channel: `payload/over ${name}`, after: 'start' });
      const messages = await reader.take(payloads.length);
      const seen = messages.map(({ payload }, index) => [
        payloads[index]?.name,
        shown(Buffer.from(payload)),
      ]);
      expect(seen).toEqual(payloads.map((payload) => [payload.name, shown(told(payload))]));
    },
  );

  /** A payload as this transport tells it. */
  function told({ bytes, contentType }: Payload): Buffer {
    if (contentType !== undefined || transport.keepsLineBreaks) return bytes;
    return Buffer.from(oneLine(bytes.toString('utf8')));
  }

  test('[MSG-4] hands on the event, with JSON, text and bytes', async () => {
    const channel = nextChannel();
    const event = 'über: event, "quoted"';
    await server.publishAll([
      { channel, event, data: 1 },
      { channel, event, data: 'text', contentType: 'text/html' },
      { channel, event, bytes: 'AAEC' },
    ]);
    await using reader = await open({ channel, last: 3 });
    expect(await reader.take(3)).toMatchObject([
      { event, payload: '1' },
      { event, payload: 'text' },
      { event, payload: Buffer.from([0, 1, 2]) },
    ]);
  });

  test('[CH-1] reads channels with any name that is allowed', async () => {
    for (const channel of [
      'a b/é😀',
      '/',
      '//x//',
      '~',
      'a=b&c',
      '%2F',
      'x'.repeat(255),
      '__proto__',
    ]) {
      await server.publish(channel, channel);
      await using reader = await open({ channel, after: 'start' });
      expect((await reader.take(1))[0]?.payload).toBe(JSON.stringify(channel));
    }
  });
});

describe('over WebSocket, HTTP', () => {
  test('[MSG-2] tells offset, epoch, time, content type, event and sender', async () => {
    const channel = nextChannel();
    const beforeMs = Date.now();
    using peer = await WebSocketPeer.open(server.port);
    const { session } = await peer.nextOf('welcome');
    await peer.call({ type: 'subscribe', id: 1, channel });
    const published = await peer.call({
      ...{ type: 'publish', id: 2, channel, data: '<b>', contentType: 'text/html', event: 'e' },
    });
    const { epoch } = published;
    const message = {
      channel,
      offset: 1,
      epoch,
      data: '<b>',
      contentType: 'text/html',
      event: 'e',
    };
    const page = await server.get(`/v1/history?channel=${channel}`);
    const [stored] = page.json<{ messages: Record<string, unknown>[] }>().messages;
    expect(stored).toEqual({ ...message, time: expect.any(Number), from: { session } });
    expect(stored?.['time']).toBeGreaterThanOrEqual(beforeMs);
    expect(stored?.['time']).toBeLessThanOrEqual(Date.now());
  });

  test('[MSG-2] [WS-1] pushes the same object that history has', async () => {
    const channel = nextChannel();
    using peer = await WebSocketPeer.open(server.port);
    await peer.call({ type: 'subscribe', id: 1, channel });
    await server.publishAll([{ channel, data: { a: 1 }, event: 'x' }]);
    const { type, source, ...pushed } = await peer.nextOf('message');
    const page = await server.get(`/v1/history?channel=${channel}`);
    expect(page.json<{ messages: unknown[] }>().messages).toEqual([pushed]);
    expect(type).toBe('message');
    expect(receivedOf({ ...pushed, source }).payload).toBe('{"a":1}');
  });
});
