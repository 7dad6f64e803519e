import { ManualClock } from '@trunkline/testkit';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../src/index.ts';
import { FakeTransport } from './support/fake-transport.ts';

test('tries all there are, the best first', () => {
  const line = connect('http://server.example', { clock: new ManualClock() });
  onTestFinished(() => line.close());
  expect(line.explain().tried.map(({ name }) => name)).toEqual([
    'websocket',
    'sse',
    'long-poll',
    'short-poll',
  ]);
});

test('tries the way over other tabs first, where it is asked for', async () => {
  const clock = new ManualClock();
  const [shared, own] = [
    Object.assign(new FakeTransport(), { name: 'shared' }),
    new FakeTransport(),
  ];
  const given: unknown[] = [];
  const line = connect('http://server.example', {
    clock,
    token: 'secret',
    transports: [own],
    tabs: (mine) => {
      given.push(mine);
      return shared;
    },
  });
  onTestFinished(() => line.close());
  await clock.settle();
  shared.accept();
  expect(line.transport).toBe('shared');
  expect(given).toEqual([{ transports: [own], token: 'secret' }]);
});
