/** Publishes of the client whose connection is cut behind every byte, one after the other. */
import { setImmediate as turn } from 'node:timers/promises';
import { connect, longPoll, websocket } from '@trunkline/client';
import type { Transport } from '@trunkline/client';
import { describe, expect, test } from 'vitest';
import { CuttingProxy } from '../../src/cutting-proxy.ts';
import type { Cut } from '../../src/cutting-proxy.ts';
import { UncaughtErrors } from '../../src/faults.ts';
import { within } from '../../src/queue.ts';
import { startServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';

const CHANNEL = 'once';

/** More bytes than a conversation of one publish has. */
const SIZE_MAX = 4000;

/** Publishes so often over one line: what comes behind the first is on its way when that is cut. */
const COUNT = 3;

async function publishOver(
  proxy: CuttingProxy,
  transport: Transport,
  cut: Cut,
): Promise<readonly number[]> {
  const clock = new SkipClock();
  proxy.arm(cut);
  const line = connect(proxy.url, { clock, unixMs: () => clock.unixMs(), transports: [transport] });
  try {
    let isSettled = false;
    const published = Promise.all(
      Array.from({ length: COUNT }, (_, index) => line.publish(CHANNEL, `${cut.size} ${index}`)),
    ).finally(() => (isSettled = true));
    while (!isSettled) {
      for (let count = 0; count < 20; count += 1) await turn();
      clock.skip(100);
    }
    return (await within(published, 'the answers')).map(({ offset = 0 }) => offset);
  } finally {
    line.close();
  }
}

describe.each([websocket, longPoll])('over $name', (transport) => {
  test.each(['up', 'down'] as const)(
    '[GUA-6] [GUA-1] cut on the way %s, everything is stored once and in its order',
    async (way) => {
      using errors = new UncaughtErrors();
      await using server = await startServer({ dev: true });
      await using proxy = await CuttingProxy.before(server.port);
      const offsets: number[] = [];
      let size = 0;
      for (; size < SIZE_MAX; size += 1) {
        offsets.push(...(await publishOver(proxy, transport, { way, size })));
        // It was through before so many bytes had come.
        if (proxy.isArmed) break;
      }
      expect(size).toBeGreaterThan(200);
      expect(size).toBeLessThan(SIZE_MAX);
      const all = Array.from({ length: (size + 1) * COUNT }, (_, index) => index + 1);
      expect(offsets).toEqual(all);
      const line = connect(server.url);
      const stored: unknown[] = [];
      const page = await line.channel(CHANNEL).history({ after: 'start', limit: 1000 });
      for await (const { data } of page) stored.push(data);
      line.close();
      const texts = all.map(
        (offset) => `${Math.floor((offset - 1) / COUNT)} ${(offset - 1) % COUNT}`,
      );
      expect(stored).toEqual(texts.slice(-stored.length));
      expect(errors.found).toEqual([]);
      expect(server.faults).toEqual([]);
    },
  );
});
