import { CodedError } from '@trunkline/wire';
import { ManualClock } from '@trunkline/testkit';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { StateEvent } from '../src/connection/connection.ts';
import { everything } from '../src/index.ts';
import { Line } from '../src/line.ts';
import type { LineOptions } from '../src/line.ts';
import { FakeTransport } from './support/fake-transport.ts';

/** What ends with the test has nobody who waits for it. */
const ignore = (): void => {};

async function setUp(options: Partial<LineOptions> = {}) {
  const clock = new ManualClock();
  const server = new FakeTransport();
  const line = new Line('http://server.example', {
    features: everything,
    ...{ clock, random: () => 0.5, transports: [server] },
    ...options,
  });
  onTestFinished(() => line.close());
  const states: StateEvent[] = [];
  line.on('state', (event) => states.push(event));
  await clock.settle();
  return { clock, server, line, states };
}

test.each(['', 'nowhere', 'ftp://server.example'])('refuses %j as an address', (url) => {
  expect(() => new Line(url, { transports: [] })).toThrow(/^url must be like/);
});

test('says what there is to try when nothing can work here', async () => {
  const clock = new ManualClock();
  const server = Object.assign(new FakeTransport(), { fault: () => 'no sockets here' });
  const line = new Line('http://server.example', { clock, transports: [server] });
  const states: StateEvent[] = [];
  line.on('state', (event) => states.push(event));
  await clock.settle();
  expect(line.state).toBe('disconnected');
  await expect(line.publish('a', 1)).rejects.toThrow('no sockets here');
});

test('connects by itself and tells how it goes', async () => {
  const { server, line, states } = await setUp();
  expect(line.state).toBe('connecting');
  server.accept();
  expect([line.state, line.transport]).toEqual(['connected', 'websocket']);
  server.drop();
  expect(states).toEqual([
    { state: 'connected', transport: 'websocket' },
    { state: 'connecting', reason: 'dropped' },
  ]);
  expect(line.explain().tried).toMatchObject([{ name: 'websocket' }]);
});

test('publishes when it can, in the order it was told to', async () => {
  const { server, line, clock } = await setUp();
  line.publish('a', 1, { key: 'k1' }).catch(ignore);
  line.publish('a', 2, { key: 'k2' }).catch(ignore);
  expect(line.waiting).toBe(2);
  server.accept();
  await clock.settle();
  expect(server.asks).toMatchObject([
    { members: '"channel":"a","data":1,"key":"k1"' },
    { members: '"channel":"a","data":2,"key":"k2"' },
  ]);
});

test('says why it did not publish what waits for no other connection', async () => {
  const { server, line } = await setUp();
  const waiting = line.publish('a', 1, { retry: false });
  line.publish('a', 2).catch(ignore);
  server.drop();
  const error = { code: 'unavailable', message: 'dropped', stored: false };
  await expect(waiting).rejects.toMatchObject(error);
  expect(line.waiting).toBe(1);
});

test('rejects what can not be published', async () => {
  const { line } = await setUp();
  await expect(line.publish('a', () => {})).rejects.toMatchObject({
    code: 'bad_request',
    stored: false,
  });
});

test('rejects what waits when it is closed, and takes it again when it is opened', async () => {
  const { server, line, clock } = await setUp();
  const waiting = line.publish('a', 1);
  line.close();
  await expect(waiting).rejects.toMatchObject({ code: 'unavailable', stored: false });
  await expect(line.publish('a', 2)).rejects.toThrow('closed');
  await expect(line.call('x')).rejects.toThrow('closed');
  line.open();
  await clock.settle();
  server.accept();
  line.publish('a', 3).catch(ignore);
  await clock.settle();
  expect(server.asks).toHaveLength(1);
});

test('rejects what waits when the server refuses for good', async () => {
  const { line, clock } = await setUp({
    token: () => {
      throw new CodedError('forbidden', 'no token for you');
    },
  });
  const waiting = line.publish('a', 1);
  await expect(waiting).rejects.toMatchObject({ code: 'forbidden', stored: false });
  await clock.settle();
  expect(line.state).toBe('disconnected');
});

test('calls a service', async () => {
  const { server, line, clock } = await setUp();
  server.accept();
  void line.call('sum', [1, 2]);
  await clock.settle();
  expect(server.asks).toEqual([{ kind: 'call', members: '"method":"sum","data":[1,2]' }]);
});

