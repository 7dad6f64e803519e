import { describe, expect, test } from 'vitest';
import { CodedError } from '@trunkline/wire';
import { errorAnswer } from '@trunkline/server/internal/http/problem.ts';
import type { HttpAnswer, HttpRequest } from '@trunkline/server/internal/http/request.ts';
import { type RawClient, requestText, settle, startListener, until } from './set-up.ts';

const BODY_MAX = 1000;

/** Answers with the size of the body, or with why there is none. */
async function measureBody(request: HttpRequest): Promise<HttpAnswer> {
  try {
    const body = await request.body(BODY_MAX);
    return { status: 200, body: `${body.length} bytes` };
  } catch (error) {
    return errorAnswer(error);
  }
}

/** The one problem document that the client got. */
function problemIn(client: RawClient): unknown {
  expect(client.text).toContain('content-type: application/problem+json');
  return JSON.parse(client.text.slice(client.text.indexOf('{')));
}

describe('a request', () => {
  test('tells its parts', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(
      requestText('DELETE /v1/a%20b?x=1?', 'X-A: 1', 'x-a:  2 ', 'Cookie: a=1', 'Cookie: b=2'),
    );
    await client.sees('DELETE /v1/a%20b');
    expect(server.requests[0]).toMatchObject({
      method: 'DELETE',
      path: '/v1/a%20b',
      search: 'x=1?',
      remoteAddress: '127.0.0.1',
      secure: false,
      version: '1.1',
    });
    expect({ ...server.requests[0]?.headers }).toEqual({
      host: 'a.example',
      'x-a': '1, 2',
      cookie: 'a=1; b=2',
    });
  });

  test('in absolute-form has the host of its target', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(requestText('GET http://other.example?q'), requestText('GET HTTP://b/x'));
    await client.sees('GET /x');
    expect(server.requests).toMatchObject([
      { path: '/', search: 'q', headers: { host: 'other.example' } },
      { path: '/x', search: '', headers: { host: 'b' } },
    ]);
  });

  test('OPTIONS * is one', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(requestText('OPTIONS *'));
    await client.sees('OPTIONS *');
  });

  test.each([
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', requestText('GET /', 'Host: b'), 400],
    ['a bad Host', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
    ['a fragment', requestText('GET /#a'), 400],
    ['a bad target', requestText('GET ftp://x/'), 400],
    ['another version', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
    ['another expectation', requestText('GET /', 'Expect: magic'), 417],
    ['a bad first line', 'what?\r\n\r\n', 400],
    ['LF for line ends', 'GET / HTTP/1.1\nHost: a\n\n', 400],
    ['obs-fold', requestText('GET /', 'X: a', ' b'), 400],
    ['two lengths', requestText('POST /', 'Content-Length: 1', 'Content-Length: 2'), 400],
    [
      'length and chunks',
      requestText('POST /', 'Content-Length: 1', 'Transfer-Encoding: chunked'),
      400,
    ],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', 501],
    ['a head over the limit', requestText('GET /', `X: ${'x'.repeat(17_000)}`), 431],
    ['a path over the limit', requestText(`GET /${'x'.repeat(17_000)}`), 431],
    ['101 fields', requestText('GET /', ...Array<string>(100).fill('X: x')), 431],
  ])('with %s is answered with a problem and the end', async (_why, text, status) => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(text);
    await client.seesEnd();
    expect(client.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(client.text).toContain('connection: close');
    expect(problemIn(client)).toMatchObject({
      type: 'about:blank',
      status,
      code: status === 431 ? 'too_large' : 'bad_request',
    });
    expect(server.requests).toHaveLength(0);
    await until(() => server.listener.connectionCount === 0, 'no connection');
    expect(server.wheel.armedCount).toBe(0);
  });

  test('of HTTP/1.0 needs no Host and ends the connection', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send('GET /a HTTP/1.0\r\n\r\n');
    await client.seesEnd();
    expect(client.text).toContain('GET /a');
    expect(server.requests[0]?.version).toBe('1.0');
  });

  test('that asks for the end gets it', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(requestText('GET /a', 'Connection: close') + requestText('GET /b'));
    await client.seesEnd();
    expect(client.text).toContain('GET /a');
    expect(client.text).not.toContain('GET /b');
  });
});

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

