import { describe, expect, test } from 'vitest';
import type { Port } from '../../src/tabs/port.ts';
import { broadcastPort, messagePort, portPair } from '../../src/tabs/ports.ts';

/** The next values that a port hears. */
function heard(port: Port, count: number): Promise<unknown[]> {
  const values: unknown[] = [];
  return new Promise((resolve) =>
    port.listen((value) => {
      if (values.push(value) === count) resolve(values);
    }),
  );
}

const channels = (): [Port, Port] => {
  const { port1, port2 } = new MessageChannel();
  return [messagePort(port1), messagePort(port2)];
};
let count = 0;
const broadcasts = (): [Port, Port] => {
  count += 1;
  return [broadcastPort(`test ${count}`), broadcastPort(`test ${count}`)];
};

describe.each([
  { over: 'a pair in one page', make: portPair },
  { over: 'message ports', make: channels },
  { over: 'a broadcast channel', make: broadcasts },
])('a way over $over', ({ make }) => {
  test('carries clones in their order', async () => {
    const [near, far] = make();
    const first = { n: [1] };
    const arrived = heard(far, 3);
    near.post(first);
    near.post(2);
    first.n.push(9);
    near.post(3);
    expect(await arrived).toEqual([{ n: [1] }, 2, 3]);
    near.close();
    far.close();
  });

  test('does nothing once it is closed', async () => {
    const [near, far] = make();
    const arrived = heard(far, 1);
    near.post(1);
    near.close();
    near.close();
    near.post(2);
    expect(await arrived).toEqual([1]);
    far.close();
  });
});

test.each([
  { over: 'a pair in one page', make: portPair },
  { over: 'message ports', make: channels },
])('$over keeps in order what comes before somebody listens', async ({ make }) => {
  const [near, far] = make();
  near.post(1);
  await Promise.resolve();
  near.post(2);
  const arrived = heard(far, 3);
  near.post(3);
  expect(await arrived).toEqual([1, 2, 3]);
  near.close();
  far.close();
});
