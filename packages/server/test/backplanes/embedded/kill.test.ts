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
import type { Acknowledged, Purged } from './publisher.ts';
import { temporaryDirectory } from './worlds.ts';

const PUBLISHER = fileURLToPath(new URL('./publisher.ts', import.meta.url));

/** Runs a publisher until it has printed so many lines, kills it, and gives all it printed. */
async function publishUntilKilled<Line = Acknowledged>(
  directory: string,
  seed: number,
  mode: 'honest' | 'hasty' | 'purging',
  count: number,
): Promise<Line[]> {
  const child = spawn(process.execPath, [PUBLISHER, directory, `${seed}`, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const acknowledged: Line[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    // The last line may have been cut off.
    if (!line.endsWith('}')) continue;
    acknowledged.push(JSON.parse(line) as Line);
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

/** Kills a server that purges, once. @returns what broke, in words. */
async function faultsAfterPurges(seed: number): Promise<string[]> {
  await using directory = await temporaryDirectory();
  const count = 200 + seededRandom(seed).integer(800);
  const lines = await publishUntilKilled<Acknowledged | Purged>(
    directory.path,
    seed,
    'purging',
    count,
  );
  const broker = createEmbeddedBroker({
    directory: directory.path,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  await broker.open({ onMessage() {}, onGap() {}, onBroadcast() {} });
  const faults: string[] = [];
  for (let index = 0; index < 5; index += 1) {
    const channel = `room/${index}`;
    const found = await readAll(broker, channel, faults);
    const isPurge = (line: Acknowledged | Purged) => 'purge' in line && line.purge === channel;
    const last = lines.findLast(isPurge);
    const purged = lines.findLastIndex((line) => isPurge(line) && 'done' in line && line.done);
    for (const [at, line] of lines.entries()) {
      if ('purge' in line || line.channel !== channel) continue;
      const text = found.get(`${line.epoch}:${line.offset}`);
      if (at < purged) {
        if (text !== undefined) faults.push(`${channel} ${line.text} is back`);
        continue;
      }
      // One that was asked for last, and not acknowledged, may be stored or not.
      const isDoubtful = last !== undefined && 'done' in last && !last.done;
      if (!isDoubtful && text !== line.text) faults.push(`${channel} ${line.text} is missing`);
    }
  }
  await broker.close();
  return faults;
}

test.each([1, 2, 3, 4])(
  'keeps what it acknowledged as purged away when it is killed (seed %i)',
  async (seed) => {
    expect(await faultsAfterPurges(seed * 100)).toEqual([]);
  },
  60_000,
);

test('would notice a server that acknowledges before it commits', async () => {
  const faults = await faultsAfterKills('hasty', 9000, 2);
  expect(faults.some((fault) => fault.endsWith('is missing'))).toBe(true);
}, 60_000);
