/**
 * A server that is killed with SIGKILL while it publishes. What it acknowledged must be there, and
 * no place in a stream may ever have held two messages.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createEmbeddedBroker } from '@trunkline/server/internal/backplanes/embedded/create.ts';
import type { EmbeddedBroker } from '@trunkline/server/internal/backplanes/embedded/broker.ts';
import { systemClock } from '@trunkline/server/internal/clock.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { systemRandom } from '@trunkline/server/internal/random.ts';
import { seededRandom } from '@trunkline/testkit';
import type { Acknowledged } from './publisher.ts';
import { temporaryDirectory } from './worlds.ts';

const PUBLISHER = fileURLToPath(new URL('./publisher.ts', import.meta.url));

/** Runs a publisher until it has acknowledged so many, kills it, and gives all it acknowledged. */
async function publishUntilKilled(
  directory: string,
  seed: number,
  mode: 'honest' | 'hasty',
  count: number,
): Promise<Acknowledged[]> {
  const child = spawn(process.execPath, [PUBLISHER, directory, `${seed}`, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const acknowledged: Acknowledged[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    // The last line may have been cut off.
    if (!line.endsWith('}')) continue;
    acknowledged.push(JSON.parse(line) as Acknowledged);
    if (acknowledged.length === count) child.kill('SIGKILL');
  }
  const [, signal] = await exited;
  expect(signal).toBe('SIGKILL');
  return acknowledged;
}

/** Every message of a channel, by position; and what is wrong with their order. */
async function readAll(broker: EmbeddedBroker, channel: string, faults: string[]) {
  const found = new Map<string, string>();
  let after = 0;
  for (;;) {
    const range = { after, countMax: 1000, sizeMax: 2 ** 24 };
    const { epoch, top, messages } = await broker.read(channel, range);
    for (const { offset, payload } of messages) {
      if (offset !== after + 1) faults.push(`${channel} has ${offset} after ${after}`);
      after = offset;
      found.set(`${epoch}:${offset}`, new TextDecoder().decode(payload));
    }
    if (messages.length === 0) {
      if (after !== top) faults.push(`${channel} ends at ${after}, its top is ${top}`);
      return found;
    }
  }
}

/** Kills a server several times over one directory. @returns what broke, in words. */
async function faultsAfterKills(mode: 'honest' | 'hasty', seed: number, rounds: number) {
  await using directory = await temporaryDirectory();
  const random = seededRandom(seed);
  const faults: string[] = [];
  /** What was ever seen or acknowledged at a place. */
  const known = new Map<string, string>();
  for (let round = 0; round < rounds; round += 1) {
    const count = 1 + random.integer(1500);
    const acknowledged = await publishUntilKilled(directory.path, seed + round, mode, count);
    const broker = createEmbeddedBroker({
      directory: directory.path,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    });
    await broker.open({ onMessage() {}, onGap() {}, onBroadcast() {} });
    for (const { channel, epoch, offset, text } of acknowledged) {
      const place = `${channel} ${epoch}:${offset}`;
      if (known.get(place) !== undefined) faults.push(`${place} was given twice`);
      known.set(place, text);
    }
    const found = new Map<string, string>();
    for (let index = 0; index < 5; index += 1) {
      const channel = `room/${index}`;
      for (const [position, text] of await readAll(broker, channel, faults)) {
        found.set(`${channel} ${position}`, text);
      }
    }
    for (const [place, text] of known) {
      if (found.get(place) === undefined) faults.push(`${place} is missing`);
      else if (found.get(place) !== text) faults.push(`${place} is another message`);
    }
    for (const [place, text] of found) known.set(place, text);
    // A publisher that saw no answer tries again with its key: still once.
    const last = acknowledged.at(-1);
    if (last !== undefined && mode === 'honest') {
      const payload = new TextEncoder().encode(last.text);
      const again = await broker.publish(
        last.channel,
        { payload },
        {
          retention: { countMax: 1_000_000, sizeMax: 2 ** 40, ageMsMax: 86_400_000 },
          durable: true,
          idempotency: { key: last.key, scope: 'p' },
        },
      );
      if (!again.duplicate) faults.push(`${last.key} was stored again`);
    }
    await broker.close();
  }
  return faults;
}

test.each([1, 2, 3])(
  'loses nothing acknowledged when it is killed (seed %i)',
  async (seed) => {
    expect(await faultsAfterKills('honest', seed * 1000, 3)).toEqual([]);
  },
  60_000,
);

test('would notice a server that acknowledges before it commits', async () => {
  const faults = await faultsAfterKills('hasty', 9000, 2);
  expect(faults.some((fault) => fault.endsWith('is missing'))).toBe(true);
}, 60_000);