test('tells tools of its session and of what is read', async () => {
  const { server, line, clock } = await setUp();
  expect([line.session, line.user]).toEqual([undefined, undefined]);
  server.accept();
  const end = line.channel('a').subscribe(() => {});
  line.channel('a').subscribe(() => {});
  line.channel('b/+').subscribe(() => {});
  await clock.settle();
  expect(line.session).toBe('s');
  const read = () =>
    line.subscriptions.inspect().map((one) => [one.filter, one.subscriptions.size]);
  expect(read()).toEqual([
    ['a', 2],
    ['b/+', 1],
  ]);
  end();
  expect(read()[0]).toEqual(['a', 1]);
});

test('[AUTH-5] tells that a newer token took the place of a good one', async () => {
  const unixMs = 1_700_000_000_000;
  const tokenOf = (exp: number): string => `h.${btoa(JSON.stringify({ exp }))}.s`;
  const tokens = [tokenOf(unixMs / 1000 + 60), tokenOf(unixMs / 1000 + 600)];
  const { server, line, clock } = await setUp({
    token: () => tokens.shift() ?? '',
    unixMs: () => unixMs,
  });
  let count = 0;
  line.on('token', () => (count += 1));
  server.accept();
  expect(count).toBe(0);
  await clock.pass(60_000);
  expect([count, line.state]).toEqual([1, 'connected']);
});

test('tells developers of errors that nobody listens for', async () => {
  const { line } = await setUp();
  const told: unknown[] = [];
  vi.stubGlobal('reportError', (error: unknown) => told.push(error));
  onTestFinished(() => void vi.unstubAllGlobals());
  line.report('lost');
  line.on('error', ignore);
  line.report('again');
  expect(told).toEqual([new Error('lost')]);
});

test('leaves no timer behind', async () => {
  const { server, line, clock } = await setUp();
  server.accept();
  line.channel('a').subscribe(() => {});
  line.publish('a', 1).catch(ignore);
  line.send('b', 1);
  await clock.settle();
  server.drop();
  line.close();
  await clock.settle();
  expect(clock.timerCount).toBe(0);
});

test('leaves no timer behind when the server refuses for good, until it is opened', async () => {
  const isAllowed = { value: false };
  const { server, line, clock } = await setUp({
    token: () => {
      if (isAllowed.value) return 't';
      throw new CodedError('forbidden', 'no token for you');
    },
  });
  line.channel('a').subscribe(() => {});
  await clock.settle();
  expect([line.state, clock.timerCount]).toEqual(['disconnected', 0]);
  isAllowed.value = true;
  line.open();
  await clock.settle();
  server.accept();
  expect(line.state).toBe('connected');
});

describe('without features', () => {
  const lean = { features: {} };

  test('publishes once, when it can, in the order it was told to', async () => {
    const { server, line, clock } = await setUp(lean);
    line.publish('a', 1).catch(ignore);
    // Told in the middle of becoming ready: it must not overtake what waits.
    line.on('state', () => void line.publish('a', 2).catch(ignore));
    expect(line.waiting).toBe(0);
    server.accept();
    await clock.settle();
    expect(server.asks).toMatchObject([
      { members: '"channel":"a","data":1' },
      { members: '"channel":"a","data":2' },
    ]);
  });

  test('[PUB-4] what certainly was not sent is rejected as such', async () => {
    const { line } = await setUp(lean);
    const waiting = line.publish('a', 1);
    line.close();
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable', stored: false });
  });

  test('sends at once or not at all', async () => {
    const { server, line } = await setUp(lean);
    line.send('a', 1);
    server.accept();
    line.send('a', 2);
    expect(server.sent).toEqual(['"channel":"a","data":2']);
  });

  test('says what members, history and schemas need', async () => {
    const { line } = await setUp(lean);
    const channel = line.channel('a');
    expect(() => channel.members).toThrow('features: { members }');
    await expect(channel.history()).rejects.toThrow('features: { history }');
    const { schema } = {
      schema: { '~standard': { version: 1, vendor: 'x', validate: () => ({ value: 1 }) } } as const,
    };
    expect(() => line.channel('a', { schema })).toThrow('features: { schemas }');
  });

  test('reads, and tells who is there to whoever listens', async () => {
    const { server, line, clock } = await setUp(lean);
    server.accept();
    const told: unknown[] = [];
    line.channel('a', { presence: true }).subscribe({
      onMessage: ({ data }) => void told.push(data),
      onPresence: ({ kind }) => void told.push(kind),
    });
    await clock.settle();
    expect(server.wishes).toEqual([{ filter: 'a', presence: true }]);
    server.push('a', 1);
    await clock.settle();
    expect(told).toEqual([1]);
  });
});
