/** Polls of names and patterns from places of their own, beside a naive reading of the log. */
import type { SeededRandom } from '@trunkline/testkit';
import { isWildcard, matchesPattern } from '@trunkline/wire';
import type { ReadResult, Start } from '../../../src/hub/hub-types.ts';
import { after, anyone, setUp } from '../hub-setup.ts';

const CHANNELS = ['a', 'a/1', 'a/2', 'b/1', 'b/2', 'c'] as const;
const PATTERNS = ['#', 'a/#', 'b/+', '+/1', '+/2'] as const;

/** Polls that bring nothing more are taken as a loop that never ends. */
const POLLS_MAX = 1_000;

/** Polls after which nothing comes any more while an answer is made, so that there is an end. */
const RUSHED_POLLS_MAX = 40;

/** How long a poll waits. */
const WAIT_MS = 10_000;

/** By channel, up to which offset everything is there. */
type Offsets = ReadonlyMap<string, number>;

/** A place, and what it naively stands for. */
interface Known {
  readonly start: Start;
  readonly offsets: Offsets;
  /** It begins with what is retained when the first answer is made. */
  readonly isFloating?: boolean;
}

export interface PlacesOptions {
  /** The log is ahead of what the node was told. */
  readonly lags?: boolean;
  /** Retention takes messages now and then. */
  readonly trims?: boolean;
  /** While an answer is made, and between two of them, more is published, and taken. */
  readonly rushes?: boolean;
  /** Some polls wait. */
  readonly waits?: boolean;
  /** Of some messages nobody knows at first whether they were stored. */
  readonly doubts?: boolean;
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
  #isQuiet = true;
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
    for (let done = 0; done < count; done += 1) this.#publishTo(this.#random.pick(CHANNELS));
    await this.#setup.clock.settle();
  }

  #publishTo(channel: string): void {
    const { broker } = this.#setup;
    broker.doubtful = this.#options.doubts === true && this.#random.chance(0.2);
    const payload = Buffer.from('1');
    this.#tops.set(channel, (this.#tops.get(channel) ?? 0) + 1);
    // It is in the log when this returns.
    void broker.publish(channel, { payload }).then(({ position: { epoch } }) => {
      this.#epochs.set(channel, epoch);
    });
    broker.doubtful = false;
  }

  /** Something is published while a mark is taken. */
  #disturb(): void {
    if (this.#random.chance(0.1)) this.#publishTo(this.#random.pick(CHANNELS));
    if (this.#options.rushes === true && this.#random.chance(0.2)) this.#rush();
  }

  /** So much comes to a channel that retention takes some of it at once. */
  #rush(): void {
    const channel = this.#random.pick(CHANNELS);
    for (let left = this.#random.integer(8); left > 0; left -= 1) this.#publishTo(channel);
    if (this.#options.trims === true) this.#trim(channel);
    if (this.#random.chance(0.3)) this.#setup.broker.tell(this.#random.integer(4));
  }

  #trim(channel: string = this.#random.pick(CHANNELS)): void {
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

  /** What is in doubt is looked at again after a while. */
  async #settle(): Promise<void> {
    const { clock } = this.#setup;
    await clock.settle();
    clock.advance(1_000);
    await clock.settle();
  }

  async #read(
    channels: ReadonlyMap<string, Start>,
    countMax: number,
    waits = false,
  ): Promise<ReadResult> {
    const { hub, clock } = this.#setup;
    const waitMs = waits ? WAIT_MS : 0;
    const reading = hub.read(anyone, { channels, countMax, waitMs });
    if (!waits) return reading;
    for (let left = this.#isQuiet ? 0 : this.#random.integer(4); left > 0; left -= 1) {
      if (this.#random.chance(0.7)) await clock.settle();
      if (this.#options.rushes === true) this.#rush();
      else await this.#publish(this.#random.integer(3));
    }
    await clock.settle();
    clock.advance(WAIT_MS);
    await clock.settle();
    return reading;
  }

  /** Reads from random places until there is nothing more. */
  async #follow(): Promise<void> {
    const random = this.#random;
    const begun = this.#begin();
    this.#isQuiet = false;
    const { lags, rushes, trims, waits } = this.#options;
    if (lags === true || rushes === true) this.#setup.broker.onMark = () => this.#disturb();
    const readers = new Readers(begun, this.faults);
    const countMax = random.chance(0.7) ? 1 + random.integer(6) : 100;
    let starts = new Map([...begun].map(([filter, { start }]) => [filter, start] as const));
    let publishes = random.integer(4);
    for (let polls = 0; ; polls += 1) {
      const isWaiting = waits === true && random.chance(0.3);
      const result = await this.#read(starts, countMax, isWaiting);
      if (polls === 0) readers.begin((channel) => this.#oldestOf(channel) - 1);
      readers.take(result, countMax, polls === 0);
      const isOver = !result.more && publishes === 0;
      if (isOver && lags !== true && rushes !== true) break;
      if (isOver) this.#setup.broker.releaseSink();
      if (isOver && readers.areAt(this.#tops)) break;
      if (polls > POLLS_MAX) throw new Error(`polls go on without end: ${readers.text}`);
      this.#setup.broker.tell(1);
      await this.#settle();
      if (trims === true && random.chance(0.3)) this.#trim();
      if (publishes > 0 && random.chance(0.5)) {
        publishes -= 1;
        if (rushes === true) this.#rush();
        else await this.#publish(random.integer(4));
      }
      if (polls > RUSHED_POLLS_MAX) this.#beQuiet();
      starts = this.#goOn(starts, result);
    }
    this.#beQuiet();
    this.#setup.broker.releaseSink();
    if (!readers.areAt(this.#tops)) this.faults.push(`${readers.text} do not end at the top`);
  }

  /** From now on nothing comes while an answer is made. */
  #beQuiet(): void {
    this.#isQuiet = true;
    this.#setup.broker.onMark = undefined;
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
        const { start, ...known } = isApart ? this.#place(filter) : ofPatterns;
        return [filter, { start: { ...start, ...partial }, ...known }];
      }),
    );
  }

  /** @param name positions are places of names alone. */
  #place(name?: string): Known {
    const random = this.#random;
    // What is now, while messages are on their way, nobody can say.
    const { lags, rushes } = this.#options;
    const kind = random.integer(lags === true || rushes === true ? 4 : 7);
    if (kind < 2 || (kind === 2 && name === undefined)) return random.pick(this.#marks);
    if (kind === 2 && name !== undefined) {
      const offset = random.integer((this.#tops.get(name) ?? 0) + 1);
      return {
        start: after(`${this.#epochs.get(name) ?? '0'}:${offset}`),
        offsets: new Map([[name, offset]]),
      };
    }
    if (kind === 3) {
      return { start: after('start'), offsets: this.#map(() => 0), isFloating: true };
    }
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
  /** Where at the latest those begin, by filter and channel, that have not been given anything. */
  readonly #floors = new Map<string, number>();
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

  /** The first answer is there: what was gone by then is before any place that is not fixed. */
  begin(oldest: (channel: string) => number): void {
    for (const [filter, { isFloating }] of this.#begun) {
      if (isFloating !== true) continue;
      const places = this.#places.get(filter);
      for (const channel of places?.keys() ?? [])
        this.#floors.set(`${filter} ${channel}`, oldest(channel));
    }
  }

  take({ channels, patterns }: ReadResult, countMax: number, isFirst: boolean): void {
    const count = channels.reduce((sum, { messages }) => sum + messages.length, 0);
    if (count > countMax) this.#fail(`${count} messages where ${countMax} fit`);
    for (const { channel, messages, position, begin, gap, recovered } of channels) {
      const own = this.#places.get(channel)?.get(channel);
      const told = (begin ?? position).offset;
      if (gap !== undefined) this.#lose(channel, Math.max(gap.to ?? 0, position.offset), patterns);
      else if (isFirst && own !== undefined && !this.#isAt(channel, channel, own, told)) {
        this.#fail(`${channel} begins at ${told} instead of ${own}`);
      }
      if (recovered === false && gap === undefined) this.#fail(`${channel} lost nothing`);
      for (const { offset } of messages) this.#give(channel, offset);
    }
  }

  areAt(tops: Offsets): boolean {
    return [...this.#places].every(([filter, places]) =>
      [...places].every(([channel, offset]) => {
        return this.#isAt(filter, channel, offset, tops.get(channel) ?? 0);
      }),
    );
  }

  #give(channel: string, offset: number): void {
    const given = this.#given.get(channel) ?? this.#oldest(channel);
    if (offset <= given) this.#fail(`${channel} ${offset} came after ${given}`);
    this.#given.set(channel, offset);
    for (const [filter, places] of this.#places) {
      const place = places.get(channel);
      if (place === undefined || offset <= place) continue;
      if (!this.#isAt(filter, channel, place, offset - 1)) {
        this.#fail(`${filter} was given ${channel} ${offset} after ${place}`);
      }
      this.#floors.delete(`${filter} ${channel}`);
      places.set(channel, offset);
    }
  }

  #isAt(filter: string, channel: string, place: number, told: number): boolean {
    return told >= place && told <= Math.max(place, this.#floors.get(`${filter} ${channel}`) ?? 0);
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
