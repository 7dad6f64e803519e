/** Random readers of random patterns, against a reader that checks every frame with the log. */
import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { anyone, setUp } from '../hub-setup.ts';
import { away } from '../scripted-broker.ts';
import { Reader } from './reader.ts';
import type { Published } from './reader.ts';

const CHANNELS = ['a', 'b', 'c'].flatMap((group) =>
  Array.from({ length: 10 }, (_, index) => `${group}/${index}`),
);
const PATTERNS = ['#', '+/#', 'a/+', 'b/#', '+/1', '+/2', 'a/#', 'c/+'];
const NAMES = ['a/1', 'a/2', 'b/1', 'b/3', 'c/2'];

/** What a run may meet beside publishes, subscribes and slow links. */
interface Weather {
  readonly steps: number;
  readonly readers: number;
  readonly faults: boolean;
  readonly plant?: Reader['plant'];
}

async function run(
  seed: number,
  { steps, readers: count, faults, plant }: Weather,
): Promise<string[]> {
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T | undefined =>
    list[Math.floor(random.fraction() * list.length)];
  const world = setUp({ presence: { listed: false, graceMs: 0 } }, 400);
  const { broker, clock, hub } = world;
  await hub.open();
  const published: Published = [];
  const tops = new Map<string, number>();
  const publish = (): void => {
    const channel = pick(CHANNELS) ?? '';
    const offset = (tops.get(channel) ?? 0) + 1;
    tops.set(channel, offset);
    published.push({ channel, offset });
    void hub.publish(anyone, channel, { payload: new Uint8Array(1) });
  };
  const readers = Array.from({ length: count }, (_, index) => {
    return new Reader(`r${index}`, world, published);
  });
  for (const reader of readers) reader.plant = plant;
  const subscribe = (reader: Reader): void => {
    const filter = random.fraction() < 0.6 ? pick(PATTERNS) : pick(NAMES);
    if (filter === undefined) return;
    const followed = [...reader.following].find(([name]) => name === filter)?.[1].place;
    const starts = [undefined, undefined, 'start', followed?.startsWith('~') ? followed : 'start'];
    reader.subscribe(filter, pick(starts));
  };
  const actions: (() => void)[] = [
    publish,
    publish,
    publish,
    publish,
    () => subscribe(pick(readers) ?? readers[0]!),
    () => {
      const reader = pick(readers);
      const filter = pick([...(reader?.following.keys() ?? [])]);
      if (filter !== undefined) reader?.unsubscribe(filter);
    },
    () => pick(readers)?.link.hold(),
    () => pick(readers)?.link.allow(Math.floor(random.fraction() * 800)),
    () => pick(readers)?.link.release(),
    () => pick(readers)?.take(),
  ];
  const troubles: (() => void)[] = [
    () => {
      // Stored without a word, and told as a doubt.
      broker.silent = true;
      publish();
      publish();
      broker.silent = false;
      for (const { channel } of published.slice(-2)) broker.doubt(channel);
    },
    () => (broker.placeUnknown = !broker.placeUnknown),
    () => (broker.failure = broker.failure === undefined ? away : undefined),
    () => (broker.changedFailure = broker.changedFailure === undefined ? away : undefined),
    () => (broker.watchFailure = broker.watchFailure === undefined ? away : undefined),
    () => broker.doubt(pick(CHANNELS) ?? ''),
    () => pick(readers)?.reconnect(),
  ];
  for (let step = 0; step < steps; step += 1) {
    const isTrouble = random.fraction() < 0.1;
    if (isTrouble && faults) pick(troubles)?.();
    else if (isTrouble) pick(readers)?.reconnect();
    else pick(actions)?.();
    const chance = random.fraction();
    if (chance < 0.3) await Promise.resolve();
    else if (chance < 0.6) clock.runDeferred();
    else if (chance < 0.8) await clock.settle();
    else if (chance < 0.82) await clock.pass(1_000);
    else if (chance < 0.83) await clock.pass(60_000);
  }
  Object.assign(broker, { placeUnknown: false, failure: undefined });
  Object.assign(broker, { changedFailure: undefined, watchFailure: undefined });
  for (const reader of readers) reader.link.release();
  for (let round = 0; round < 20; round += 1) await clock.pass(5_000);
  for (const reader of readers) reader.finish();
  const found = readers.flatMap(({ name, faults: told, context }) =>
    told.length === 0 ? [] : [`seed ${seed} ${name}: ${told[0]}\n  ${context.join('\n  ')}`],
  );
  for (const reader of readers) reader.link.drop();
  await clock.settle();
  await hub.close();
  return found;
}

describe('the model itself', () => {
  test.each(['lose', 'repeat'] as const)('finds a planted fault: %s', async (plant) => {
    expect(await run(1, { steps: 600, readers: 6, faults: false, plant })).not.toEqual([]);
  });
});

describe('readers of patterns and names, slow and fast, that come and go', () => {
  test.each(Array.from({ length: 20 }, (_, index) => index + 1))(
    'get what matches once and in order, with a good broker: seed %i',
    async (seed) => {
      expect(await run(seed, { steps: 600, readers: 6, faults: false })).toEqual([]);
    },
  );

  test.each(Array.from({ length: 20 }, (_, index) => 10000 + index))(
    'the same while the broker fails, is in doubt and lags: seed %i',
    async (seed) => {
      expect(await run(seed, { steps: 600, readers: 6, faults: true })).toEqual([]);
    },
  );
});
