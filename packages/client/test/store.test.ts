/** Stores of channels, of who is in them, and of the connection. */
import { ManualClock } from '@trunkline/testkit';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ChannelOptions } from '../src/channel.ts';
import { everything } from '../src/index.ts';
import { Line } from '../src/line.ts';
import { channelStore, connectionStore, presenceStore, toReadable } from '../src/store.ts';
import type { ChannelSnapshot } from '../src/store.ts';
import { FakeTransport } from './support/fake-transport.ts';

const ROOM = 'room/1';
const LINGER_MS = 5000;

/** A line, connected unless told otherwise. */
async function setUp({ isAccepted = true } = {}) {
  const clock = new ManualClock();
  const server = new FakeTransport();
  const line = new Line('http://server.example', {
    features: everything,
    ...{ clock, random: () => 0.5, transports: [server] },
  });
  onTestFinished(() => line.close());
  await clock.settle();
  if (isAccepted) server.accept();
  await clock.settle();
  const storeOf = (options: ChannelOptions<unknown> = {}, count = 3) =>
    channelStore(line.channel(ROOM, options), { count });
  return { clock, server, line, storeOf };
}

const dataOf = ({ messages }: ChannelSnapshot): unknown[] => messages.map(({ data }) => data);

const ignore = (): void => {};

