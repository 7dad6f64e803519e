import { ManualClock } from '@trunkline/testkit';
import { expect, onTestFinished, test } from 'vitest';
import { Monitor } from '../../src/devtools/monitor.ts';
import { everything } from '../../src/index.ts';
import { Line } from '../../src/line.ts';
import { FakeTransport } from '../support/fake-transport.ts';

/** A line that is connected, and what a monitor sees of it from then on. */
async function setUp() {
  const clock = new ManualClock();
  const unixMs = (): number => clock.unixMs();
  const server = new FakeTransport();
  const shared = { clock, random: () => 0.5, unixMs };
  const options = { ...shared, transports: [server], features: everything };
  const line = new Line('http://server.example', options);
  onTestFinished(() => line.close());
  await clock.settle();
  const told: unknown[] = [];
  const read = (name: string): (() => void) =>
    line.channel(name).subscribe({
      onMessage: ({ data }) => void told.push(data),
      onGap: () => {},
    });
  const monitor = new Monitor(line, { clock, unixMs });
  onTestFinished(() => monitor.end());
  return { clock, server, line, monitor, read, told };
}

test('counts what readers are told, once for all readers of a channel', async () => {
  const { clock, server, monitor, read, told } = await setUp();
  read('a');
  read('a');
  server.accept();
  await clock.settle();
  server.push('a', 1, 2);
  await clock.pass(1000);
  expect(told).toEqual([1, 1, 2, 2]);
  const [view] = monitor.read().channels;
  expect(view).toMatchObject({
    ...{ name: 'a', state: 'live', readers: 2, after: 'e:2', count: 2, gapCount: 0, perSecond: 2 },
  });
  expect(view?.seconds.at(-1)).toBe(2);
});

test('sees those that read already, and leaves them as they were', async () => {
  const { clock, server, line, read, told, monitor: first } = await setUp();
  read('a');
  server.accept();
  await clock.settle();
  const listeners = line.subscriptions.inspect().flatMap((one) => [...one.subscriptions]);
  first.end();
  const before = listeners.map(({ listener }) => listener.onEvent);
  const monitor = new Monitor(line, { clock, unixMs: () => clock.unixMs() });
  server.push('a', 1);
  expect(monitor.read().channels).toMatchObject([{ name: 'a', count: 1 }]);
  expect(first.read().channels).toMatchObject([{ name: 'a', count: 0 }]);
  monitor.end();
  monitor.end();
  expect(listeners.map(({ listener }) => listener.onEvent)).toEqual(before);
  expect(Object.hasOwn(line.subscriptions, 'add')).toBe(false);
  server.push('a', 2);
  expect(monitor.read().channels).toMatchObject([{ name: 'a', count: 1 }]);
  expect(told).toEqual([1, 2]);
});

test('tells connections, losses and gaps, the newest first', async () => {
  const { clock, server, monitor, read } = await setUp();
  expect(monitor.read()).toMatchObject({ state: 'connecting', happenings: [], reconnectCount: 0 });
  read('a');
  read('a');
  server.accept();
  await clock.settle();
  server.lose('a');
  server.drop();
  await clock.pass(10_000);
  server.accept();
  const view = monitor.read();
  expect(view).toMatchObject({ state: 'connected', session: 's', reconnectCount: 1, waiting: 0 });
  expect(view.channels).toMatchObject([{ gapCount: 1 }]);
  expect(view.happenings.map(({ kind, text }) => [kind, text])).toEqual([
    ['connected', 'connected over websocket'],
    ['lost', 'lost: dropped'],
    ['gap', 'a: messages were lost (trimmed)'],
    ['connected', 'connected over websocket'],
  ]);
});

test('joins what happens again and again', async () => {
  const { clock, server, monitor } = await setUp();
  for (let round = 0; round < 3; round += 1) {
    server.drop();
    await clock.pass(60_000);
  }
  const { happenings } = monitor.read();
  expect(happenings).toMatchObject([{ kind: 'lost', text: 'not connected: dropped', count: 3 }]);
});

test('tells why it ended, and what waits', async () => {
  const { line, monitor } = await setUp();
  line.publish('a', 1).catch(() => {});
  expect(monitor.read().waiting).toBe(1);
  line.report(new Error('something broke'));
  line.close();
  expect(monitor.read().happenings.map(({ text }) => text)).toEqual(['closed', 'something broke']);
});
