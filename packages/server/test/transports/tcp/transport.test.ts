import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { TCP_DEFAULTS } from '@trunkline/server/internal/transports/tcp/config.ts';
import type { Admission } from '@trunkline/server/internal/transports/transport.ts';
import { readKeyPair } from '@trunkline/server/internal/tls/key-pair.ts';
import { createSelfSigned } from '@trunkline/server/internal/tls/self-signed.ts';
import { afterEach, describe, expect, test } from 'vitest';
import { BytePeer, TcpWorld, TICK_MS } from './set-up.ts';
import type { TestOptions } from './set-up.ts';

const { cert, key } = createSelfSigned(['127.0.0.1'], Date.now());
const { context } = readKeyPair(cert, key);

const opened: TcpWorld[] = [];

afterEach(async () => {
  for (const world of opened.splice(0)) await world[Symbol.asyncDispose]();
});

async function start(options: TestOptions = {}): Promise<TcpWorld> {
  const world = await TcpWorld.start(options);
  opened.push(world);
  return world;
}

describe('a port for bare connections', () => {
  test('makes a link of each, and counts them', async () => {
    const world = await start();
    const { transport } = world;
    const { peer, link } = await world.connect();
    await world.connect();
    expect(link.info).toEqual({ transport: 'tcp', remoteAddress: '127.0.0.1' });
    expect(world.peers[0]).toEqual({ remoteAddress: '127.0.0.1' });
    expect(transport.links.size).toBe(2);
    expect(transport.connectionCount).toBe(2);
    peer.drop();
    await world.until('one link', () => transport.links.size === 1);
    expect(transport.counts).toEqual({
      open: new Map([['', 1]]),
      opened: new Map([['', 2]]),
      closed: new Map([['normal', 1]]),
    });
    expect(world.capacity.count).toBe(1);
  });

  test('has no room for more than its limits allow, and room again', async () => {
    const world = await start({ connectionsPerAddressMax: 1 });
    const { peer } = await world.connect();
    const second = await world.dial();
    await world.until('the end', () => second.ended);
    expect(second.text).toBe('');
    expect(world.transport.connectionCount).toBe(1);
    peer.drop();
    await world.until('room', () => world.capacity.count === 0);
    await world.connect();
    expect(world.lines).toEqual(['debug a connection was refused: too many of its address']);
  });

  test('closes whom nobody lets in', async () => {
    const refused: Admission = {
      kind: 'refused',
      close: { code: 'forbidden' },
      message: 'not from here',
      tellInside: false,
    };
    const world = await start({ admit: () => refused });
    const peer = await world.dial();
    await world.until('the end', () => peer.ended);
    expect(world.lines).toEqual(['debug a connection was refused']);
    expect(world.capacity.count).toBe(0);
    expect(world.transport.counts.opened.size).toBe(0);
  });

  test('closes whom nobody can decide about', async () => {
    const world = await start({
      admit: () => {
        throw new Error('planted');
      },
    });
    const peer = await world.dial();
    await world.until('the end', () => peer.ended);
    expect(world.lines[0]).toBe('error admitting a connection failed');
    expect(world.capacity.count).toBe(0);
  });

  test('ends a link that can not be opened', async () => {
    const world = await start({
      open: () => {
        throw new Error('planted');
      },
    });
    const peer = await world.dial();
    await world.until('the end', () => peer.ended);
    peer.socket.end();
    await world.until('no link', () => world.transport.links.size === 0);
    expect(world.lines).toEqual(['error opening a link failed']);
    expect(world.transport.counts.closed).toEqual(new Map([['internal', 1]]));
  });

  test('ends a link that its handler closes while it is opened', async () => {
    const world = await start({
      open: (link) => {
        link.send('no');
        link.close({ code: 'draining' });
        return { onFrame() {}, onDrain() {}, onClose() {} };
      },
    });
    const peer = await world.dial();
    await world.until('the end', () => peer.ended);
    expect(peer.text).toBe('no');
    world.clock.advance(TCP_DEFAULTS.closeMs + 2 * TICK_MS);
    await world.until('no link', () => world.transport.links.size === 0);
  });

  test('takes no more when it stops, and keeps its links until they are cut', async () => {
    const world = await start();
    const { peer, link } = await world.connect();
    await world.transport.stop();
    await world.transport.stop();
    await expect(world.dial()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    link.send('still here');
    await world.until('bytes', () => peer.text === 'still here');
    world.transport.destroyAll();
    await world.until('the end', () => peer.ended);
    expect(world.handlers[0]?.closes).toEqual([{ code: 'normal' }]);
  });

  test('says who holds the port that it can not have', async () => {
    const world = await start();
    const other = TcpWorld.start({ port: world.port });
    await expect(other).rejects.toMatchObject({ code: 'EADDRINUSE', port: world.port });
  });
});

describe('a port with TLS', () => {
  const tls = { tls: () => ({ context, ALPNProtocols: ['mqtt'] }) };

  async function connect(world: TcpWorld, options: object = {}): Promise<BytePeer> {
    const usual = { host: '127.0.0.1', port: world.port, ca: cert, servername: '' };
    const socket: TLSSocket = connectTls({ ...usual, ...options });
    const peer = new BytePeer(socket);
    await once(socket, 'secureConnect');
    return peer;
  }

  test('makes a link of each once its handshake is done', async () => {
    const world = await start(tls);
    const peer = await connect(world, { ALPNProtocols: ['mqtt'] });
    await world.until('a link', () => world.links.length === 1);
    expect((peer.socket as TLSSocket).alpnProtocol).toBe('mqtt');
    expect(world.links[0]?.info).toEqual({ transport: 'tls', remoteAddress: '127.0.0.1' });
    expect(world.peers[0]?.secured?.encrypted).toBe(true);
    peer.send('ping');
    await world.until('bytes', () => world.handlers[0]?.text === 'ping');
    world.links[0]?.send('pong');
    await world.until('bytes', () => peer.text === 'pong');
    peer.socket.destroy();
    await world.until('no link', () => world.transport.connectionCount === 0);
    expect(world.wheel.armedCount).toBe(0);
    expect(world.capacity.count).toBe(0);
    expect(world.lines).toEqual([]);
  });

  test('shows the certificate that is current when a handshake begins', async () => {
    const other = createSelfSigned(['127.0.0.1'], Date.now());
    const source = { context };
    const world = await start({ tls: () => ({ context: source.context }) });
    const before = await connect(world);
    source.context = readKeyPair(other.cert, other.key).context;
    const after = await connect(world, { ca: other.cert });
    expect((after.socket as TLSSocket).authorized).toBe(true);
    before.send('still here');
    await world.until('bytes', () => world.handlers[0]?.text === 'still here');
    for (const { socket } of [before, after]) socket.destroy();
  });

  test('cuts a handshake that is broken, takes too long or is broken off', async () => {
    const world = await start(tls);
    const plain = await world.dial();
    plain.send(Buffer.from('101000044d5154540402003c0004746f6f6c', 'hex'));
    await world.until('the end', () => plain.ended);
    const gone = await world.dial();
    await world.until('a handshake', () => world.transport.connectionCount === 1);
    gone.drop();
    await world.until('no handshake', () => world.transport.connectionCount === 0);
    const slow = await world.dial();
    slow.send('\x16\x03\x01');
    await world.until('a handshake', () => world.transport.connectionCount === 1);
    world.clock.advance(TCP_DEFAULTS.handshakeMs - TICK_MS);
    await world.settle();
    expect(world.transport.connectionCount).toBe(1);
    world.clock.advance(3 * TICK_MS);
    await world.until('the end', () => slow.ended);
    expect(world.transport.connectionCount).toBe(0);
    expect(world.capacity.count).toBe(0);
    expect(world.wheel.armedCount).toBe(0);
    expect(world.links).toEqual([]);
    expect(world.lines.filter((line) => !line.startsWith('debug'))).toEqual([]);
  });

  test('cuts a connection when it has no certificate to show', async () => {
    const world = await start({
      tls: () => {
        throw new Error('planted');
      },
    });
    const peer = await world.dial();
    await world.until('the end', () => peer.ended);
    expect(world.lines).toEqual(['error there is no certificate to show']);
    expect(world.capacity.count).toBe(0);
  });

  test('cuts handshakes when it stops', async () => {
    const world = await start(tls);
    const peer = await world.dial();
    await world.until('a handshake', () => world.transport.connectionCount === 1);
    await world.transport.stop();
    await world.until('the end', () => peer.ended);
    expect(world.capacity.count).toBe(0);
  });
});
