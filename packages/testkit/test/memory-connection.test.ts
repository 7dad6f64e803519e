import { expect, test } from 'vitest';
import { ManualClock } from '../src/manual-clock.ts';
import { MemoryConnection } from '../src/memory-connection.ts';
import { MemoryLink } from '../src/memory-link.ts';

function setUp() {
  const clock = new ManualClock();
  const connection = new MemoryConnection();
  const links = [0, 1, 2].map(() => new MemoryLink({ clock, connection }));
  const [a, b, c] = links;
  if (a === undefined || b === undefined || c === undefined) throw new Error('expected three');
  return { clock, connection, a, b, c };
}

test('links take what they send from one window', async () => {
  const { clock, connection, a, b } = setUp();
  connection.hold();
  connection.allow(6);
  a.send('1234');
  b.send('5678');
  await clock.settle();
  expect([a.frames, b.frames]).toEqual([['1234'], []]);
  expect(b.pendingBytes).toBe(2);
  connection.allow(2);
  await clock.settle();
  expect(b.frames).toEqual(['5678']);
});

test('a link that stands still does not hold up the others', async () => {
  const { clock, connection, a, b } = setUp();
  connection.hold();
  connection.allow(4);
  a.hold();
  a.send('1234');
  b.send('5678');
  await clock.settle();
  expect([a.frames, b.frames]).toEqual([[], ['5678']]);
});

test('a window that opens serves another link first each time', async () => {
  const { clock, connection, a, b } = setUp();
  connection.hold();
  for (const link of [a, b]) for (const frame of ['1', '2']) link.send(frame);
  await clock.settle();
  connection.allow(1);
  connection.allow(1);
  await clock.settle();
  expect([a.frames.length, b.frames.length]).toEqual([1, 1]);
});

test('a connection that breaks ends all its links, but not those that ended before', async () => {
  const { clock, connection, a, b, c } = setUp();
  c.leave();
  await clock.settle();
  connection.drop();
  await clock.settle();
  expect([a.isGone, b.isGone]).toEqual([true, true]);
  expect(connection.isBroken).toBe(true);
});
