import { describe, expect, test } from 'vitest';
import { H2Client } from './h2-client.ts';
import { settle, startListener, until } from './set-up.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** An empty SETTINGS frame. */
const SETTINGS = '\0\0\0\x04\0\0\0\0\0';

/** The HEADERS frame of a GET. */
function requestFrame(stream: number, path: string): string {
  const size = String.fromCharCode(path.length);
  const block = `\x82\x86\x01\x01a\x04${size}${path}`;
  const length = String.fromCharCode(block.length);
  return `\0\0${length}\x01\x05\0\0\0${String.fromCharCode(stream)}${block}`;
}

const connect = (port: number) => H2Client.connect(`http://127.0.0.1:${port}`);

describe('a session', () => {
  test('counts as one connection, whatever its streams', async () => {
    await using server = await startListener();
    await using client = await connect(server.port);
    for (let count = 0; count < 10; count += 1) client.call('/v1/sse');
    await until(() => server.streams.length === 10, 'ten streams');
    const { listener } = server;
    expect(listener.connectionCount).toBe(1);
    expect(listener.http2).toMatchObject({ sessionCount: 1, streamCount: 10 });
    client.session.destroy();
    await until(() => listener.connectionCount === 0, 'no connection');
    expect(listener.http2).toMatchObject({ sessionCount: 0, streamCount: 0 });
  });

  test('is refused with its connection when its address has too many', async () => {
    await using server = await startListener({}, { connectionsPerAddressMax: 1 });
    await using client = await connect(server.port);
    const second = await server.connect();
    await second.sees('HTTP/1.1 429');
    await client[Symbol.asyncDispose]();
    await until(() => server.listener.connectionCount === 0, 'no connection');
    await using third = await connect(server.port);
    expect((await third.call('/a').done()).status).toBe(200);
  });

  test('that is silent is closed with GOAWAY, one with a stream is not', async () => {
    await using server = await startListener();
    await using silent = await connect(server.port);
    await using busy = await connect(server.port);
    const call = busy.call('/v1/sse');
    await until(() => server.streams.length === 1, 'a stream');
    server.clock.advance(76_000);
    await until(() => silent.closed, 'the end of the silent session');
    expect(silent.goaways).toContain(0);
    const stream = server.streams[0]?.accept(200, {});
    stream?.end('x');
    await call.done();
    expect(busy.closed).toBe(false);
    server.clock.advance(76_000);
    await until(() => busy.closed, 'the end of the other session');
    await until(() => server.wheel.armedCount === 0, 'no alarm');
  });

  test('that its peer does not end is cut', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(PREFACE + SETTINGS);
    server.clock.advance(76_000);
    await until(() => client.ended, 'the end of the server');
    expect(client.closed).toBe(false);
    await settle();
    server.clock.advance(6_000);
    await until(() => server.listener.connectionCount === 0, 'no connection');
  });

  test('whose peer leaves goes on until its last stream ends', async () => {
    await using server = await startListener();
    await using client = await connect(server.port);
    const call = client.call('/v1/sse');
    await until(() => server.streams.length === 1, 'a stream');
    client.session.goaway(0);
    for (let minute = 0; minute < 10; minute += 1) {
      await settle();
      server.clock.advance(60_000);
    }
    server.streams[0]?.accept(200, {}).end('goodbye');
    expect((await call.done()).text).toBe('goodbye');
    await until(() => server.listener.connectionCount === 0, 'no connection');
  });

  test.each([
    ['in a later segment', [1, 1, 1]],
    ['in the segment of its request', [3]],
  ])('whose peer breaks the rules behind its GOAWAY %s is cut', async (_what, cuts) => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(PREFACE + SETTINGS);
    const frames = [
      requestFrame(1, '/v1/sse'),
      '\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0',
      // DATA of a stream that never was.
      '\0\0\0\0\0\0\0\0\x05',
    ];
    for (const cut of cuts) await client.send(frames.splice(0, cut).join(''));
    await until(() => server.streams.length === 1, 'a stream');
    client.socket.end();
    await settle();
    server.clock.advance(76_000);
    await until(() => server.listener.connectionCount === 0, 'no connection');
    expect(server.listener.http2.streamCount).toBe(0);
    await until(() => server.wheel.armedCount === 0, 'no alarm');
  });

  test('ends with GOAWAY when its peer sends too many control frames', async () => {
    await using server = await startListener({}, {}, { http2Limits: { controlFramesBurst: 20 } });
    await using client = await connect(server.port);
    await using bystander = await connect(server.port);
    for (let count = 0; count < 40 && !client.session.destroyed; count += 1) {
      client.session.ping(() => {});
      await settle();
    }
    await until(() => client.closed, 'the end of the session');
    expect(client.goaways).toEqual([11]);
    expect((await bystander.call('/a').done()).status).toBe(200);
    expect(server.lines.filter(({ level }) => level !== 'debug')).toEqual([]);
  });

  test('may send control frames all day at a pace of its own', async () => {
    await using server = await startListener();
    await using client = await connect(server.port);
    for (let count = 0; count < 300; count += 1) {
      await new Promise<void>((resolve) => client.session.ping(() => resolve()));
      server.clock.advance(100);
      if (count % 100 === 0) expect((await client.call('/a').done()).status).toBe(200);
    }
    expect(client.closed).toBe(false);
  });

  test('refuses streams beyond those of all sessions, and takes them when there is room', async () => {
    await using server = await startListener({}, {}, { http2Limits: { streamsMax: 2 } });
    await using first = await connect(server.port);
    await using second = await connect(server.port);
    const held = first.call('/v1/sse');
    first.call('/v1/sse');
    await until(() => server.streams.length === 2, 'two streams');
    const refused = await second.call('/a').done();
    expect(refused.stream.rstCode).toBe(7);
    expect(server.requests).toEqual([]);
    held.stream.close(8);
    await held.done();
    await settle();
    expect((await second.call('/a').done()).status).toBe(200);
  });
});

