/** Polls of names and patterns from places of their own, beside a naive reading of the log. */
import type { SeededRandom } from '@trunkline/testkit';
import { isWildcard, matchesPattern } from '@trunkline/wire';
import type { ReadResult, Start } from '../../../src/hub/hub-types.ts';
import { after, anyone, setUp } from '../hub-setup.ts';

const CHANNELS = ['a', 'a/1', 'a/2', 'b/1', 'b/2', 'c'] as const;
const PATTERNS = ['#', 'a/#', 'b/+', '+/1', '+/2'] as const;

/** Polls that bring nothing more are taken as a loop that never ends. */
const POLLS_MAX = 400;

/** By channel, up to which offset everything is there. */
type Offsets = ReadonlyMap<string, number>;

/** A place, and what it naively stands for. */
interface Known {
  readonly start: Start;
  readonly offsets: Offsets;
}

export interface PlacesOptions {
  /** The log is ahead of what the node was told. */
  readonly lags?: boolean;
  /** Retention takes messages now and then. */
  readonly trims?: boolean;
}

/** Publishes, takes places, polls from them, and tells what is wrong. */
export async function runPlaces(
  random: SeededRandom,
  options: PlacesOptions = {},
): Promise<readonly string[]> {
  const world = new World(random, options);
  await world.begin();
  for (let step = 0; step < 12; step += 1) await world.step();
  return world.faults;
}

class World {
  readonly faults: string[] = [];
  readonly #setup = setUp();
  readonly #random: SeededRandom;
  readonly #options: PlacesOptions;
  readonly #tops = new Map<string, number>(CHANNELS.map((channel) => [channel, 0]));
  readonly #marks: Known[] = [];
  readonly #oldest = new Map<string, number>();
  /** Each channel has one life. */
  readonly #epochs = new Map<string, string>();

  constructor(random: SeededRandom, options: PlacesOptions) {
    this.#random = random;
    this.#options = options;
  }

  async begin(): Promise<void> {
    await this.#setup.hub.open();
    this.#setup.broker.forgetsPlaces = true;
    await this.#publish(1 + this.#random.integer(20));
    await this.#takeMark();
  }

  async step(): Promise<void> {
    const random = this.#random;
    const { broker } = this.#setup;
    await this.#publish(random.integer(25));
    if (random.chance(0.5)) await this.#takeMark();
    if (random.chance(0.5)) await this.#takeCut();
    if (this.#options.lags === true && random.chance(0.5)) {
      broker.holdSink();
      await this.#publish(random.integer(10));
      broker.tell(random.integer(6));
    }
    if (this.#options.trims === true) this.#trim();
    await this.#follow();
  }

  async #publish(count: number): Promise<void> {
    for (let done = 0; done < count; done += 1) {
      const channel = this.#random.pick(CHANNELS);
      await this.#setup.publish(1, channel);
      this.#tops.set(channel, (this.#tops.get(channel) ?? 0) + 1);
      if (this.#epochs.has(channel)) continue;
      const range = { after: 0, countMax: 0, sizeMax: 0 };
      this.#epochs.set(channel, (await this.#setup.broker.read(channel, range)).epoch);
    }
  }

  /** Something is published while a mark is taken. */
  #disturb(): void {
    if (!this.#random.chance(0.1)) return;
    const channel = this.#random.pick(CHANNELS);
    const payload = Buffer.from('1');
    void this.#setup.broker
      .publish(channel, { payload })
      .then(({ position: { epoch, offset } }) => {
        this.#epochs.set(channel, epoch);
        this.#tops.set(channel, offset);
      });
  }

  #trim(): void {
    const channel = this.#random.pick(CHANNELS);
    const top = this.#tops.get(channel) ?? 0;
    const oldest = Math.max(this.#oldestOf(channel), top - this.#random.integer(8));
    this.#oldest.set(channel, oldest);
    this.#setup.broker.trim(channel, oldest);
  }

  /** A mark of now, for which nothing may be on its way. */
  async #takeMark(): Promise<void> {
    this.#setup.broker.releaseSink();
    const { mark = '' } = await this.#read(new Map([['#', {}]]), 1);
    this.#marks.push({ start: after(mark), offsets: new Map(this.#tops) });
  }

