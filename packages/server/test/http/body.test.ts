import { describe, expect, test } from 'vitest';
import type { HttpAnswer, HttpRequest } from '@trunkline/server/internal/http/request.ts';
import { answerTo, problemIn, requestText, settle, startListener, until } from './set-up.ts';

const BODY_MAX = 1000;

/** Answers with the size of the body, or with why there is none. */
async function measureBody(request: HttpRequest): Promise<HttpAnswer> {
  try {
    const body = await request.body(BODY_MAX);
    return { status: 200, body: `${body.length} bytes` };
  } catch (error) {
    return answerTo(error);
  }
}

describe('a body', () => {
  test.each([
    ['declared', requestText('POST /', 'Content-Length: 1001'), ''],
    [
      'sent in chunks',
      requestText('POST /', 'Transfer-Encoding: chunked'),
      `3e9\r\n${'x'.repeat(1001)}\r\n`,
    ],
  ])('over the limit, %s, is answered 413 and the end', async (_how, head, body) => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(head, body, 'x'.repeat(5_000));
    await client.seesEnd();
    expect(problemIn(client)).toMatchObject({ status: 413, code: 'too_large' });
  });

  test('of exactly the limit is read', async () => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Content-Length: 1000') + 'x'.repeat(1000));
    await client.sees('1000 bytes');
    await client.send(
      requestText('POST /', 'Transfer-Encoding: chunked') +
        `3E8;a=b\r\n${'x'.repeat(1000)}\r\n0\r\nX: y\r\n\r\n`,
    );
    await client.sees('1000 bytes', 2);
  });

  test('of thousands of tiny chunks is read', async () => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(
      requestText('POST /', 'Transfer-Encoding: chunked') + '1\r\nx\r\n'.repeat(1000) + '0\r\n\r\n',
    );
    await client.sees('1000 bytes');
  });

  test('that nobody reads ends the connection after the answer', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send(requestText('POST /a', 'Content-Length: 100000'), 'x'.repeat(10_000));
    await client.seesEnd();
    expect(client.text).toContain('connection: close');
    expect(client.text).toContain('POST /a');
  });

  test('that came with its head and nobody read keeps the connection', async () => {
    await using server = await startListener();
    const client = await server.connect();
    // The second is read by node:http itself, not from what the door had read.
    await client.send(requestText('POST /a', 'Content-Length: 3') + 'abc');
    await client.send(requestText('POST /b', 'Content-Length: 3') + 'abc');
    await client.send(requestText('GET /c'));
    await client.sees('GET /c');
  });

  test('is asked for when the client waits to be', async () => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Content-Length: 3', 'Expect: 100-continue'));
    await client.sees('HTTP/1.1 100 Continue\r\n\r\n');
    await client.send('abc');
    await client.sees('3 bytes');
  });

  test('is not asked for when it would be refused', async () => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Content-Length: 3000', 'Expect: 100-continue'));
    await client.seesEnd();
    expect(client.text).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('that is badly framed is answered 400 and the end', async () => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Transfer-Encoding: chunked'), 'zz\r\n');
    await client.seesEnd();
    expect(problemIn(client)).toMatchObject({ status: 400, code: 'bad_request' });
  });

  test('that is badly framed from its first byte is answered 400 and the end', async () => {
    await using server = await startListener({ onRequest: measureBody });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Transfer-Encoding: chunked') + 'zz\r\n');
    await client.seesEnd();
    expect(problemIn(client)).toMatchObject({ status: 400, code: 'bad_request' });
  });

  test('that is cut off fails for its reader', async () => {
    let reason: unknown;
    await using server = await startListener({
      onRequest: async (request) => {
        await request.body(BODY_MAX).catch((error: unknown) => (reason = error));
        return { status: 200 };
      },
    });
    const client = await server.connect();
    await client.send(requestText('POST /', 'Content-Length: 30'), 'abc');
    client.reset();
    await until(() => reason !== undefined, 'the reader is told');
    expect(reason).toMatchObject({ code: 'bad_request' });
    await settle();
    expect(server.wheel.armedCount).toBe(0);
  });

  test('is read once', async () => {
    await using server = await startListener({
      onRequest: async (request) => {
        await request.body(10);
        return { status: 200, body: String(await request.body(10).catch((error) => error)) };
      },
    });
    const client = await server.connect();
    await client.send(requestText('GET /'));
    await client.sees('read once');
  });
});
