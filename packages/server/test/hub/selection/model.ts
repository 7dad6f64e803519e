/** A run of random readers of random patterns over one hub, whose broker fails as it pleases. */
import { seededRandom } from '@trunkline/testkit';
import { anyone, setUp } from '../hub-setup.ts';
import { away } from '../scripted-broker.ts';
import { Reader } from './reader.ts';
import type { Published } from './reader.ts';

const CHANNELS = ['a', 'b', 'c'].flatMap((group) =>
  Array.from({ length: 10 }, (_, index) => `${group}/${index}`),
);
const PATTERNS = ['#', '+/#', 'a/+', 'b/#', '+/1', '+/2', 'a/#', 'c/+'];
const NAMES = ['a/1', 'a/2', 'b/1', 'b/3', 'c/2'];

/** What a run is made of. */
export interface ModelOptions {
  readonly steps: number;
  readonly readers: number;
  /** True where the broker fails and is in doubt. */
  readonly faults: boolean;
  /** A fault that is to be found. */
  readonly plant?: Reader['plant'];
}

type World = ReturnType<typeof setUp>;

/** What happens in a run: each call does one thing at random. */
class Model {
  readonly readers: readonly Reader[];
  readonly #world: World;
  readonly #random: { fraction(): number };
  readonly #published: Published = [];
  readonly #tops = new Map<string, number>();
  readonly #actions: readonly (() => void)[];
  readonly #troubles: readonly (() => void)[];

  constructor(world: World, seed: number, { readers, faults, plant }: ModelOptions) {
    this.#world = world;
    this.#random = seededRandom(seed);
    this.readers = Array.from({ length: readers }, (_, index) => {
      const reader = new Reader(`r${index}`, world, this.#published);
      reader.plant = plant;
      return reader;
    });
    const publish = (): void => this.#publish();
    this.#actions = [publish, publish, publish, publish, ...this.#readerActions()];
    const reconnect = (): void => this.#pick(this.readers)?.reconnect();
    this.#troubles = faults ? [reconnect, ...this.#brokerTroubles()] : [reconnect];
  }

  async step(): Promise<void> {
    const { clock } = this.#world;
    this.#pick(this.#random.fraction() < 0.1 ? this.#troubles : this.#actions)?.();
    const chance = this.#random.fraction();
    if (chance < 0.3) await Promise.resolve();
    else if (chance < 0.6) clock.runDeferred();
    else if (chance < 0.8) await clock.settle();
    else if (chance < 0.82) await clock.pass(1_000);
    else if (chance < 0.83) await clock.pass(60_000);
  }

  /** Everything works again, and has time to come to rest. */
  async rest(): Promise<void> {
    const { broker, clock } = this.#world;
    broker.placeUnknown = false;
    broker.failure = undefined;
    broker.changedFailure = undefined;
    broker.watchFailure = undefined;
    for (const reader of this.readers) reader.link.release();
    for (let round = 0; round < 20; round += 1) await clock.pass(5_000);
  }

  #readerActions(): (() => void)[] {
    const reader = (): Reader | undefined => this.#pick(this.readers);
    return [
      () => this.#subscribe(reader()),
      () => this.#unsubscribe(reader()),
      () => reader()?.link.hold(),
      () => reader()?.link.allow(Math.floor(this.#random.fraction() * 800)),
      () => reader()?.link.release(),
      () => reader()?.take(),
    ];
  }

  #brokerTroubles(): (() => void)[] {
    const { broker } = this.#world;
    const toggled = (failure: unknown): Error | undefined =>
      failure === undefined ? away : undefined;
    return [
      () => {
        // Stored without a word, and told as a doubt.
        broker.silent = true;
        this.#publish();
        this.#publish();
        broker.silent = false;
        for (const { channel } of this.#published.slice(-2)) broker.doubt(channel);
      },
      () => (broker.placeUnknown = !broker.placeUnknown),
      () => (broker.failure = toggled(broker.failure)),
      () => (broker.changedFailure = toggled(broker.changedFailure)),
      () => (broker.watchFailure = toggled(broker.watchFailure)),
      () => broker.doubt(this.#pick(CHANNELS) ?? ''),
    ];
  }

  #publish(): void {
    const channel = this.#pick(CHANNELS) ?? '';
    const offset = (this.#tops.get(channel) ?? 0) + 1;
    this.#tops.set(channel, offset);
    this.#published.push({ channel, offset });
    void this.#world.hub.publish(anyone, channel, { payload: new Uint8Array(1) });
  }

  #subscribe(reader: Reader | undefined): void {
    const filter = this.#pick(this.#random.fraction() < 0.6 ? PATTERNS : NAMES) ?? '#';
    const place = reader?.following.get(filter)?.place;
    const known = place?.startsWith('~') === true ? place : 'start';
    reader?.subscribe(filter, this.#pick([undefined, undefined, 'start', known]));
  }

  #unsubscribe(reader: Reader | undefined): void {
    const filter = this.#pick([...(reader?.following.keys() ?? [])]);
    if (filter !== undefined) reader?.unsubscribe(filter);
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.#random.fraction() * list.length)];
  }
}

/** Runs from a seed. @returns what readers found wrong, with what came before. */
export async function runModel(seed: number, options: ModelOptions): Promise<string[]> {
  const world = setUp({ presence: { listed: false, graceMs: 0 } }, 400);
  await world.hub.open();
  const model = new Model(world, seed, options);
  for (let step = 0; step < options.steps; step += 1) await model.step();
  await model.rest();
  for (const reader of model.readers) reader.finish();
  const found = model.readers.flatMap(({ name, faults, context }) =>
    faults.length === 0 ? [] : [`seed ${seed} ${name}: ${faults[0]}\n  ${context.join('\n  ')}`],
  );
  for (const reader of model.readers) reader.link.drop();
  await world.clock.settle();
  await world.hub.close();
  return found;
}
