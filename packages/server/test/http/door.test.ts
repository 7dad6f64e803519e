import type { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { HttpRequest, StreamRequest } from '@trunkline/server/internal/http/request.ts';
import { HANDSHAKE, requestText, settle, startListener, until } from './set-up.ts';

const BODY_MAX = 1024 * 1024;

/** Accepts a stream and echoes what it gets. */
function echo(status: 101 | 200): (request: StreamRequest) => void {
  return (request) => {
    const stream = request.accept(status, { 'x-stream': 'yes' });
    stream.on('data', (chunk: Buffer) => stream.write(chunk));
  };
}

async function echoBody(request: HttpRequest) {
  const body = await request.body(BODY_MAX);
  return { status: 200, body: `${request.path}:${Buffer.from(body).toString('latin1')};` };
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
    await using server = await startListener({ onRequest: () => new Promise(() => {}) });
    const client = await server.connect();
    await client.send(requestText('GET /a') + request);
    await client.seesEnd();
    expect(client.text).toBe('');
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

describe('an undecided request for a stream', () => {
  test('whose peer leaves gets a stream that closes', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(HANDSHAKE);
    client.reset();
    await until(() => server.listener.connectionCount === 0, 'no connection');
    const stream = server.streams[0]?.accept(101, {});
    let closed = false;
    stream?.on('close', () => {
      closed = true;
    });
    stream?.write('to nobody');
    await settle();
    expect(closed).toBe(true);
  });

  test('whose peer is done sending closes when it is accepted', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(HANDSHAKE);
    client.socket.end();
    await settle();
    const stream = server.streams[0]?.accept(101, {});
    stream?.write('x');
    await until(() => stream?.closed === true, 'the stream closes');
  });

  test('can be refused after its peer left', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(HANDSHAKE);
    client.reset();
    await until(() => server.listener.connectionCount === 0, 'no connection');
    server.streams[0]?.refuse({ status: 403 });
    await settle();
    expect(server.wheel.armedCount).toBe(0);
  });

  test('can be decided once', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(HANDSHAKE);
    server.streams[0]?.accept(101, {});
    expect(() => server.streams[0]?.refuse({ status: 403 })).toThrow('decided before');
  });

  test('has no deadline and is not read', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(HANDSHAKE);
    server.clock.advance(600_000);
    await client.send('x'.repeat(1000));
    const stream = server.streams[0]?.accept(101, {});
    let size = 0;
    stream?.on('data', (chunk: Buffer) => {
      size += chunk.length;
    });
    await until(() => size === 1000, 'all bytes');
  });

  test('refuses a header that would break the head', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(HANDSHAKE);
    expect(() => server.streams[0]?.accept(101, { 'x-a': 'a\r\nx-b: c' })).toThrow(TypeError);
  });
});

describe('what the door leaves to node:http', () => {
  test.each([1, 3, 20, 60, 75])('keeps its bytes when cut after %i', async (cut) => {
    await using server = await startListener({ onRequest: echoBody });
    const client = await server.connect();
    const text = requestText('POST /a', 'Content-Length: 5') + 'hello' + requestText('GET /b');
    await client.send(text.slice(0, cut), text.slice(cut));
    await client.sees('/a:hello;');
    await client.sees('/b:;');
  });

  test('answers requests that came in one piece in their order', async () => {
    await using server = await startListener({ onRequest: echoBody });
    const client = await server.connect();
    const post = (name: string): string =>
      requestText(`POST /${name}`, 'Transfer-Encoding: chunked') + '1\r\nx\r\n1\r\ny\r\n0\r\n\r\n';
    await client.send(post('a') + requestText('GET /b') + post('c') + requestText('GET /d'));
    await client.sees('/d:;');
    expect(client.text.match(/\/\w:\w*;/g)).toEqual(['/a:xy;', '/b:;', '/c:xy;', '/d:;']);
  });

  test('takes bodies apart from their heads, and slow ones', async () => {
    await using server = await startListener({ onRequest: echoBody });
    const client = await server.connect();
    await client.send(requestText('POST /a', 'Content-Length: 5'), 'he', 'l', 'lo');
    await client.sees('/a:hello;');
    await client.send(requestText('POST /b', 'Content-Length: 2'), 'x', 'y');
    await client.sees('/b:xy;');
  });

  test('takes large bodies that began in the first segment', async () => {
    await using server = await startListener({ onRequest: echoBody });
    const client = await server.connect();
    const body = 'x'.repeat(700_000);
    await client.send(requestText('POST /a', `Content-Length: ${body.length}`) + body);
    await client.sees(`/a:${body};`);
  });
});