describe('the store of a channel', () => {
  test('reads nothing before somebody subscribes', async () => {
    const { clock, server, storeOf } = await setUp();
    expect(storeOf().get()).toEqual({ messages: [], status: 'subscribing' });
    await clock.settle();
    expect(server.wishes).toEqual([]);
  });

  test('holds the newest messages, in order', async () => {
    const { clock, server, storeOf } = await setUp();
    const store = storeOf({ last: 2 });
    store.subscribe(ignore);
    await clock.settle();
    expect(server.wishes).toEqual([{ filter: ROOM, last: 2 }]);
    expect(store.get().status).toBe('live');
    server.push(ROOM, 'a', 'b');
    expect(dataOf(store.get())).toEqual(['a', 'b']);
    server.push(ROOM, 'c', 'd', 'e', 'f', 'g');
    expect(dataOf(store.get())).toEqual(['e', 'f', 'g']);
  });

  test('gives the same snapshot until something has changed, and never changes one', async () => {
    const { clock, server, storeOf } = await setUp();
    const store = storeOf();
    expect(store.get()).toBe(store.get());
    store.subscribe(ignore);
    await clock.settle();
    server.push(ROOM, 'a');
    const before = store.get();
    expect(store.get()).toBe(before);
    server.push(ROOM, 'b');
    expect(store.get()).not.toBe(before);
    expect(dataOf(before)).toEqual(['a']);
  });

  test('tells the changes of a turn once', async () => {
    const { clock, server, storeOf } = await setUp();
    let told = 0;
    storeOf().subscribe(() => (told += 1));
    await clock.settle();
    told = 0;
    server.push(ROOM, 'a', 'b', 'c');
    expect(told).toBe(0);
    await clock.settle();
    expect(told).toBe(1);
  });

  test('is shared by all who ask for the same of the same line', async () => {
    const { clock, server, line, storeOf } = await setUp();
    const schema = { '~standard': { version: 1, vendor: 'x', validate: () => ({ value: 1 }) } };
    const typed = schema as NonNullable<ChannelOptions<unknown>['schema']>;
    expect(storeOf({ last: 2, echo: true })).toBe(storeOf({ echo: true, last: 2 }));
    expect(storeOf({ schema: typed })).toBe(storeOf({ schema: typed }));
    expect(storeOf({ schema: typed })).not.toBe(storeOf({ schema: { ...typed } }));
    expect(storeOf({ last: 2 })).not.toBe(storeOf({ last: 3 }));
    expect(storeOf({}, 4)).not.toBe(storeOf({}, 5));
    expect(channelStore(line.channel('room/2'))).not.toBe(channelStore(line.channel(ROOM)));
    storeOf().subscribe(ignore);
    storeOf().subscribe(ignore);
    await clock.settle();
    server.push(ROOM, 'a');
    expect(dataOf(storeOf().get())).toEqual(['a']);
    expect(server.wishes).toHaveLength(1);
  });

  test('goes on for a moment when the last has gone, so that coming back touches no wire', async () => {
    const { clock, server, storeOf } = await setUp();
    const store = storeOf();
    const leave = store.subscribe(ignore);
    await clock.settle();
    leave();
    leave();
    await clock.pass(LINGER_MS - 1);
    server.push(ROOM, 'a');
    const leaveAgain = store.subscribe(ignore);
    await clock.pass(60_000);
    expect(server.wishes).toHaveLength(1);
    expect(dataOf(store.get())).toEqual(['a']);
    leaveAgain();
    await clock.pass(LINGER_MS);
    expect(server.read.size).toBe(0);
    expect(store.get()).toEqual({ messages: [], status: 'subscribing' });
  });

  test('begins anew when somebody comes after its end', async () => {
    const { clock, server, storeOf } = await setUp();
    const store = storeOf({ last: 1 });
    store.subscribe(ignore)();
    await clock.pass(LINGER_MS);
    store.subscribe(ignore);
    await clock.settle();
    server.push(ROOM, 'a');
    expect(dataOf(store.get())).toEqual(['a']);
    expect(store).toBe(storeOf({ last: 1 }));
  });

  test('is subscribing while the connection is lost, and keeps its messages', async () => {
    const { clock, server, storeOf } = await setUp();
    const store = storeOf();
    let told = 0;
    store.subscribe(() => (told += 1));
    await clock.settle();
    server.push(ROOM, 'a');
    await clock.settle();
    told = 0;
    server.drop();
    await clock.settle();
    expect(told).toBe(1);
    expect(store.get()).toMatchObject({ status: 'subscribing', messages: [{ data: 'a' }] });
    await clock.pass(10_000);
    server.accept();
    await clock.settle();
    server.push(ROOM, 'b');
    expect(store.get().status).toBe('live');
    expect(dataOf(store.get())).toEqual(['a', 'b']);
    expect(server.wishes.at(-1)).toMatchObject({ after: 'e:1' });
  });

  test('[REC-7] says what was lost', async () => {
    const { clock, server, storeOf } = await setUp();
    const store = storeOf();
    store.subscribe(ignore);
    await clock.settle();
    server.push(ROOM, 'a');
    server.lose(ROOM);
    server.push(ROOM, 'b');
    expect(store.get()).toMatchObject({
      messages: [{ data: 'a' }, { data: 'b' }],
      gap: { gap: { reason: 'trimmed' }, position: 'e:6' },
    });
  });

  test('ends with an error when the server will not have it read', async () => {
    const { clock, server, storeOf } = await setUp();
    const store = storeOf();
    const leave = store.subscribe(ignore);
    await clock.settle();
    server.refuse(ROOM, 'forbidden');
    expect(store.get()).toMatchObject({ status: 'ended', error: { code: 'forbidden' } });
    leave();
    await clock.pass(LINGER_MS);
    store.subscribe(ignore);
    await clock.settle();
    expect(store.get()).toEqual({ messages: [], status: 'live' });
  });

  test('holds no more than it may while nobody looks', async () => {
    const { clock, server, storeOf } = await setUp();
    const store = storeOf();
    store.subscribe(ignore);
    await clock.settle();
    for (let n = 0; n < 100; n += 1) server.push(ROOM, n);
    expect(dataOf(store.get())).toEqual([97, 98, 99]);
  });
});

