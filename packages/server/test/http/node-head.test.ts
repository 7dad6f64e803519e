import { describe, expect, test } from 'vitest';
import { problemIn, requestText, startListener, until } from './set-up.ts';

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
