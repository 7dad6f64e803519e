import { describe, expect, test } from 'vitest';
import { H2Client } from './h2-client.ts';
import { answerTo, settle, startListener, until } from './set-up.ts';
import type { HttpAnswer, HttpRequest } from '@trunkline/server/internal/http/request.ts';

const connect = (port: number) => H2Client.connect(`http://127.0.0.1:${port}`);

/** Answers with the body, or with why there is none. */
function echoUpTo(sizeMax: number) {
  return async (request: HttpRequest): Promise<HttpAnswer> => {
    try {
      return { status: 200, body: await request.body(sizeMax) };
    } catch (error) {
      return answerTo(error);
    }
  };
}

const POST = { ':method': 'POST', ':path': '/a' };

describe('a body', () => {
  test('is read whole, however it comes', async () => {
    await using server = await startListener({ onRequest: echoUpTo(1_000_000) });
    await using client = await connect(server.port);
    const large = 'x'.repeat(700_000);
    const calls = [
      client.call('/a', { ':method': 'POST' }, 'hello'),
      client.call('/a', { ':method': 'POST' }, ''),
      client.call('/a', { ':method': 'POST' }),
      client.call('/a', { ':method': 'POST', 'content-length': '5' }, 'hello'),
      client.call('/a', { ':method': 'POST' }, large),
    ];
    const texts = await Promise.all(calls.map(async (call) => (await call.done()).text));
    expect(texts).toEqual(['hello', '', '', 'hello', large]);
  });

  test('over the limit is refused before it came, or as soon as it is over', async () => {
    await using server = await startListener({ onRequest: echoUpTo(10) });
    await using client = await connect(server.port);
    const declared = client.open({ ...POST, 'content-length': '11' });
    expect((await declared.done()).status).toBe(413);
    const growing = client.open(POST);
    growing.stream.write('x'.repeat(100_000));
    expect((await growing.done()).status).toBe(413);
    // RFC 9113 §8.1: all was said, nothing more is wanted.
    expect(growing.stream.rstCode).toBe(0);
    expect((await client.call('/a').done()).status).toBe(200);
  });

  test('that takes too long is refused as late', async () => {
    await using server = await startListener({ onRequest: echoUpTo(10) });
    await using client = await connect(server.port);
    const call = client.open(POST);
    call.stream.write('x');
    await until(() => server.requests.length === 1, 'the request');
    server.clock.advance(31_000);
    expect((await call.done()).status).toBe(408);
  });

  test('that nobody reads does not hold the answer up, nor other streams', async () => {
    await using server = await startListener({ onRequest: async () => ({ status: 204 }) });
    await using client = await connect(server.port);
    const calls = Array.from({ length: 20 }, () => {
      const call = client.open(POST);
      call.stream.write('x'.repeat(200_000));
      return call;
    });
    for (const call of calls) expect((await call.done()).status).toBe(204);
    expect((await client.call('/b').done()).status).toBe(204);
  });

  test('is asked for when the client waits to be asked', async () => {
    await using server = await startListener({ onRequest: echoUpTo(10) });
    await using client = await connect(server.port);
    const call = client.open({ ...POST, expect: '100-continue' });
    let asked = false;
    call.stream.on('continue', () => {
      asked = true;
      call.stream.end('hello');
    });
    expect((await call.done()).text).toBe('hello');
    expect(asked).toBe(true);
  });

  test('that is cut off is the end of its request', async () => {
    const failures: unknown[] = [];
    let aborts = 0;
    await using server = await startListener({
      async onRequest(request) {
        request.onAbort(() => (aborts += 1));
        await request.body(10).catch((error: unknown) => failures.push(error));
        return { status: 200 };
      },
    });
    await using client = await connect(server.port);
    // Node's client ends what it cuts, but this end comes before the length that was declared.
    const call = client.open({ ...POST, 'content-length': '5' });
    call.stream.write('x');
    await until(() => server.requests.length === 1, 'the request');
    call.stream.close(8);
    await until(() => failures.length === 1, 'the failure');
    expect(failures).toMatchObject([{ code: 'bad_request' }]);
    expect(aborts).toBe(1);
    expect((await client.call('/b').done()).status).toBe(200);
  });

  test('of unknown length waits for its turn while others are read, small ones do not', async () => {
    const limits = { http2Limits: { largeBodiesMax: 2 } };
    const bodies: number[] = [];
    await using server = await startListener(
      {
        async onRequest(request) {
          const { length } = await request.body(1_000_000);
          bodies.push(length);
          return { status: 200 };
        },
      },
      {},
      limits,
    );
    await using client = await connect(server.port);
    const calls = Array.from({ length: 4 }, () => client.open(POST));
    for (const call of calls) call.stream.write('x'.repeat(100));
    await until(() => server.requests.length === 4, 'four requests');
    const small = client.open({ ...POST, 'content-length': '5' });
    small.stream.end('hello');
    await small.done();
    // The third and fourth are complete and wait all the same.
    calls[2]?.stream.end();
    calls[3]?.stream.close(8);
    await settle();
    expect(bodies).toEqual([5]);
    calls[0]?.stream.end('y'.repeat(200_000));
    await calls[0]?.done();
    await calls[2]?.done();
    expect(bodies).toEqual([5, 200_100, 100]);
    server.clock.advance(31_000);
    await calls[1]?.done();
    // Whoever gave up, or took too long, has given its turn back.
    const late = await client.call('/a', { ':method': 'POST' }, 'late').done();
    expect(late.status).toBe(200);
  });

  test('is read once', async () => {
    await using server = await startListener({
      async onRequest(request) {
        await request.body(10);
        const again = await request.body(10).catch((error: Error) => error.message);
        return { status: 200, body: String(again) };
      },
    });
    await using client = await connect(server.port);
    expect((await client.call('/a').done()).text).toContain('read before');
  });
});

