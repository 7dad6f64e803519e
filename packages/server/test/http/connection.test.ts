import { describe, expect, test } from 'vitest';
import { DEFAULT_HTTP_LIMITS } from '@trunkline/server/internal/http/limits.ts';
import type { HttpRequest } from '@trunkline/server/internal/http/request.ts';
import { answerTo, HANDSHAKE, requestText, settle, startListener, until } from './set-up.ts';

const { headMs, idleMs, bodyMs, answerMs, lingerMs } = DEFAULT_HTTP_LIMITS;
/** How much later than due an alarm may come. */
const LATE_MS = 500;

describe('a slow head', () => {
  test.each([
    ['of a stream', HANDSHAKE.slice(0, -1)],
    ['of a request', 'POST / HTTP/1.1\r\nHost: a\r\n'],
    ['of one byte', 'G'],
  ])('%s is answered 408, however often a byte comes', async (_what, head) => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(head.slice(0, -1));
    server.clock.advance(headMs - LATE_MS);
    await client.send(head.slice(-1));
    expect(client.text).toBe('');
    server.clock.advance(2 * LATE_MS);
    await client.seesEnd();
    expect(client.text).toContain('HTTP/1.1 408 Request Timeout');
    expect(client.text).toContain('"code":"timeout"');
  });

  test('without a byte ends the connection without an answer', async () => {
    await using server = await startListener();
    const client = await server.connect();
    server.clock.advance(headMs + LATE_MS);
    await client.seesEnd();
    expect(client.text).toBe('');
  });

  test('after a request is answered 408 within two deadlines of its first byte', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(requestText('GET /a'));
    await client.sees('GET /a');
    server.clock.advance(headMs / 2);
    await client.send('GET /b HTT');
    server.clock.advance(headMs);
    await client.send('P');
    expect(client.text).not.toContain('408');
    server.clock.advance(headMs + LATE_MS);
    await client.seesEnd();
    expect(client.text).toContain('HTTP/1.1 408 ');
  });

  test('may take its time as long as it is whole within the deadline', async () => {
    await using server = await startListener();
    const client = await server.connect();
    for (let round = 0; round < 5; round += 1) {
      await client.send(requestText('GET /a').slice(0, -1));
      server.clock.advance(headMs - LATE_MS);
      await client.send('\n');
      await client.sees('GET /a', round + 1);
    }
  });
});

describe('a silent connection', () => {
  test('is closed after its time and not before', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(requestText('GET /a'));
    await client.sees('GET /a');
    server.clock.advance(idleMs - LATE_MS);
    await settle();
    expect(client.ended).toBe(false);
    server.clock.advance(headMs + 9 * LATE_MS);
    await client.seesEnd();
    expect(client.text).not.toContain('408');
  });

  test('that does not close its side is cut', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send('GET / HTTP/1.1\nHost: a\n\n');
    await until(() => client.ended, 'the answer ended');
    await settle();
    expect(server.listener.connectionCount).toBe(1);
    server.clock.advance(lingerMs + LATE_MS);
    await until(() => server.listener.connectionCount === 0, 'no connection');
    expect(server.wheel.armedCount).toBe(0);
  });
});

describe('a slow body', () => {
  async function read(request: HttpRequest) {
    return request.body(100).then(() => ({ status: 200 }), answerTo);
  }

  test('is answered 408, however often a byte comes', async () => {
    await using server = await startListener({ onRequest: read });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Content-Length: 50'));
    for (let byte = 0; byte < 10; byte += 1) {
      server.clock.advance(bodyMs / 10 - 10);
      await client.send('x');
    }
    expect(client.text).toBe('');
    server.clock.advance(LATE_MS);
    await client.seesEnd();
    expect(client.text).toContain('HTTP/1.1 408 ');
    expect(client.text).toContain('connection: close');
  });

  test('has its time from when it is asked for', async () => {
    let begin = (): void => {};
    await using server = await startListener({
      onRequest: async (request) => {
        await new Promise<void>((resolve) => (begin = resolve));
        return read(request);
      },
    });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Content-Length: 2'), 'x');
    server.clock.advance(10 * bodyMs);
    begin();
    await client.send('y');
    await client.sees('HTTP/1.1 200 OK');
  });
});

describe('a peer that does not take its answer', () => {
  test('is cut', async () => {
    await using server = await startListener({
      onRequest: async () => ({ status: 200, body: 'x'.repeat(50_000_000) }),
    });
    const client = await server.connect();
    client.socket.pause();
    await client.send(requestText('GET /'));
    expect(server.wheel.armedCount).toBe(1);
    server.clock.advance(answerMs - LATE_MS);
    await settle();
    expect(server.listener.connectionCount).toBe(1);
    server.clock.advance(2 * LATE_MS);
    await until(() => server.listener.connectionCount === 0, 'no connection');
    expect(server.wheel.armedCount).toBe(0);
  });

  test('does not make the server read on', async () => {
    await using server = await startListener({
      onRequest: async () => ({ status: 200, body: 'x'.repeat(1_000_000) }),
    });
    const client = await server.connect();
    client.socket.pause();
    client.socket.write(requestText('GET /').repeat(5_000));
    await settle();
    await settle();
    expect(server.requests.length).toBeLessThanOrEqual(DEFAULT_HTTP_LIMITS.pipelinedMax);
  });
});

describe('a peer that goes on sending to a closed connection', () => {
  test('is cut after a limit', async () => {
    await using server = await startListener({}, { lingerSizeMax: 100_000 });
    const client = await server.connect();
    await client.send('what?\r\n\r\n', 'x'.repeat(90_000));
    expect(client.closed).toBe(false);
    client.socket.write('x'.repeat(1_000_000));
    await until(() => server.listener.connectionCount === 0, 'no connection');
  });
});
