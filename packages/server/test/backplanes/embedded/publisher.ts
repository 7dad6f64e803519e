/**
 * A process that publishes until it is killed, and prints each acknowledged message as a line of
 * JSON. Started by kill.test.ts as `publisher.ts DIRECTORY SEED MODE`; with the mode `purging` it
 * purges channels meanwhile, with the mode `hasty` it makes on purpose the mistake that the test
 * must notice.
 */
import { EmbeddedBroker } from '@trunkline/server/internal/backplanes/embedded/broker.ts';
import { EMBEDDED_DEFAULTS } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import { MemoryStore } from '@trunkline/server/internal/backplanes/embedded/memory-store.ts';
import { SqliteStore } from '@trunkline/server/internal/backplanes/embedded/sqlite-store.ts';
import type { Operation, Outcome } from '@trunkline/server/internal/backplanes/embedded/store.ts';
import { systemClock } from '@trunkline/server/internal/clock.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { systemRandom } from '@trunkline/server/internal/random.ts';
import { seededRandom } from '@trunkline/testkit';

/** What the process prints for an acknowledged message. */
export interface Acknowledged {
  readonly channel: string;
  readonly epoch: string;
  readonly offset: number;
  readonly text: string;
  readonly key: string;
}

/** What it prints when it asks for a purge, and when that was acknowledged. */
export interface Purged {
  readonly purge: string;
  readonly done: boolean;
}

const PUBLISHERS = 20;

/** Acknowledges as soon as it can tell what the outcomes will be, and commits afterwards. */
class HastyStore extends SqliteStore {
  readonly #tops = new Map<string, { epoch: string; offset: number }>();
  #committing: Promise<unknown> = Promise.resolve();

  override async commit(operations: readonly Operation[], nowMs: number): Promise<Outcome[]> {
    const channels = operations.map((one) => (one.kind === 'append' ? one.channel : ''));
    const committing = this.#committing.then(() => super.commit(operations, nowMs));
    this.#committing = committing;
    if (channels.every((channel) => this.#tops.has(channel))) {
      return channels.map((channel) => {
        const place = this.#tops.get(channel) ?? { epoch: '', offset: 0 };
        place.offset += 1;
        return { kind: 'appended', ...place, time: nowMs, sequence: 0 };
      });
    }
    const outcomes = await committing;
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.kind !== 'appended') continue;
      const { epoch, offset } = outcome;
      this.#tops.set(channels[index] ?? '', { epoch, offset });
    }
    return outcomes;
  }
}

async function main(directory: string, seed: number, mode: string): Promise<void> {
  const limits = EMBEDDED_DEFAULTS;
  const parts = { clock: systemClock, log: silentLog, limits };
  const Store = mode === 'hasty' ? HastyStore : SqliteStore;
  const durable = new Store({ directory, sync: 'full', ...parts });
  const memory = new MemoryStore({ random: systemRandom, limits });
  const broker = new EmbeddedBroker({ memory, durable, ...parts });
  await broker.open({ onMessage() {}, onGap() {}, onBroadcast() {} });
  const random = seededRandom(seed);
  const retention = { countMax: 1_000_000, sizeMax: 2 ** 40, ageMsMax: 86_400_000 };
  const publishOne = async (publisher: number, count: number): Promise<void> => {
    const channel = `room/${random.integer(5)}`;
    const text = `${seed}/${publisher}/${count}/${'x'.repeat(random.integer(2000))}`;
    const key = `${seed}/${publisher}/${count}`;
    const payload = new TextEncoder().encode(text);
    const idempotency = { key, scope: 'p' };
    const given = { retention, durable: true, ...(mode !== 'hasty' && { idempotency }) };
    const { position } = await broker.publish(channel, { payload }, given);
    const line: Acknowledged = { channel, ...position, text, key };
    // What the process has not yet written when it dies was not acknowledged.
    process.stdout.write(`${JSON.stringify(line)}\n`);
  };
  const publish = async (publisher: number): Promise<void> => {
    for (let count = 0; ; count += 1) await publishOne(publisher, count);
  };
  const print = (line: Purged): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
  const purge = async (): Promise<void> => {
    for (let count = 0; ; count += 1) {
      const channel = `room/${random.integer(5)}`;
      await publishOne(PUBLISHERS, count); // Between two purges there is something to be purged.
      print({ purge: channel, done: false });
      await broker.purge(channel);
      print({ purge: channel, done: true });
    }
  };
  const publishers = Array.from({ length: PUBLISHERS }, (_, index) => publish(index));
  await Promise.all(mode === 'purging' ? [...publishers, purge()] : publishers);
}

const [, , directory = '', seed = '0', mode = 'honest'] = process.argv;
// The test imports this file for its types alone.
if (import.meta.main) await main(directory, Number(seed), mode);