describe('an answer', () => {
  test('has the head of its status, and no body where there is none', async () => {
    await using server = await startListener({
      onRequest: async ({ path }) => ({
        status: Number(path.slice(1)),
        headers: { 'x-a': 'é', connection: 'close', 'keep-alive': '1' },
        body: 'body',
      }),
    });
    await using client = await connect(server.port);
    const full = await client.call('/200').done();
    expect(full).toMatchObject({ status: 200, text: 'body', ended: true });
    expect(full.headers['connection']).toBeUndefined();
    const none = await client.call('/204').done();
    expect(none).toMatchObject({ status: 204, text: '' });
    expect(none.headers['content-length']).toBeUndefined();
    const head = await client.call('/200', { ':method': 'HEAD' }).done();
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(head.headers['content-length']).toBe('4');
    expect((await client.call('/304').done()).text).toBe('');
  });

  test('that the peer does not take is given up, and the session goes on', async () => {
    const body = 'x'.repeat(500_000);
    await using server = await startListener({ onRequest: async () => ({ status: 200, body }) });
    await using client = await connect(server.port);
    const stuck = client.call('/a');
    stuck.stream.pause();
    await stuck.answered();
    server.clock.advance(60_000);
    expect((await client.call('/b').done()).text).toBe(body);
    expect(stuck.closed).toBe(false);
    server.clock.advance(61_000);
    stuck.stream.resume();
    await stuck.done();
    expect(stuck.stream.rstCode).toBe(8);
    expect(stuck.text.length).toBeLessThan(body.length);
  });

  test('[H2-6] is not sent while others of its session fill the room there is for them', async () => {
    await using server = await startListener(
      { onRequest: async () => ({ status: 200, body: Buffer.alloc(100_000) }) },
      {},
      { http2Limits: { answersSizeMax: 250_000 } },
    );
    const url = `http://127.0.0.1:${server.port}`;
    await using client = await H2Client.connect(url, { settings: { initialWindowSize: 0 } });
    const [first, second] = [
      await client.call('/a').answered(),
      await client.call('/b').answered(),
    ];
    expect((await client.call('/c').done()).stream.rstCode).toBe(11);
    expect((await client.call('/d', { ':method': 'HEAD' }).done()).status).toBe(200);
    await using other = await H2Client.connect(url);
    expect((await other.call('/e').done()).text).toHaveLength(100_000);
    first.stream.close(8);
    await first.done();
    await settle();
    expect((await client.call('/f').answered()).status).toBe(200);
    expect(second.closed).toBe(false);
  });

  test('to who went away is dropped, and whoever waits is told', async () => {
    const aborted: string[] = [];
    const release: (() => void)[] = [];
    await using server = await startListener({
      async onRequest(request) {
        request.onAbort(() => aborted.push(request.path));
        await new Promise<void>((resolve) => release.push(resolve));
        return { status: 200, body: 'late' };
      },
    });
    await using client = await connect(server.port);
    const call = client.call('/gone');
    await until(() => release.length === 1, 'the request');
    call.stream.close(8);
    await until(() => aborted.length === 1, 'the abort');
    release[0]?.();
    let late = 0;
    server.requests[0]?.onAbort(() => (late += 1));
    expect(late).toBe(1);
    const whole = client.call('/session');
    await until(() => release.length === 2, 'the second request');
    client.session.destroy();
    await until(() => aborted.length === 2, 'the second abort');
    await whole.done();
    expect(aborted).toEqual(['/gone', '/session']);
    await until(() => server.wheel.armedCount === 0, 'no alarm');
  });
});