  /** A mark from the middle of a read. */
  async #takeCut(): Promise<void> {
    const { start, offsets } = this.#random.pick(this.#marks);
    const result = await this.#read(new Map([['#', start]]), 1 + this.#random.integer(6));
    // What was lost is told once, to whoever had the mark before.
    if (result.channels.some(({ gap }) => gap !== undefined)) return;
    const reached = new Map(offsets);
    for (const { channel, messages } of result.channels) {
      const last = messages.at(-1);
      if (last !== undefined) reached.set(channel, last.offset);
    }
    this.#marks.push({ start: after(result.mark ?? ''), offsets: reached });
  }

  #read(channels: ReadonlyMap<string, Start>, countMax: number): Promise<ReadResult> {
    return this.#setup.hub.read(anyone, { channels, countMax, waitMs: 0 });
  }

  /** Reads from random places until there is nothing more. */
  async #follow(): Promise<void> {
    const random = this.#random;
    const begun = this.#begin();
    if (this.#options.lags === true) this.#setup.broker.onMark = () => this.#disturb();
    const readers = new Readers(begun, this.faults);
    // Who begins with the oldest or the newest does so in what is retained when the read comes to it.
    const isPlaced = [...begun.values()].every(
      ({ start: { after: { kind } = { kind: 'none' } } }) => {
        return kind === 'mark' || kind === 'position';
      },
    );
    const trims = this.#options.trims === true && isPlaced;
    const countMax = random.chance(0.7) ? 1 + random.integer(6) : 100;
    let starts = new Map([...begun].map(([filter, { start }]) => [filter, start] as const));
    let publishes = random.integer(4);
    for (let polls = 0; ; polls += 1) {
      const result = await this.#read(starts, countMax);
      readers.take(result, countMax, polls === 0);
      const isOver = !result.more && publishes === 0;
      if (isOver && this.#options.lags !== true) break;
      if (isOver) this.#setup.broker.releaseSink();
      if (isOver && readers.areAt(this.#tops)) break;
      if (polls > POLLS_MAX) throw new Error(`polls go on without end: ${readers.text}`);
      this.#setup.broker.tell(1);
      if (trims && random.chance(0.3)) this.#trim();
      if (publishes > 0 && random.chance(0.5)) {
        publishes -= 1;
        await this.#publish(random.integer(4));
      }
      starts = this.#goOn(starts, result);
    }
    this.#setup.broker.onMark = undefined;
    this.#setup.broker.releaseSink();
    if (!readers.areAt(this.#tops)) this.faults.push(`${readers.text} do not end at the top`);
  }

  /** By the mark, or by positions and for patterns the mark. */
  #goOn(starts: ReadonlyMap<string, Start>, { channels, mark }: ReadResult): Map<string, Start> {
    const byMark = this.#random.chance(0.5);
    const ends = new Map(channels.map(({ channel, end }) => [channel, end]));
    return new Map(
      [...starts].map(([filter, start]) => {
        const end = isWildcard(filter) ? undefined : ends.get(filter);
        if (end === undefined || (byMark && mark !== undefined)) {
          return [filter, mark === undefined ? start : after(mark)];
        }
        return [filter, { after: { kind: 'position', position: end } }];
      }),
    );
  }

  #begin(): ReadonlyMap<string, Known> {
    const random = this.#random;
    const partial = random.chance(0.5) ? { partial: true } : {};
    const ofPatterns = this.#place();
    const filters = [...CHANNELS, ...PATTERNS].filter(() => random.chance(0.4));
    if (filters.length === 0) filters.push('#', 'a/1');
    return new Map(
      filters.map((filter) => {
        const isApart = !isWildcard(filter) && random.chance(0.7);
        const { start, offsets } = isApart ? this.#place(filter) : ofPatterns;
        return [filter, { start: { ...start, ...partial }, offsets }];
      }),
    );
  }

  /** @param name positions are places of names alone. */
  #place(name?: string): Known {
    const random = this.#random;
    // What is now, while messages are on their way, nobody can say.
    const kind = random.integer(this.#options.lags === true ? 4 : 7);
    if (kind < 2 || (kind === 2 && name === undefined)) return random.pick(this.#marks);
    if (kind === 2 && name !== undefined) {
      const offset = random.integer((this.#tops.get(name) ?? 0) + 1);
      return {
        start: after(`${this.#epochs.get(name) ?? '0'}:${offset}`),
        offsets: new Map([[name, offset]]),
      };
    }
    if (kind === 3) return { start: after('start'), offsets: this.#map(() => 0) };
    const last = random.integer(6);
    if (kind === 4) return { start: {}, offsets: this.#map((top) => top) };
    return { start: { last }, offsets: this.#map((top) => top - last) };
  }

  /** What is not retained is before any place. */
  #map(of: (top: number) => number): Offsets {
    return new Map(
      [...this.#tops].map(([channel, top]) => {
        return [channel, Math.max(this.#oldestOf(channel) - 1, of(top))];
      }),
    );
  }

  #oldestOf(channel: string): number {
    return this.#oldest.get(channel) ?? 1;
  }
}

/** All who read in one poll, each with its own place in each channel. */
class Readers {
  readonly #faults: string[];
  readonly #begun: ReadonlyMap<string, Known>;
  readonly #places = new Map<string, Map<string, number>>();
  /** Newest that was given of each channel. */
  readonly #given = new Map<string, number>();

  constructor(begun: ReadonlyMap<string, Known>, faults: string[]) {
    this.#begun = begun;
    this.#faults = faults;
    for (const [filter, { offsets }] of begun) {
      const matched = CHANNELS.filter((channel) => matchesPattern(filter, channel));
      this.#places.set(filter, new Map(matched.map((name) => [name, offsets.get(name) ?? 0])));
    }
  }

  get text(): string {
    const begun = [...this.#begun].map(
      ([filter, { start }]) => `${filter} ${JSON.stringify(start)}`,
    );
    return begun.join(', ');
  }

  take({ channels, patterns }: ReadResult, countMax: number, isFirst: boolean): void {
    const count = channels.reduce((sum, { messages }) => sum + messages.length, 0);
    if (count > countMax) this.#fail(`${count} messages where ${countMax} fit`);
    for (const { channel, messages, position, begin, gap, recovered } of channels) {
      const own = this.#places.get(channel)?.get(channel);
      const told = (begin ?? position).offset;
      if (gap !== undefined) this.#lose(channel, Math.max(gap.to ?? 0, position.offset), patterns);
      else if (isFirst && own !== undefined && told !== own) {
        this.#fail(`${channel} begins at ${told} instead of ${own}`);
      }
      if (recovered === false && gap === undefined) this.#fail(`${channel} lost nothing`);
      for (const { offset } of messages) this.#give(channel, offset);
    }
  }

  areAt(tops: Offsets): boolean {
    return [...this.#places.values()].every((places) =>
      [...places].every(([channel, offset]) => offset === tops.get(channel)),
    );
  }

  #give(channel: string, offset: number): void {
    const given = this.#given.get(channel) ?? this.#oldest(channel);
    if (offset <= given) this.#fail(`${channel} ${offset} came after ${given}`);
    this.#given.set(channel, offset);
    for (const [filter, places] of this.#places) {
      const place = places.get(channel);
      if (place === undefined || offset <= place) continue;
      if (offset !== place + 1)
        this.#fail(`${filter} was given ${channel} ${offset} after ${place}`);
      places.set(channel, offset);
    }
  }

  /** What is told to be lost is lost for all who read the channel. */
  #lose(channel: string, to: number, patterns: ReadResult['patterns']): void {
    for (const [filter, places] of this.#places) {
      const place = places.get(channel);
      if (place === undefined || place >= to) continue;
      const isTold = !isWildcard(filter) || patterns.get(filter)?.recovered === false;
      if (isTold) places.set(channel, to);
    }
  }

  #oldest(channel: string): number {
    const begun = [...this.#begun].filter(([filter]) => matchesPattern(filter, channel));
    return Math.min(...begun.map(([, { offsets }]) => offsets.get(channel) ?? 0));
  }

  #fail(text: string): void {
    this.#faults.push(`${this.text}: ${text}`);
  }
}
