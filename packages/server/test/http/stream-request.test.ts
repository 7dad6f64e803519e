import { describe, expect, test } from 'vitest';
import { HANDSHAKE, settle, startListener, until } from './set-up.ts';

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