describe('waiting for a store', () => {
  test('begins to read, and resolves when it is live', async () => {
    const { clock, server, storeOf } = await setUp({ isAccepted: false });
    const store = storeOf();
    const ready = store.ready();
    expect(store.ready()).toBe(ready);
    await clock.settle();
    server.accept();
    await ready;
    expect(store.get().status).toBe('live');
    expect(store.ready()).toBeUndefined();
  });

  test('resolves when it has failed', async () => {
    const { server, storeOf } = await setUp();
    server.forbidden.add(ROOM);
    const store = storeOf();
    await store.ready();
    expect(store.get().status).toBe('ended');
  });

  test('does not wait again after a lost connection', async () => {
    const { server, storeOf } = await setUp();
    const store = storeOf();
    store.subscribe(ignore);
    await store.ready();
    server.drop();
    expect(store.ready()).toBeUndefined();
  });

  test('ends the reading when nobody comes, and resolves so that it is asked for again', async () => {
    const { clock, server, storeOf } = await setUp({ isAccepted: false });
    const store = storeOf();
    const ready = store.ready();
    await clock.pass(30_000);
    await ready;
    const again = store.ready();
    expect(again).not.toBe(ready);
    server.accept();
    await again;
    await clock.pass(30_000);
    expect(server.read.size).toBe(0);
  });

  test('goes on when somebody comes', async () => {
    const { clock, server, storeOf } = await setUp();
    const store = storeOf();
    await store.ready();
    store.subscribe(ignore);
    await clock.pass(60_000);
    expect(server.read.size).toBe(1);
    expect(server.wishes).toHaveLength(1);
  });
});

describe('the store of presence', () => {
  const ann = { session: 'a1', user: 'ann', since: 1 };

  test('[PRES-5] [PRES-7] follows who is there', async () => {
    const { clock, server, line } = await setUp();
    const store = presenceStore(line.channel(ROOM));
    const nobody = { members: [], count: 0, isComplete: false, isLive: false };
    expect(store.get()).toEqual(nobody);
    const leave = store.subscribe(ignore);
    await clock.settle();
    expect(server.wishes).toMatchObject([{ filter: ROOM, presence: true }]);
    server.list(ROOM, ann);
    expect(store.get()).toEqual({ members: [ann], count: 1, isComplete: true, isLive: true });
    expect(store.get()).toBe(store.get());
    server.drop();
    expect(store.get()).toMatchObject({ members: [ann], isLive: false });
    leave();
    await clock.pass(LINGER_MS);
    expect(store.get()).toEqual(nobody);
  });

  test('is shared, whatever the options of the channel', async () => {
    const { line } = await setUp();
    expect(presenceStore(line.channel(ROOM))).toBe(presenceStore(line.channel(ROOM, { last: 1 })));
  });

  test('says why there is none', async () => {
    const { clock, server, line } = await setUp();
    server.forbidden.add(ROOM);
    const store = presenceStore(line.channel(ROOM));
    store.subscribe(ignore);
    await store.ready();
    await clock.settle();
    expect(store.get()).toMatchObject({ isLive: false, error: { code: 'forbidden' } });
  });
});

describe('the store of the connection', () => {
  test('says how it stands, also to who has not subscribed', async () => {
    const { server, line } = await setUp({ isAccepted: false });
    const store = connectionStore(line);
    expect(store.get()).toEqual({ state: 'connecting' });
    server.accept();
    expect(store.get()).toEqual({ state: 'connected', transport: 'websocket' });
    expect(store).toBe(connectionStore(line));
    expect(store.get()).toBe(store.get());
  });

  test('says why it is lost', async () => {
    const { clock, server, line } = await setUp();
    const store = connectionStore(line);
    let told = 0;
    const leave = store.subscribe(() => (told += 1));
    server.drop();
    await clock.settle();
    expect(told).toBe(1);
    expect(store.get()).toEqual({ state: 'connecting', reason: 'dropped' });
    leave();
    line.close();
    await clock.settle();
    expect(told).toBe(1);
  });
});

test('a readable tells the state at once and after every change', async () => {
  const { clock, server, storeOf } = await setUp();
  const told: unknown[] = [];
  const end = toReadable(storeOf()).subscribe((snapshot) => told.push(dataOf(snapshot)));
  expect(told).toEqual([[]]);
  await clock.settle();
  server.push(ROOM, 'a');
  await clock.settle();
  expect(told.at(-1)).toEqual(['a']);
  end();
});