describe('a body', () => {
  test.each([
    ['declared', requestText('POST /', 'Content-Length: 1001'), ''],
    [
      'sent in chunks',
      requestText('POST /', 'Transfer-Encoding: chunked'),
      `3e9\r\n${'x'.repeat(1001)}\r\n`,
    ],
  ])('over the limit, %s, is answered 413 and the end', async (_how, head, body) => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(head, body, 'x'.repeat(5_000));
    await client.seesEnd();
    expect(problemIn(client)).toMatchObject({ status: 413, code: 'too_large' });
  });

  test('of exactly the limit is read', async () => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Content-Length: 1000') + 'x'.repeat(1000));
    await client.sees('1000 bytes');
    await client.send(
      requestText('POST /', 'Transfer-Encoding: chunked') +
        `3E8;a=b\r\n${'x'.repeat(1000)}\r\n0\r\nX: y\r\n\r\n`,
    );
    await client.sees('1000 bytes', 2);
  });

  test('of thousands of tiny chunks is read', async () => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(
      requestText('POST /', 'Transfer-Encoding: chunked') + '1\r\nx\r\n'.repeat(1000) + '0\r\n\r\n',
    );
    await client.sees('1000 bytes');
  });

  test('that nobody reads ends the connection after the answer', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(requestText('POST /a', 'Content-Length: 100000'), 'x'.repeat(10_000));
    await client.seesEnd();
    expect(client.text).toContain('connection: close');
    expect(client.text).toContain('POST /a');
  });

  test('that came with its head and nobody read keeps the connection', async () => {
    await using server = await startListener();
    const client = await server.connect();
    // The second is read by node:http itself, not from what the door had read.
    await client.send(requestText('POST /a', 'Content-Length: 3') + 'abc');
    await client.send(requestText('POST /b', 'Content-Length: 3') + 'abc');
    await client.send(requestText('GET /c'));
    await client.sees('GET /c');
  });

  test('is asked for when the client waits to be', async () => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Content-Length: 3', 'Expect: 100-continue'));
    await client.sees('HTTP/1.1 100 Continue\r\n\r\n');
    await client.send('abc');
    await client.sees('3 bytes');
  });

  test('is not asked for when it would be refused', async () => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Content-Length: 3000', 'Expect: 100-continue'));
    await client.seesEnd();
    expect(client.text).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('that is badly framed is answered 400 and the end', async () => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Transfer-Encoding: chunked'), 'zz\r\n');
    await client.seesEnd();
    expect(problemIn(client)).toMatchObject({ status: 400, code: 'bad_request' });
  });

  test('that is badly framed from its first byte is answered 400 and the end', async () => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Transfer-Encoding: chunked') + 'zz\r\n');
    await client.seesEnd();
    expect(problemIn(client)).toMatchObject({ status: 400, code: 'bad_request' });
  });

  test('that is cut off fails for its reader', async () => {
    let reason: unknown;
    await using server = await startListener({
      onRequest: async (request) => {
        await request.body(BODY_MAX).catch((error: unknown) => (reason = error));
        return { status: 200 };
      },
    });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Content-Length: 30'), 'abc');
    client.reset();
    await until(() => reason !== undefined, 'the reader is told');
    expect(reason).toMatchObject({ code: 'bad_request' });
    await settle();
    expect(server.wheel.armedCount).toBe(0);
  });

  test('is read once', async () => {
    await using server = await startListener({
      onRequest: async (request) => {
        await request.body(10);
        return { status: 200, body: String(await request.body(10).catch((error) => error)) };
      },
    });
    const client = await server.connect();
    await client.send(requestText('GET /'));
    await client.sees('read once');
  });
});

describe('requests in one piece', () => {
  test('are answered in their order, whoever is ready first', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    await using server = await startListener({
      onRequest: () => new Promise((resolve) => answers.push(resolve)),
    });
    const client = await server.connect();
    await client.send(requestText('GET /a') + requestText('GET /b'));
    answers[1]?.({ status: 200, body: 'second' });
    await settle();
    expect(client.text).toBe('');
    answers[0]?.({ status: 200, body: 'first' });
    await client.sees('second');
    expect(client.text.indexOf('first')).toBeLessThan(client.text.indexOf('second'));
  });

  test('before garbage are answered, then the connection ends', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    await using server = await startListener({
      onRequest: () => new Promise((resolve) => answers.push(resolve)),
    });
    const client = await server.connect();
    await client.send(requestText('GET /a') + requestText('GET /b') + 'garbage\r\n\r\n');
    for (const answer of answers) answer({ status: 200, body: 'ok' });
    await client.seesEnd();
    expect(client.text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
    expect(client.text).not.toContain('400');
  });

  test('over the limit are answered 429 behind those that wait, and the end', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    await using server = await startListener(
      { onRequest: () => new Promise((resolve) => answers.push(resolve)) },
      { pipelinedMax: 3 },
    );
    const client = await server.connect();
    await client.send(requestText('GET /a').repeat(500), requestText('GET /b').repeat(500));
    expect(answers).toHaveLength(3);
    expect(client.text).toBe('');
    for (const answer of answers) answer({ status: 200, body: 'ok' });
    await client.seesEnd();
    expect(client.text.match(/HTTP\/1\.1 \d+/g)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 200',
      'HTTP/1.1 200',
      'HTTP/1.1 429',
    ]);
  });
});
