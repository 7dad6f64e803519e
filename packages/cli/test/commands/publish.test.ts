import { describe, expect, test } from 'vitest';
import { run } from '../../src/main.ts';
import { fakeIo } from '../support/io.ts';
import { startPublishServer } from '../support/publish-server.ts';

describe('trunkline publish', () => {
  test('publishes text, and prints the position', async () => {
    await using server = await startPublishServer();
    const io = fakeIo({ env: { TRUNKLINE_URL: server.url, TRUNKLINE_TOKEN: 't' } });
    const args = ['publish', 'room/1', 'hello', '--event', 'said', '--key', 'k'];
    expect(await run(args, io)).toBe(0);
    expect(server.taken).toEqual([
      { channel: 'room/1', data: 'hello', contentType: 'text/plain', event: 'said', key: 'k' },
    ]);
    expect(io.outText()).toBe('e:1\n');
    expect([...server.authorizations]).toEqual(['Bearer t']);
  });

  test('publishes JSON when told to', async () => {
    await using server = await startPublishServer();
    const io = fakeIo();
    expect(await run(['publish', 'a', '{"x": 1}', '--json', '--url', server.url], io)).toBe(0);
    expect(server.taken).toEqual([{ channel: 'a', data: { x: 1 } }]);
  });

  test('fails when refused, and says why', async () => {
    await using server = await startPublishServer(() => 'break');
    const io = fakeIo();
    expect(await run(['publish', 'a', 'x', '--url', server.url], io)).toBe(1);
    expect(io.errText()).toMatch(/^trunkline: unavailable: /);
  });
});

describe('trunkline publish does not wait', () => {
  test('for a server that is not there', async () => {
    const { url, [Symbol.asyncDispose]: close } = await startPublishServer();
    await close();
    const io = fakeIo({ stdin: 'a\nb\n' });
    expect(await run(['publish', 'a', 'x', '--url', url], io)).toBe(1);
    expect(io.errText()).toMatch(/^trunkline: unavailable: connect ECONNREFUSED \S+$/m);
    expect(await run(['publish', 'a', '--url', url], io)).toBe(1);
    expect(io.errText()).toMatch(/line 1: unavailable: .*\n.*line 2: unavailable: .*\n/);
    // What found nobody is certainly not stored.
    expect(io.errText()).not.toContain('may have been stored');
  });

  test.each([
    [401, 'unauthenticated'],
    [403, 'forbidden'],
    [429, 'rate_limited'],
    [503, 'unavailable'],
  ])('where it is refused with %i', async (status, code) => {
    const problem = { code, detail: 'in words', retryAfter: 60_000, stored: false };
    let asked = 0;
    const io = fakeIo({
      fetch: (_, init) => {
        asked += 1;
        if (init?.method !== 'POST') return Promise.resolve(new Response(null, { status: 204 }));
        return Promise.resolve(new Response(JSON.stringify(problem), { status }));
      },
    });
    expect(await run(['publish', 'a', 'x'], io)).toBe(1);
    expect(io.errText()).toBe(`trunkline: ${code}: in words\n`);
    expect(asked).toBe(2);
  });
});

describe('trunkline publish from standard input', () => {
  const count = 5000;
  const stdin = Array.from({ length: count }, (_, index) => `${index + 1}\n`).join('');

  test('keeps the order of lines, in few requests, one at a time', async () => {
    await using server = await startPublishServer();
    const io = fakeIo({ stdin });
    expect(await run(['publish', 'a', '--json', '--url', server.url], io)).toBe(0);
    expect(server.taken.map(({ data }) => data)).toEqual(
      Array.from({ length: count }, (_, index) => index + 1),
    );
    expect(server.mostAtOnce).toBe(1);
    expect(server.batches.length).toBeLessThan(100);
    expect(Math.max(...server.batches)).toBeLessThanOrEqual(500);
    expect(io.out).toHaveLength(count);
    expect(io.out.at(-1)).toBe(`e:${count}\n`);
  });

  test('sends a line at once, without waiting for the next', async () => {
    await using server = await startPublishServer();
    let printed = () => {};
    const answered = new Promise<void>((resolve) => (printed = resolve));
    const typing = async function* () {
      yield new TextEncoder().encode('first\n');
      await answered;
      yield new TextEncoder().encode('second\n');
    };
    const io = fakeIo({ stdin: typing() });
    const stdout = {
      ...io.stdout,
      write: (text: string) => {
        io.stdout.write(text);
        printed();
      },
    };
    expect(await run(['publish', 'a', '--url', server.url], { ...io, stdout })).toBe(0);
    expect(server.batches).toEqual([1, 1]);
  });

  test('names the lines that failed, tries the others, and ends with 1', async () => {
    await using server = await startPublishServer(({ data }) =>
      data === 2 ? { code: 'too_large', message: 'over the size limit', stored: false } : undefined,
    );
    const io = fakeIo({ stdin: '1\n2\n{x\n4\n' });
    expect(await run(['publish', 'a', '--json', '--url', server.url], io)).toBe(1);
    expect(server.taken.map(({ data }) => data)).toEqual([1, 2, 4]);
    expect(io.errText()).toMatch(/^trunkline: line 2: too_large: over the size limit$/m);
    expect(io.errText()).toMatch(/^trunkline: line 3: not JSON: /m);
    expect(io.errText()).toMatch(/^trunkline: 2 lines failed$/m);
    expect(io.out).toHaveLength(2);
  });

  test('says that a line may be stored when the connection broke', async () => {
    await using server = await startPublishServer(() => 'break');
    const io = fakeIo({ stdin: 'a\nb\n' });
    expect(await run(['publish', 'a', '--url', server.url], io)).toBe(1);
    expect(io.errText()).toMatch(/line 1: unavailable: .*\(it may have been stored\)/);
    expect(io.errText()).toMatch(/line 2: unavailable: .*\(it may have been stored\)/);
  });

  test('gives each line a key of its own', async () => {
    await using server = await startPublishServer();
    const io = fakeIo({ stdin: 'a\nb' });
    expect(await run(['publish', 'a', '--key', 'run7', '--url', server.url], io)).toBe(0);
    expect(server.taken.map(({ key }) => key)).toEqual(['run7:1', 'run7:2']);
  });

  test('publishes nothing from nothing, and does well', async () => {
    await using server = await startPublishServer();
    const io = fakeIo();
    expect(await run(['publish', 'a', '--url', server.url], io)).toBe(0);
    expect(server.batches).toEqual([]);
  });
});
