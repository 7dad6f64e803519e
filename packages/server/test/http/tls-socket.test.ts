import { once } from 'node:events';
import { connect as connectPlain, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { beginTls } from '@trunkline/server/internal/http/tls-socket.ts';
import { readKeyPair } from '@trunkline/server/internal/tls/key-pair.ts';
import { createSelfSigned } from '@trunkline/server/internal/tls/self-signed.ts';
import { afterEach, expect, test } from 'vitest';

const { cert, key } = createSelfSigned(['localhost', '127.0.0.1'], Date.now());
const { context } = readKeyPair(cert, key);

const opened: { close(): unknown }[] = [];

afterEach(() => {
  for (const one of opened.splice(0).reverse()) one.close();
});

/** Begins a handshake on every socket that comes, and says how each ended. */
async function start() {
  const secured: TLSSocket[] = [];
  const failures: Error[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    opened.push({ close: () => socket.destroy() });
    beginTls(
      socket,
      { context, ALPNProtocols: ['mqtt'] },
      { onSecure: (one) => secured.push(one), onFailed: (error) => failures.push(error) },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.push(server);
  return { port: (server.address() as AddressInfo).port, secured, failures, sockets };
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn += 1) {
    if (turn > 1_000_000) throw new Error('waited in vain');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a socket is protected once its handshake is done, and cut at a broken record', async () => {
  const { port, secured, failures, sockets } = await start();
  const plain = connectPlain({ port, host: '127.0.0.1' });
  const options = { socket: plain, ca: cert, servername: '', ALPNProtocols: ['mqtt'] };
  const client = connect(options).on('error', () => {});
  opened.push({ close: () => client.destroy() });
  await once(client, 'secureConnect');
  await until(() => secured.length === 1);
  expect(secured[0]?.alpnProtocol).toBe('mqtt');
  plain.write(Buffer.concat([Buffer.from('1703030020', 'hex'), Buffer.alloc(32)]));
  await until(() => sockets[0]?.destroyed === true);
  expect(failures).toEqual([]);
});

test('a socket whose peer speaks no TLS is destroyed', async () => {
  const { port, secured, failures, sockets } = await start();
  const client = connectPlain({ port, host: '127.0.0.1' }).on('error', () => {});
  opened.push({ close: () => client.destroy() });
  client.write('hello, is anybody there?');
  await until(() => failures.length === 1 && sockets[0]?.destroyed === true);
  expect(secured).toEqual([]);
});