test.each(['/a', '/v1/sse'])('a session that reads no answer to %s is cut', async (path) => {
  const body = Buffer.alloc(1_000_000);
  await using server = await startListener({
    onRequest: async () => ({ status: 200, body }),
    onEventStream: (request) => request.refuse({ status: 404, body }),
  });
  const client = await server.connect();
  client.socket.pause();
  // Windows that are never full: it is the connection that takes nothing.
  const windows = '\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff\0\0\x04\x08\0\0\0\0\0\x7f\0\0\0';
  const requests = Array.from({ length: 30 }, (_, index) => requestFrame(2 * index + 1, path));
  await client.send(PREFACE + windows + requests.join(''));
  await until(() => server.listener.http2.streamCount === 30, 'the streams');
  await settle();
  server.clock.advance(121_000);
  await until(() => server.listener.http2.streamCount === 0, 'no stream');
  server.clock.advance(76_000);
  await settle();
  server.clock.advance(6_000);
  await until(() => server.listener.connectionCount === 0, 'no connection');
});

test('[H2-6] an address has so many streams, however many its sessions', async () => {
  await using server = await startListener({}, {}, { http2Limits: { streamsPerAddressMax: 3 } });
  const first = await connect(server.port);
  await using second = await connect(server.port);
  for (const client of [first, first, second]) client.call('/v1/sse');
  await until(() => server.streams.length === 3, 'three streams');
  expect((await second.call('/a').done()).stream.rstCode).toBe(7);
  await first[Symbol.asyncDispose]();
  await until(() => server.listener.http2.streamCount === 1, 'one stream');
  expect((await second.call('/a').done()).status).toBe(200);
});

describe('the end of a listener', () => {
  test('[H2-7] says GOAWAY to idle sessions, and to others after their last stream', async () => {
    await using server = await startListener();
    await using idle = await connect(server.port);
    await using busy = await connect(server.port);
    const call = busy.call('/v1/sse');
    await until(() => server.streams.length === 1, 'a stream');
    await server.listener.stop();
    await until(() => idle.closed, 'the end of the idle session');
    expect(idle.goaways).toContain(0);
    await settle();
    expect(busy.goaways).toEqual([]);
    // What comes meanwhile is answered; what the answer is, the handlers know.
    expect((await busy.call('/late').done()).status).toBe(200);
    server.streams[0]?.accept(200, {}).end('goodbye');
    expect((await call.done()).text).toBe('goodbye');
    await until(() => busy.closed, 'the end of the busy session');
    expect(busy.goaways).toContain(0);
    await until(() => server.listener.connectionCount === 0, 'no connection');
  });

  test('cuts sessions with their streams at last', async () => {
    await using server = await startListener();
    await using client = await connect(server.port);
    const call = client.call('/v1/sse');
    await until(() => server.streams.length === 1, 'a stream');
    server.streams[0]?.accept(200, {}).write('x');
    await call.sees('x');
    await server.listener.stop();
    server.listener.destroyAll();
    await until(() => client.closed, 'the end');
    await until(() => server.listener.connectionCount === 0, 'no connection');
    await until(() => server.wheel.armedCount === 0, 'no alarm');
  });
});
