import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import type { HttpLimits } from '@trunkline/server/internal/http/limits.ts';
import { readKeyPair } from '@trunkline/server/internal/tls/key-pair.ts';
import { createSelfSigned } from '@trunkline/server/internal/tls/self-signed.ts';
import { fuzzTls } from '../fuzz/tls.fuzz.ts';
import { H2Client } from './h2-client.ts';
import {
  HANDSHAKE,
  problemIn,
  requestText,
  settle,
  startListener,
  type TestHandlers,
  until,
} from './set-up.ts';

const { cert, key } = createSelfSigned(['localhost', '127.0.0.1'], Date.now());
const { context } = readKeyPair(cert, key);

const start = (handlers: TestHandlers = {}, limits: Partial<HttpLimits> = {}) =>
  startListener(handlers, limits, { tls: { context } });

const connectH2 = (port: number) =>
  H2Client.connect(`https://127.0.0.1:${port}`, { ca: cert, servername: '' });

/** A client of HTTP/1.1 over TLS that keeps what it got. */
class TlsClient implements Disposable {
  readonly socket: TLSSocket;
  text = '';
  closed = false;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')));
    socket.on('close', () => (this.closed = true));
    socket.on('error', () => {});
  }

  static async open(port: number, protocols?: string[]): Promise<TlsClient> {
    const options = { host: '127.0.0.1', port, ca: cert, servername: '' };
    const socket = connect(
      protocols === undefined ? options : { ...options, ALPNProtocols: protocols },
    );
    const client = new TlsClient(socket);
    await once(socket, 'secureConnect');
    return client;
  }

  async sees(part: string): Promise<void> {
    await until(() => this.text.includes(part), `${part} in ${this.text}`);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

describe('a port with TLS', () => {
  test('[H2-2] serves HTTP/2 to who asks for it, and HTTP/1.1 to all others', async () => {
    await using server = await start();
    await using client = await connectH2(server.port);
    expect(await client.call('/a').done()).toMatchObject({ status: 200, text: 'GET /a' });
    using old = await TlsClient.open(server.port, ['http/1.1']);
    expect(old.socket.alpnProtocol).toBe('http/1.1');
    old.socket.write(requestText('GET /b'));
    await old.sees('GET /b');
    using oldest = await TlsClient.open(server.port);
    oldest.socket.write(requestText('GET /c') + requestText('GET /d'));
    await oldest.sees('GET /d');
    expect(server.requests).toMatchObject([
      { secure: true, version: '2', remoteAddress: '127.0.0.1' },
      { secure: true, version: '1.1', remoteAddress: '127.0.0.1' },
      { secure: true, version: '1.1' },
      { secure: true, version: '1.1' },
    ]);
    expect(server.listener.connectionCount).toBe(3);
  });

  test('hands on requests for streams of HTTP/1.1', async () => {
    await using server = await start();
    using client = await TlsClient.open(server.port);
    client.socket.write(HANDSHAKE);
    await until(() => server.streams.length === 1, 'a handshake');
    expect(server.streams[0]).toMatchObject({ secure: true, version: '1.1' });
    const stream = server.streams[0]?.accept(101, {});
    stream?.write('hello');
    await client.sees('hello');
    let received = '';
    stream?.on('data', (chunk: Buffer) => (received += chunk.toString()));
    client.socket.write('back');
    await until(() => received === 'back', 'an answer');
    client.socket.destroy();
    await until(() => server.listener.connectionCount === 0, 'no connection');
    expect(stream?.destroyed).toBe(true);
  });

  test('counts a stream among the connections of its address until it ends', async () => {
    await using server = await start({}, { connectionsPerAddressMax: 1 });
    for (const round of [1, 2, 3]) {
      using client = await TlsClient.open(server.port);
      client.socket.write(HANDSHAKE);
      await until(() => server.streams.length === round, 'a handshake');
      server.streams.at(-1)?.accept(101, {});
      client.socket.destroy();
      await until(() => server.listener.connectionCount === 0, 'no connection');
    }
  });

  test.each([
    ['HTTP/1.1', requestText('GET /a')],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['nonsense', '\0'],
  ])('[H2-2] tells those who speak %s without it', async (_what, text) => {
    await using server = await start();
    const client = await server.connect();
    await client.send(text);
    await client.seesEnd();
    expect(problemIn(client)).toMatchObject({ status: 400, code: 'bad_request' });
    expect(client.text).toContain('https');
    expect(server.requests).toEqual([]);
  });

  test('cuts a handshake that fails or takes too long', async () => {
    await using server = await start();
    const broken = await server.connect();
    await broken.send('\x16\x03\x01\x00\x05hello and more');
    await until(() => broken.closed || broken.ended, 'the end of the broken one');
    const slow = await server.connect();
    await slow.send('\x16\x03\x01');
    server.clock.advance(9_000);
    expect(server.listener.connectionCount).toBeGreaterThan(0);
    server.clock.advance(2_000);
    await until(() => server.listener.connectionCount === 0, 'no connection');
    expect(server.lines.filter(({ level }) => level !== 'debug')).toEqual([]);
    expect(server.wheel.armedCount).toBe(0);
  });

  test.each([
    ['HTTP/2', 'h2', ''],
    ['HTTP/1.1', 'http/1.1', ''],
    ['a request that waits', 'http/1.1', requestText('GET /wait')],
    ['a stream', 'http/1.1', HANDSHAKE],
  ])('cuts a connection of %s at a record that can not be read', async (_what, protocol, text) => {
    await using server = await start({
      onRequest: () => new Promise(() => {}),
      onUpgrade: (request) => void request.accept(101, {}),
    });
    const plain = connectPlain({ port: server.port, host: '127.0.0.1' });
    const options = { socket: plain, ca: cert, servername: '', ALPNProtocols: [protocol] };
    const socket = connect(options).on('error', () => {});
    await once(socket, 'secureConnect');
    if (text !== '') socket.write(text);
    await settle();
    expect(server.listener.connectionCount).toBe(1);
    plain.write(Buffer.concat([Buffer.from('1703030020', 'hex'), Buffer.alloc(32)]));
    await until(() => server.listener.connectionCount === 0, 'no connection');
    expect(server.lines).toEqual([]);
    expect(server.wheel.armedCount).toBe(0);
    socket.destroy();
  });

  test('handshakes once, however often a client of TLS 1.2 asks', async () => {
    await using server = await start();
    const options = { host: '127.0.0.1', port: server.port, ca: cert, servername: '' };
    const socket = connect({ ...options, maxVersion: 'TLSv1.2' });
    await once(socket, 'secureConnect');
    socket.renegotiate({}, () => {});
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ERR_SSL_NO_RENEGOTIATION');
    socket.destroy();
  });

  test('chooses the cipher where a client of TLS 1.2 likes an older one better', async () => {
    await using server = await start();
    const ciphers = 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256';
    const options = { host: '127.0.0.1', port: server.port, ca: cert, servername: '' };
    const socket = connect({ ...options, maxVersion: 'TLSv1.2', ciphers });
    await once(socket, 'secureConnect');
    expect(socket.getCipher().name).toBe('ECDHE-ECDSA-AES128-GCM-SHA256');
    socket.destroy();
  });

  test('cuts a handshake whose protocols it does not speak', async () => {
    await using server = await start();
    const socket = connect({
      host: '127.0.0.1',
      port: server.port,
      ca: cert,
      ALPNProtocols: ['x'],
    });
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
    await until(() => server.listener.connectionCount === 0, 'no connection');
  });

  test('gives the head its own time after the handshake, and closes the silent', async () => {
    await using server = await start();
    using slow = await TlsClient.open(server.port);
    using silent = await TlsClient.open(server.port);
    await settle();
    server.clock.advance(5_000);
    slow.socket.write('GET /a HT');
    await settle();
    server.clock.advance(6_000);
    await slow.sees('408');
    await until(() => slow.closed && silent.closed, 'the end');
    expect(silent.text).toBe('');
  });

  test('closes connections without a word when there is no room', async () => {
    await using server = await start({}, { connectionsMax: 0 });
    const client = await server.connect();
    await until(() => client.closed || client.ended, 'the end');
    expect(client.text).toBe('');
  });

  test('ends idle connections and handshakes when it stops', async () => {
    await using server = await start();
    await using client = await connectH2(server.port);
    using old = await TlsClient.open(server.port);
    const begun = await server.connect();
    await begun.send('\x16');
    await server.listener.stop();
    await until(() => client.closed && old.closed && begun.ended, 'the end of all');
    await until(() => server.listener.connectionCount === 0, 'no connection');
  });

  test('shows the certificate that is current when a handshake begins', async () => {
    const other = createSelfSigned(['127.0.0.1'], Date.now());
    const source = { context };
    await using server = await startListener({}, {}, { tls: source });
    await using before = await connectH2(server.port);
    source.context = readKeyPair(other.cert, other.key).context;
    const socket = connect({
      host: '127.0.0.1',
      port: server.port,
      ca: other.cert,
      servername: '',
    });
    await once(socket, 'secureConnect');
    expect(socket.authorized).toBe(true);
    socket.destroy();
    // Those that are open go on.
    expect((await before.call('/a').done()).status).toBe(200);
  });
});

test('broken handshakes and records end their connection, and trouble nobody', async () => {
  await fuzzTls(1, 40);
});
