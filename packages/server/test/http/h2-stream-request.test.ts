import { describe, expect, test } from 'vitest';
import { H2Client } from './h2-client.ts';
import { settle, startListener, until } from './set-up.ts';

const connect = (port: number) => H2Client.connect(`http://127.0.0.1:${port}`);

describe('an undecided request for a stream of HTTP/2', () => {
  test('whose peer leaves gets a stream that closes', async () => {
    await using server = await startListener();
    await using client = await connect(server.port);
    const call = client.upgrade('/v1/ws');
    await until(() => server.streams.length === 1, 'the request');
    call.stream.close(8);
    await call.done();
    await settle();
    const stream = server.streams[0]?.accept(200, {});
    let closed = false;
    stream?.on('close', () => (closed = true));
    stream?.write('to nobody');
    await until(() => closed, 'the close');
  });

  test('can be refused after its peer left, or its session', async () => {
    await using server = await startListener();
    const client = await connect(server.port);
    client.upgrade('/v1/ws');
    await until(() => server.streams.length === 1, 'the request');
    await client[Symbol.asyncDispose]();
    await until(() => server.listener.connectionCount === 0, 'no connection');
    server.streams[0]?.refuse({ status: 403 });
    await settle();
    expect(server.wheel.armedCount).toBe(0);
  });

  test('can be decided once', async () => {
    await using server = await startListener();
    await using client = await connect(server.port);
    client.upgrade('/v1/ws');
    await until(() => server.streams.length === 1, 'the request');
    server.streams[0]?.accept(200, {});
    expect(() => server.streams[0]?.refuse({ status: 403 })).toThrow('decided before');
  });

  test('is not read beyond its window, and what came is there afterwards', async () => {
    await using server = await startListener();
    await using client = await connect(server.port);
    const call = client.upgrade('/v1/ws');
    call.stream.write(Buffer.alloc(300_000));
    await until(() => server.streams.length === 1, 'the request');
    await settle();
    expect(call.stream.writableLength).toBeGreaterThan(200_000);
    const stream = server.streams[0]?.accept(200, {});
    let size = 0;
    stream?.on('data', (chunk: Buffer) => (size += chunk.length));
    await until(() => size === 300_000, 'all bytes');
  });

  test('is refused with an answer, and its client told to stop', async () => {
    await using server = await startListener({
      onUpgrade: (request) => request.refuse({ status: 403, body: 'no' }),
    });
    await using client = await connect(server.port);
    const call = await client.upgrade('/v1/ws').done();
    expect(call).toMatchObject({ status: 403, text: 'no', ended: true });
    expect(call.stream.rstCode).toBe(0);
  });

  test('that does not take its refusal is reset, and the session goes on', async () => {
    await using server = await startListener({
      onUpgrade: (request) => request.refuse({ status: 403, body: 'no' }),
    });
    const url = `http://127.0.0.1:${server.port}`;
    await using client = await H2Client.connect(url, { settings: { initialWindowSize: 0 } });
    const call = client.upgrade('/v1/ws');
    await call.answered();
    await settle();
    server.clock.advance(121_000);
    await call.done();
    expect(call).toMatchObject({ status: 403, text: '' });
    expect(call.stream.rstCode).toBe(8);
    expect((await client.call('/a', { ':method': 'HEAD' }).done()).status).toBe(200);
    expect(server.listener.http2.streamCount).toBe(0);
  });

  test('can be refused without a body', async () => {
    await using server = await startListener({
      onUpgrade: (request) => request.refuse({ status: 403 }),
    });
    await using client = await connect(server.port);
    expect((await client.upgrade('/v1/ws').done()).status).toBe(403);
  });

  test('can be refused again when a header of the first refusal was wrong', async () => {
    await using server = await startListener({
      onUpgrade: (request) => request.refuse({ status: 403, headers: { 'x-a': '\n' } }),
    });
    await using client = await connect(server.port);
    expect((await client.upgrade('/v1/ws').done()).status).toBe(500);
  });
});
