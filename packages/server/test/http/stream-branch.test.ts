import type { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { HttpAnswer, StreamRequest } from '@trunkline/server/internal/http/request.ts';
import { HANDSHAKE, requestText, startListener, until } from './set-up.ts';

/** Accepts a stream and echoes what it gets. */
function echo(status: 101 | 200): (request: StreamRequest) => void {
  return (request) => {
    const stream = request.accept(status, { 'x-stream': 'yes' });
    stream.on('data', (chunk: Buffer) => stream.write(chunk));
  };
}

describe('a WebSocket handshake', () => {
  test('is handed on with its head, and what follows it comes first', async () => {
    await using server = await startListener({ onUpgrade: echo(101) });
    const client = await server.connect();
    await client.send(`${HANDSHAKE}early `, 'late');
    await client.sees('early late');
    expect(client.text).toContain('HTTP/1.1 101 Switching Protocols\r\n');
    expect(client.text).toContain('connection: Upgrade\r\nupgrade: websocket\r\n\r\n');
    expect(server.streams[0]).toMatchObject({
      method: 'GET',
      path: '/v1/ws',
      search: '',
      remoteAddress: '127.0.0.1',
      secure: false,
      version: '1.1',
    });
  });

  test('is taken wherever it is cut', async () => {
    await using server = await startListener({ onUpgrade: echo(101) });
    for (let cut = 1; cut < HANDSHAKE.length; cut += 13) {
      const client = await server.connect();
      await client.send(HANDSHAKE.slice(0, cut), `${HANDSHAKE.slice(cut)}hello`);
      await client.sees('hello');
    }
  });

  test('is taken byte by byte', async () => {
    await using server = await startListener({ onUpgrade: echo(101) });
    const client = await server.connect();
    await client.send(...HANDSHAKE.split(''), 'x');
    await client.sees('\r\n\r\nx');
  });

  test('works on a connection that had a request before', async () => {
    await using server = await startListener({ onUpgrade: echo(101) });
    const client = await server.connect();
    await client.send(requestText('GET /a'));
    await client.sees('GET /a');
    await client.send(`${HANDSHAKE}early `, 'late');
    await client.sees('early late');
    expect(client.text).toContain('connection: Upgrade\r\nupgrade: websocket\r\n\r\nearly');
  });

  test('with a second Host is refused, also by node:http', async () => {
    await using server = await startListener({ onUpgrade: echo(101) });
    const client = await server.connect();
    await client.send(HANDSHAKE.replace('\r\n\r\n', '\r\nHost: b\r\n\r\n'));
    await client.seesEnd();
    expect(client.text).toContain('HTTP/1.1 400 Bad Request');
    expect(server.streams).toHaveLength(0);
  });

  test('behind a request that waits is a request like any other', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    await using server = await startListener({
      onRequest: () => new Promise((resolve) => answers.push(resolve)),
    });
    const client = await server.connect();
    await client.send(requestText('GET /a') + HANDSHAKE);
    answers[0]?.({ status: 200, body: 'plain' });
    await until(() => answers.length === 2, 'the request behind it');
    answers[1]?.({ status: 200, body: 'plain' });
    await client.sees('plain', 2);
    expect(server.streams).toHaveLength(0);
  });

  test('of another protocol is answered as the request it is', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(requestText('GET /a', 'Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings'));
    await client.sees('GET /a');
  });

  test('is refused with an answer that closes', async () => {
    await using server = await startListener({
      onUpgrade: (request) => request.refuse({ status: 403, headers: { 'x-a': 'b' }, body: 'no' }),
    });
    const client = await server.connect();
    await client.send(`${HANDSHAKE}${'x'.repeat(1000)}`);
    await client.seesEnd();
    expect(client.text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\ndate: .* GMT\r\nx-a: b\r\n/);
    expect(client.text).toContain('content-length: 2\r\nconnection: close\r\n\r\nno');
  });

  test('whose handler throws is answered 500 without a word of why', async () => {
    await using server = await startListener({
      onUpgrade: () => {
        throw new Error('secret');
      },
    });
    const client = await server.connect();
    await client.send(HANDSHAKE);
    await client.seesEnd();
    expect(client.text).toContain('HTTP/1.1 500 ');
    expect(client.text).not.toContain('secret');
    expect(server.lines).toMatchObject([{ level: 'error' }]);
  });
});

describe('an event stream', () => {
  const request = requestText('GET /v1/sse?channel=a', 'Accept: text/event-stream');

  test('is chunked and says that the connection ends with it', async () => {
    await using server = await startListener({ onEventStream: echo(200) });
    const client = await server.connect();
    await client.send(request);
    await client.sees('\r\n\r\n');
    expect(client.text).toMatch(
      /^HTTP\/1\.1 200 OK\r\ndate: .*\r\nx-stream: yes\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n$/,
    );
    expect(server.streams[0]).toMatchObject({ path: '/v1/sse', search: 'channel=a' });
  });

  test('works on a connection that had a request before, and ends with its peer', async () => {
    let stream: Duplex | undefined;
    await using server = await startListener({
      onEventStream: (head) => {
        stream = head.accept(200, {});
        stream.write('3\r\n:a\n\r\n');
      },
    });
    const client = await server.connect();
    await client.send(requestText('GET /a'));
    await client.sees('GET /a');
    await client.send(request, 'GET /ignored HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.sees('transfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\n:a\n\r\n');
    expect(server.requests).toHaveLength(1);
    client.socket.end();
    await until(() => stream?.closed === true, 'the stream closes');
    await until(() => server.listener.connectionCount === 0, 'no connection');
    expect(server.wheel.armedCount).toBe(0);
  });

  test('has no chunks on HTTP/1.0', async () => {
    await using server = await startListener({ onEventStream: echo(200) });
    const client = await server.connect();
    await client.send('GET /v1/sse HTTP/1.0\r\n\r\n');
    await client.sees('\r\n\r\n');
    expect(client.text).not.toContain('chunked');
    expect(server.streams[0]?.version).toBe('1.0');
  });

  test('is not begun before the answers that are due', async () => {
    let answer: ((answer: HttpAnswer) => void) | undefined;
    await using server = await startListener({
      onRequest: () => new Promise((resolve) => (answer = resolve)),
    });
    const client = await server.connect();
    await client.send(requestText('GET /a') + request);
    expect(client.text).toBe('');
    answer?.({ status: 200, body: 'first' });
    await client.seesEnd();
    expect(client.text).toMatch(/first.*HTTP\/1\.1 400 /s);
    expect(server.streams).toHaveLength(0);
  });

  test('with a body is refused', async () => {
    await using server = await startListener({ onEventStream: echo(200) });
    const client = await server.connect();
    await client.send(requestText('GET /v1/sse', 'Content-Length: 3'), 'abc');
    await client.seesEnd();
    expect(client.text).toContain('HTTP/1.1 400 ');
  });

  test('is a request like any other for other methods', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(requestText('OPTIONS /v1/sse'));
    await client.sees('OPTIONS /v1/sse');
    await client.send(requestText('HEAD /v1/sse'));
    await client.sees('content-length: 12', 1);
    expect(server.requests.map((each) => each.method)).toEqual(['OPTIONS', 'HEAD']);
  });
});
