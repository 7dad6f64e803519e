import { describe, expect, test } from 'vitest';
import { CodedError } from '@trunkline/wire';
import type { HttpAnswer } from '@trunkline/server/internal/http/request.ts';
import { problemIn, requestText, settle, startListener, until } from './set-up.ts';

describe('an answer', () => {
  test('has a date, a length and the headers given, but none that frame it', async () => {
    await using server = await startListener({
      onRequest: async () => ({
        status: 200,
        headers: { etag: '"1"', 'content-length': '99', connection: 'close', date: 'never' },
        body: 'grüße',
      }),
    });
    const client = await server.connect();
    await client.send(requestText('GET /'));
    await client.sees('gr');
    const date = new Date(server.clock.unixMs()).toUTCString();
    expect(client.text.split('\r\n\r\n')[0]?.split('\r\n')).toEqual([
      'HTTP/1.1 200 OK',
      `date: ${date}`,
      'etag: "1"',
      'content-length: 7',
      'Connection: keep-alive',
    ]);
  });

  test('of 304 has no length', async () => {
    await using server = await startListener({
      onRequest: async () => ({ status: 304, headers: { etag: '"1"' }, body: 'x' }),
    });
    const client = await server.connect();
    await client.send(requestText('GET /') + requestText('GET /'));
    await client.sees('HTTP/1.1 304 Not Modified', 2);
    expect(client.text).not.toContain('content-length');
    expect(client.text).not.toContain('chunked');
  });

  test('to HEAD has the length of what GET would get, and no body', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(requestText('HEAD /abc') + requestText('GET /d'));
    await client.sees('GET /d');
    expect(client.text).toContain('content-length: 9\r\n');
    expect(client.text).not.toContain('HEAD /abc');
  });

  test('of 426 names the protocol and stays on the connection', async () => {
    await using server = await startListener({
      onRequest: async () => ({ status: 426, headers: { upgrade: 'websocket' } }),
    });
    const client = await server.connect();
    await client.send(requestText('GET /') + requestText('GET /'));
    await client.sees('upgrade: websocket\r\ncontent-length: 0\r\nconnection: Upgrade\r\n', 2);
  });

  test('that fails is 500 and a line in the log, without a word of why', async () => {
    await using server = await startListener({
      onRequest: () => Promise.reject(new CodedError('forbidden', 'secret')),
    });
    const client = await server.connect();
    await client.send(requestText('GET /'));
    await client.sees('}');
    expect(problemIn(client)).toMatchObject({ status: 500, code: 'internal' });
    expect(client.text).not.toContain('secret');
    expect(server.lines).toMatchObject([{ level: 'error' }]);
  });

  test('with a header that would break the head is 500', async () => {
    await using server = await startListener({
      onRequest: async () => ({ status: 200, headers: { 'x-a': 'a\r\nx-b: c' } }),
    });
    const client = await server.connect();
    await client.send(requestText('GET /') + requestText('GET /'));
    await client.sees('"status":500', 2);
    expect(client.text).not.toContain('x-b');
  });

  test('to a poll that waited an hour is given', async () => {
    let answer: ((answer: HttpAnswer) => void) | undefined;
    await using server = await startListener({
      onRequest: () => new Promise((resolve) => (answer = resolve)),
    });
    const client = await server.connect();
    await client.send(requestText('GET /'));
    expect(server.wheel.armedCount).toBe(0);
    server.clock.advance(3_600_000);
    await settle();
    answer?.({ status: 200, body: 'at last' });
    await client.sees('at last');
  });

  test('after the peer left is dropped, and the handler told', async () => {
    let aborted = 0;
    let answer: ((answer: HttpAnswer) => void) | undefined;
    await using server = await startListener({
      onRequest: (request) => {
        request.onAbort(() => (aborted += 1));
        request.onAbort(() => (aborted += 10));
        return new Promise((resolve) => (answer = resolve));
      },
    });
    for (const leave of ['reset', 'end'] as const) {
      aborted = 0;
      const client = await server.connect();
      await client.send(requestText('GET /'));
      if (leave === 'reset') client.reset();
      else client.socket.end();
      await until(() => aborted > 0, 'the handler is told');
      answer?.({ status: 200, body: 'to nobody' });
      await settle();
      expect(aborted).toBe(11);
      expect(client.text).toBe('');
    }
    let late = 0;
    server.requests[0]?.onAbort(() => (late += 1));
    expect(late).toBe(1);
    expect(server.lines).toEqual([]);
    expect(server.wheel.armedCount).toBe(0);
  });
});
