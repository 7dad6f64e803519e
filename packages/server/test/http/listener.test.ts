import { describe, expect, test } from 'vitest';
import type { HttpAnswer } from '@trunkline/server/internal/http/request.ts';
import {
  HANDSHAKE,
  RawClient,
  requestText,
  settle,
  startListener,
  TestListener,
  until,
} from './set-up.ts';

describe('start', () => {
  test('says where it listens', async () => {
    await using server = new TestListener();
    const address = await server.listener.start();
    expect(address.host).toBe('127.0.0.1');
    expect(address.port).toBeGreaterThan(0);
  });

  test('fails when the port is taken', async () => {
    await using server = await startListener();
    await expect(server.listener.start()).rejects.toThrow();
  });
});

describe('stop', () => {
  test('takes no new connections and ends those without a request', async () => {
    await using server = await startListener();
    const fresh = await server.connect();
    const kept = await server.connect();
    await kept.send(requestText('GET /'));
    await server.listener.stop();
    await fresh.seesEnd();
    await kept.seesEnd();
    await until(() => server.listener.connectionCount === 0, 'no connection');
    await using late = new RawClient(server.port);
    await until(() => late.closed, 'the connection is refused');
    await server.listener.stop();
  });

  test('lets requests and streams be', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    await using server = await startListener({
      onRequest: () => new Promise((resolve) => answers.push(resolve)),
      onUpgrade: (request) => {
        const stream = request.accept(101, {});
        stream.on('data', (chunk: Buffer) => stream.write(chunk));
      },
    });
    const stream = await server.connect();
    await stream.send(HANDSHAKE);
    const poll = await server.connect();
    await poll.send(requestText('GET /a') + requestText('GET /b'));
    await server.listener.stop();
    await settle();
    expect(poll.ended).toBe(false);
    answers[0]?.({ status: 200, body: 'now' });
    await until(() => answers.length === 2, 'the request behind it');
    answers[1]?.({ status: 200, body: 'then' });
    await poll.seesEnd();
    expect(poll.text.match(/connection: \S+/gi)).toEqual([
      'Connection: keep-alive',
      'connection: close',
    ]);
    await stream.send('still here');
    await stream.sees('still here');
    expect(server.listener.connectionCount).toBe(1);
    server.listener.destroyAll();
    await until(() => server.listener.connectionCount === 0, 'no connection');
  });

  test('serves a request whose head has begun, and ends the connection with its answer', async () => {
    await using server = await startListener();
    const first = await server.connect();
    await first.send('GET /a HTTP/1.1\r\n');
    const later = await server.connect();
    await later.send(requestText('GET /a'), 'GET /b HTTP/1.1\r\n');
    await server.listener.stop();
    await first.send('Host: a\r\n\r\n');
    await later.send('Host: a\r\n\r\n');
    await first.seesEnd();
    await later.seesEnd();
    expect(first.text).toContain('GET /a');
    expect(first.text).toContain('connection: close');
    expect(later.text).toContain('GET /b');
  });

  test('before start does nothing', async () => {
    await using server = new TestListener();
    await server.listener.stop();
    expect(server.listener.connectionCount).toBe(0);
  });
});

test('closeIdle ends connections without a request and no others', async () => {
  let answer: ((answer: HttpAnswer) => void) | undefined;
  await using server = await startListener({
    onRequest: () => new Promise((resolve) => (answer = resolve)),
  });
  const idle = await server.connect();
  const busy = await server.connect();
  await busy.send(requestText('GET /'));
  server.listener.closeIdle();
  await idle.seesEnd();
  answer?.({ status: 200, body: 'kept' });
  await busy.sees('kept');
  expect(server.listener.connectionCount).toBe(1);
});
