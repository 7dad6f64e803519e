import { describe, expect, test } from 'vitest';
import { DEFAULT_HTTP_LIMITS } from '@trunkline/server/internal/http/limits.ts';
import { HANDSHAKE, requestText, settle, startListener, until } from './set-up.ts';

const { lingerMs } = DEFAULT_HTTP_LIMITS;
/** How much later than due an alarm may come. */
const LATE_MS = 500;

describe('too many connections', () => {
  test('in total are answered 503, and let in again when there is room', async () => {
    await using server = await startListener({}, { connectionsMax: 2 });
    const first = await server.connect();
    await server.connect();
    const third = await server.connect();
    await third.send(requestText('GET /'));
    await third.seesEnd();
    expect(third.text).toContain('HTTP/1.1 503 Service Unavailable');
    expect(third.text).toContain('retry-after: 5\r\n');
    expect(third.text).toContain('"code":"unavailable"');
    expect(server.listener.connectionCount).toBe(2);
    await server.connect();
    expect(server.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);

    first.socket.end();
    await until(() => server.listener.connectionCount === 1, 'room for one');
    const later = await server.connect();
    await later.send(requestText('GET /'));
    await later.sees('GET /');
  });

  test('of one address are answered 429, streams included', async () => {
    await using server = await startListener(
      { onUpgrade: (request) => void request.accept(101, {}) },
      { connectionsPerAddressMax: 1 },
    );
    const first = await server.connect();
    await first.send(HANDSHAKE);
    await first.sees('101');
    const second = await server.connect();
    await second.seesEnd();
    expect(second.text).toContain('HTTP/1.1 429 Too Many Requests');
    expect(second.text).toContain('"code":"rate_limited"');
    first.reset();
    await until(() => server.listener.connectionCount === 0, 'no connection');
    const third = await server.connect();
    await third.send(HANDSHAKE);
    await third.sees('101');
  });

  test('at once are told so only up to a limit', async () => {
    await using server = await startListener({}, { connectionsMax: 0, refusalsMax: 2 });
    const clients = await Promise.all([1, 2, 3, 4].map(() => server.connect()));
    await until(() => clients.every((client) => client.ended || client.closed), 'all are refused');
    expect(clients.filter((client) => client.text.includes('503'))).toHaveLength(2);
    expect(server.listener.connectionCount).toBe(0);
    server.clock.advance(lingerMs + LATE_MS);
    await settle();
    expect(server.wheel.armedCount).toBe(0);
  });
});

describe('peers that reset', () => {
  test.each([
    ['at once', ''],
    ['in the first head', 'GET / HT'],
    ['in a later head', `${requestText('GET /')}GET / HT`],
    ['in a body', `${requestText('POST /', 'Content-Length: 5')}x`],
    ['as a stream', HANDSHAKE],
    ['while they are refused', 'what?\r\n\r\n'],
  ])('%s leave nothing behind', async (_when, text) => {
    await using server = await startListener({
      onUpgrade: (request) => void request.accept(101, {}),
    });
    const client = await server.connect();
    if (text !== '') await client.send(text);
    client.reset();
    await until(() => server.listener.connectionCount === 0, 'no connection');
    await settle();
    expect(server.wheel.armedCount).toBe(0);
    expect(server.lines).toEqual([]);
  });
});
