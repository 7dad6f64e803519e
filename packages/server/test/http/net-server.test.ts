import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import {
  addressOf,
  createNetServer,
  listen,
  urlHost,
} from '@trunkline/server/internal/http/net-server.ts';
import { afterEach, expect, test } from 'vitest';

const opened: { close(): unknown }[] = [];

afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

async function start() {
  const sockets: Socket[] = [];
  const server = createNetServer((socket) => {
    sockets.push(socket);
    opened.push({ close: () => socket.destroy() });
  });
  opened.push(server);
  return { server, sockets, ...(await listen(server, '127.0.0.1', 0)) };
}

test('a server listens on a free port, and its sockets are never half open', async () => {
  const { server, sockets, host, port } = await start();
  expect(host).toBe('127.0.0.1');
  const client = connect({ port, host });
  const accepted = once(server, 'connection');
  client.end();
  await accepted;
  const [socket] = sockets;
  expect(socket?.allowHalfOpen).toBe(false);
  const closed = once(socket ?? client, 'close');
  socket?.resume();
  await closed;
});

test('a port that is taken is the caller’s to explain', async () => {
  const { host, port } = await start();
  const other = createNetServer(() => {});
  await expect(listen(other, host, port)).rejects.toMatchObject({ code: 'EADDRINUSE', port });
});

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8::1', '2001:db8::1'],
  [undefined, undefined],
])('the address of a peer at %s is %s', (remoteAddress, expected) => {
  const socket = Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress });
  expect(addressOf(socket)).toBe(expected);
});

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['0.0.0.0', '127.0.0.1'],
  ['::', '[::1]'],
  ['2001:db8::1', '[2001:db8::1]'],
  ['example.com', 'example.com'],
])('a listener at %s is reached by %s', (host, expected) => {
  expect(urlHost(host)).toBe(expected);
});
