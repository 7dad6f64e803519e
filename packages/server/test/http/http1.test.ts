import { describe, expect, test } from 'vitest';
import { DEFAULT_HTTP_LIMITS } from '@trunkline/server/internal/http/limits.ts';
import type { HttpAnswer } from '@trunkline/server/internal/http/request.ts';
import { requestText, settle, startListener, until } from './set-up.ts';

describe('requests in one piece', () => {
  test('are handed over one at a time, each behind the answer before it', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    await using server = await startListener({
      onRequest: () => new Promise((resolve) => answers.push(resolve)),
    });
    const client = await server.connect();
    await client.send(requestText('GET /a') + requestText('GET /b'));
    expect(answers).toHaveLength(1);
    answers[0]?.({ status: 200, body: 'first' });
    await client.sees('first');
    await until(() => answers.length === 2, 'the second request');
    answers[1]?.({ status: 200, body: 'second' });
    await client.sees('second');
    expect(client.text.indexOf('first')).toBeLessThan(client.text.indexOf('second'));
    expect(server.wheel.armedCount).toBe(1);
  });

  test('with large answers hold one of them at a time for a peer that does not read', async () => {
    const COUNT = 90;
    const SIZE = 1_000_000;
    await using server = await startListener({
      onRequest: async ({ path }) => ({ status: 200, body: `${path} `.padEnd(SIZE, 'x') }),
    });
    const client = await server.connect();
    client.socket.pause();
    const paths = Array.from({ length: COUNT }, (_, index) => `/${index}`);
    await client.send(paths.map((path) => requestText(`GET ${path}`)).join(''));
    await settle();
    // The kernel takes some of them into its own buffers.
    const begun = server.requests.length;
    expect(begun).toBeLessThan(COUNT / 3);
    await settle();
    expect(server.requests).toHaveLength(begun);
    const chunks: Buffer[] = [];
    let size = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
    });
    client.socket.resume();
    await until(() => size > COUNT * SIZE, 'the last answer');
    const text = Buffer.concat(chunks).toString('latin1');
    expect(text.match(/\/\d+(?= x)/g)).toEqual(paths);
    expect(server.requests.map(({ path }) => path)).toEqual(paths);
  });

  test('bring their bodies with them', async () => {
    const bodies: string[] = [];
    await using server = await startListener({
      onRequest: async (request) => {
        bodies.push(Buffer.from(await request.body(1_000_000)).toString());
        return { status: 200, body: 'ok' };
      },
    });
    const sizes = [3, 0, 200_000, 70_000, 5];
    const post = (size: number): string =>
      requestText('POST /', `Content-Length: ${size}`) + 'x'.repeat(size);
    const client = await server.connect();
    await client.send(sizes.map(post).join(''));
    await client.sees('HTTP/1.1 200', sizes.length);
    expect(bodies.map((body) => body.length)).toEqual(sizes);
    await client.send(post(2));
    await client.sees('HTTP/1.1 200', sizes.length + 1);
  });

  test('behind one that ends the connection are not handed over', async () => {
    let answer: ((answer: HttpAnswer) => void) | undefined;
    await using server = await startListener({
      onRequest: () => new Promise((resolve) => (answer = resolve)),
    });
    const client = await server.connect();
    await client.send(requestText('GET /a', 'Connection: close') + requestText('GET /b'));
    answer?.({ status: 200, body: 'last' });
    await client.seesEnd();
    expect(client.text).toContain('last');
    expect(server.requests).toHaveLength(1);
  });

  test('are forgotten with a peer that leaves', async () => {
    let aborted = 0;
    let answer: ((answer: HttpAnswer) => void) | undefined;
    await using server = await startListener({
      onRequest: (request) => {
        request.onAbort(() => (aborted += 1));
        return new Promise((resolve) => (answer = resolve));
      },
    });
    const client = await server.connect();
    await client.send(requestText('GET /').repeat(3));
    client.reset();
    await until(() => aborted > 0, 'the handler is told');
    answer?.({ status: 200, body: 'to nobody' });
    await settle();
    expect(server.requests).toHaveLength(1);
    expect(server.wheel.armedCount).toBe(0);
  });

  test('are all answered when the server stops', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    await using server = await startListener({
      onRequest: () => new Promise((resolve) => answers.push(resolve)),
    });
    const client = await server.connect();
    await client.send(requestText('GET /').repeat(3));
    const stopped = server.listener.stop();
    for (let count = 1; count <= 3; count += 1) {
      await until(() => answers.length === count, 'the next request');
      answers[count - 1]?.({ status: 200, body: 'ok' });
    }
    await client.seesEnd();
    await stopped;
    expect(client.text.match(/HTTP\/1\.1 200/g)).toHaveLength(3);
    expect(client.text.match(/connection: close/gi)).toHaveLength(1);
  });

  test('and refused wait behind a poll for longer than an answer may take', async () => {
    let answer: ((answer: HttpAnswer) => void) | undefined;
    await using server = await startListener({
      onRequest: () => new Promise((resolve) => (answer = resolve)),
    });
    const client = await server.connect();
    await client.send(requestText('GET /poll') + requestText('GET /v1/sse'));
    server.clock.advance(10 * DEFAULT_HTTP_LIMITS.answerMs);
    await settle();
    answer?.({ status: 200, body: 'polled' });
    await client.seesEnd();
    expect(client.text).toContain('polled');
    expect(client.text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400']);
  });

  test('before garbage are answered, then the connection ends', async () => {
    let answer: ((answer: HttpAnswer) => void) | undefined;
    await using server = await startListener({
      onRequest: async (request) => {
        if (request.method === 'GET') return new Promise((resolve) => (answer = resolve));
        return { status: 200, body: await request.body(10) };
      },
    });
    const client = await server.connect();
    const post = requestText('POST /b', 'Content-Length: 4') + 'body';
    await client.send(requestText('GET /a') + post + 'garbage\r\n\r\n');
    answer?.({ status: 200, body: 'ok' });
    await client.seesEnd();
    expect(client.text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
    expect(client.text.endsWith('body')).toBe(true);
    expect(client.text).not.toContain('400');
  });

  test('over the limit are answered 429 behind those that wait, and the end', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    await using server = await startListener(
      { onRequest: () => new Promise((resolve) => answers.push(resolve)) },
      { pipelinedMax: 3 },
    );
    const client = await server.connect();
    await client.send(requestText('GET /a').repeat(500), requestText('GET /b').repeat(500));
    expect(client.text).toBe('');
    for (let count = 1; count <= 3; count += 1) {
      await until(() => answers.length === count, 'the next request');
      answers[count - 1]?.({ status: 200, body: 'ok' });
    }
    await client.seesEnd();
    expect(answers).toHaveLength(3);
    expect(client.text.match(/HTTP\/1\.1 \d+/g)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 200',
      'HTTP/1.1 200',
      'HTTP/1.1 429',
    ]);
  });
});
