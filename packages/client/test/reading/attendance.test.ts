/** The members of a channel of a line, as its listeners come and go. */
import { ManualClock } from '@trunkline/testkit';
import { expect, onTestFinished, test } from 'vitest';
import type { Channel } from '../../src/channel.ts';
import { everything } from '../../src/index.ts';
import { Line } from '../../src/line.ts';
import { FakeTransport } from '../support/fake-transport.ts';

const ROOM = 'room/1';
const ANN = { session: 'a1', user: 'ann', since: 1 };
const BOB = { session: 'b1', user: 'bob', since: 2 };

async function setUp() {
  const clock = new ManualClock();
  const server = new FakeTransport();
  const line = new Line('http://server.example', {
    features: everything,
    ...{ clock, random: () => 0.5, transports: [server] },
  });
  onTestFinished(() => line.close());
  await clock.settle();
  server.accept();
  await clock.settle();
  const channel: Channel = line.channel(ROOM, { presence: true, last: 3 });
  return { clock, server, line, channel };
}

test('[PRES-9] one wish on the wire reads messages and who is there', async () => {
  const { clock, server, channel } = await setUp();
  const end = channel.subscribe(() => {});
  await clock.settle();
  expect(server.wishes).toEqual([{ filter: ROOM, last: 3, presence: true }]);
  server.list(ROOM, ANN);
  expect(channel.members).toMatchObject({ all: [ANN], isLive: true });
  end();
  expect(channel.members).toMatchObject({ all: [ANN], isLive: false });
  await clock.settle();
  expect(server.read.size).toBe(0);
});

test('[PRES-9] who only listens to the members has them followed, and ends that', async () => {
  const { clock, server, line } = await setUp();
  const { members } = line.channel(ROOM);
  const told: number[] = [];
  const end = members.subscribe(() => void told.push(members.count));
  const other = members.subscribe(() => {});
  await clock.settle();
  expect(server.wishes).toEqual([{ filter: ROOM, presence: true }]);
  server.list(ROOM, ANN);
  await clock.settle();
  expect([told, members.isLive]).toEqual([[1], true]);
  end();
  end();
  server.join(ROOM, BOB);
  await clock.settle();
  expect([told, members.count]).toEqual([[1], 2]);
  other();
  await clock.settle();
  expect([server.read.size, members.isLive]).toEqual([0, false]);
});

test('who only listens to the members hears of a refusal by the line, and once', async () => {
  const { clock, server, line, channel } = await setUp();
  const errors: unknown[] = [];
  line.on('error', (error) => errors.push(error));
  const { members } = line.channel(ROOM);
  members.subscribe(() => {});
  members.subscribe(() => {});
  await clock.settle();
  server.refuse(ROOM, 'forbidden');
  expect(errors).toMatchObject([{ code: 'forbidden' }]);
  // Where somebody reads the channel as well, that one is told.
  channel.members.subscribe(() => {});
  channel.subscribe({ onMessage: () => {}, onEnd: (error) => errors.push(error) });
  await clock.settle();
  server.refuse(ROOM, 'forbidden');
  expect(errors).toHaveLength(2);
});

test('[PRES-5] however many listen, a change is taken once and at once', async () => {
  const { clock, server, channel } = await setUp();
  const ends = [channel.subscribe(() => {}), channel.subscribe(() => new Promise<void>(() => {}))];
  await clock.settle();
  server.push(ROOM, 'one that is never done');
  // More than are listed, so that they are counted by the changes alone.
  server.crowd(ROOM, 20_000, ANN);
  server.join(ROOM, BOB);
  expect(channel.members.count).toBe(20_001);
  server.leave(ROOM, ANN);
  expect(channel.members).toMatchObject({ count: 20_000, all: [BOB] });
  ends[0]?.();
  ends[0]?.();
  expect(channel.members.isLive).toBe(true);
  ends[1]?.();
  expect(channel.members.isLive).toBe(false);
});

test('the list is kept while the connection is lost, and is not live', async () => {
  const { clock, server, channel } = await setUp();
  channel.subscribe(() => {});
  await clock.settle();
  server.list(ROOM, ANN, BOB);
  server.drop();
  expect(channel.members).toMatchObject({ count: 2, isLive: false });
  await clock.pass(10_000);
  server.accept();
  await clock.settle();
  server.list(ROOM, BOB);
  expect(channel.members).toMatchObject({ all: [BOB], count: 1, isLive: true });
});

test('nobody is there when the server ended it, and a listener that comes later begins anew', async () => {
  const { clock, server, channel } = await setUp();
  const end = channel.subscribe({ onMessage: () => {}, onEnd: () => {} });
  await clock.settle();
  server.list(ROOM, ANN);
  server.refuse(ROOM, 'forbidden');
  expect(channel.members).toMatchObject({ all: [], isLive: false });
  channel.subscribe(() => {});
  end();
  await clock.settle();
  server.list(ROOM, BOB);
  expect(channel.members).toMatchObject({ all: [BOB], isLive: true });
});

test('[REC-7] a loop that ends at a loss is one listener less', async () => {
  const { clock, server, channel } = await setUp();
  const loop = channel[Symbol.asyncIterator]().next();
  await clock.settle();
  server.list(ROOM, ANN);
  server.lose(ROOM);
  await expect(loop).rejects.toThrow('were lost');
  await clock.settle();
  expect(server.read.size).toBe(0);
  expect(channel.members.isLive).toBe(false);
});
