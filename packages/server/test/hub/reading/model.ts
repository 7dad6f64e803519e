/** A client that goes on by marks over polls and streams, and a ledger of what it must be told. */
import { MemoryLink } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import type { Gap, Position } from '@trunkline/wire';
import type { NamespaceRules } from '../../../src/config/namespace-rules.ts';
import type { Encoding, ReadResult, Start } from '../../../src/hub/hub-types.ts';
import type { SelectionCursor } from '../../../src/hub/selection/selection-cursor.ts';
import type { SelectionSubscriber } from '../../../src/hub/selection/selection-cursor.ts';
import { after, anyone, setUp } from '../hub-setup.ts';

/** Polls that bring nothing more are taken as a loop that never ends. */
const POLLS_MAX = 2_000;

/** What is followed, by turns: patterns alone, with names, and names alone. */
const FILTERS = [
  ['room/+'],
  ['room/#', 'hall/+'],
  ['room/+', 'room/3', 'hall/1', 'lobby'],
  ['lobby', 'room/1', 'room/2', 'room/3', 'hall/1'],
] as const;

/** One frame of a stream, so that a test reads what it carried. */
interface Frame {
  readonly runs: readonly { readonly channel: string; readonly offsets: readonly number[] }[];
  readonly mark?: string;
}

const frames: Encoding = {
  name: 'frames',
  text: true,
  encode(runs, mark) {
    const told = runs.map(({ channel, messages }) => ({
      channel,
      offsets: messages.map(({ offset }) => offset),
    }));
    return Buffer.from(JSON.stringify({ runs: told, ...(mark === undefined ? {} : { mark }) }));
  },
};

/** What may happen beside publishing. */
export interface ModelOptions {
  /** Retention takes messages now and then. */
  readonly trims?: boolean;
  readonly rules?: Partial<NamespaceRules>;
}

/** One run. */
export class Model {
  readonly faults: string[] = [];
  readonly #setup: ReturnType<typeof setUp>;
  readonly #random: SeededRandom;
  readonly #options: ModelOptions;
  readonly #filters: readonly string[];
  /** The newest offset of each channel, and the last that the client was given. */
  readonly #published = new Map<string, number>();
  readonly #received = new Map<string, number>();
  readonly #trimmed = new Map<string, number>();
  /** Losses that were told. */
  readonly #gaps = new Map<string, Gap[]>();
  #mark: string | undefined;
  #busy = false;

  private constructor(random: SeededRandom, options: ModelOptions) {
    this.#random = random;
    this.#options = options;
    this.#setup = setUp(options.rules, 2_000);
    this.#filters = random.pick(FILTERS);
  }

  static async begin(random: SeededRandom, options: ModelOptions = {}): Promise<Model> {
    const model = new Model(random, options);
    await model.#setup.hub.open();
    model.#beRestless();
    // What was gone before a start is no loss: with losses all begin at a mark.
    if (options.trims === true) model.#mark = '~0';
    return model;
  }

  /** Something happens. */
  async step(): Promise<void> {
    const random = this.#random;
    this.#publish(random.integer(20));
    if (random.chance(0.3)) await this.#setup.clock.settle();
    if (this.#options.trims === true && random.chance(0.3)) await this.#trim();
    this.#busy = random.chance(0.7);
    const kind = random.integer(4);
    if (kind === 0) await this.#stream();
    else if (kind === 1) await this.#longPoll();
    else await this.#poll();
    this.#busy = false;
  }

  /** Polls until there is nothing more, and compares. */
  async catchUp(): Promise<void> {
    this.#busy = false;
    await this.#pollAll();
    for (const [channel, top] of this.#published) {
      const got = this.#received.get(channel) ?? 0;
      if (this.#follows(channel) && !this.#isTold(channel, got + 1, top)) {
        this.faults.push(`${channel} ends at ${got} instead of ${top}`);
      }
    }
  }

  async #pollAll(): Promise<void> {
    for (let polls = 0; polls < POLLS_MAX; polls += 1) {
      const { more } = await this.#poll();
      if (!more) return;
    }
    throw new Error('polls go on without end');
  }

  async #poll(waitMs = 0): Promise<ReadResult> {
    const { hub } = this.#setup;
    const countMax = 1 + this.#random.integer(this.#random.chance(0.5) ? 4 : 40);
    const result = await hub.read(anyone, { channels: this.#starts(), waitMs, countMax });
    const count = result.channels.reduce((sum, { messages }) => sum + messages.length, 0);
    if (count > countMax) this.faults.push(`${count} messages where ${countMax} fit`);
    for (const { channel, messages, gap } of result.channels) {
      if (gap !== undefined) this.#lose(channel, gap);
      for (const { offset } of messages) this.#receive(channel, offset);
    }
    if (result.mark === undefined) this.faults.push('an answer without a mark');
    this.#mark = result.mark ?? this.#mark;
    return result;
  }

  async #longPoll(): Promise<void> {
    const { clock } = this.#setup;
    // A poll that has everything waits; else it is answered at once.
    if (this.#random.chance(0.7)) await this.#pollAll();
    const polling = this.#poll(10_000);
    if (this.#random.chance(0.7)) await clock.settle();
    this.#publish(this.#random.integer(12));
    await clock.settle();
    clock.advance(11_000);
    await clock.settle();
    await polling;
  }

  /** What comes after the last mark is not kept: it comes again. */
  async #stream(): Promise<void> {
    const { hub, clock, turn } = this.#setup;
    const allowance = this.#random.chance(0.5) ? {} : { allowance: 500 };
    const link = new MemoryLink({ clock, turn, ...allowance });
    const reader: { cursor?: SelectionCursor } = {};
    let held: (() => void)[] = [];
    const commit = (mark: string): void => {
      for (const keep of held) keep();
      held = [];
      this.#mark = mark;
    };
    const takeFrames = (): void => {
      for (const text of link.takeFrames()) {
        if (typeof text !== 'string') continue;
        const { runs, mark } = JSON.parse(text) as Frame;
        for (const { channel, offsets } of runs) {
          for (const offset of offsets) held.push(() => this.#receive(channel, offset));
        }
        if (mark !== undefined) commit(mark);
      }
    };
    const subscriber: SelectionSubscriber = {
      link,
      encoding: frames,
      onGap: (channel: string, gap: Gap, _position: Position) => {
        takeFrames();
        held.push(() => this.#lose(channel, gap));
      },
      onMark: (_filters, mark) => {
        takeFrames();
        commit(mark);
      },
    };
    link.attach({
      onFrame() {},
      onDrain: () => reader.cursor !== undefined && hub.advance(reader.cursor),
      onClose() {},
    });
    const opened = await hub.subscribeMany(subscriber, anyone, this.#starts());
    const { cursor } = opened;
    reader.cursor = cursor;
    for (const { channel, gap } of opened.losses) held.push(() => this.#lose(channel, gap));
    for (const [name, { gap }] of opened.verdicts) {
      if (gap !== undefined) held.push(() => this.#lose(name, gap));
    }
    if (opened.mark !== undefined && held.length === 0) commit(opened.mark);
    hub.start(cursor);
    for (let round = this.#random.integer(4); round >= 0; round -= 1) {
      await clock.settle();
      this.#publish(this.#random.integer(6));
      await clock.settle();
      takeFrames();
      link.allow(1_000);
    }
    await clock.settle();
    takeFrames();
    hub.unsubscribe(cursor);
  }

  #starts(): Map<string, Start> {
    const start = after(this.#mark ?? 'start');
    return new Map(this.#filters.map((filter) => [filter, start]));
  }

  #publish(count: number): void {
    const { hub } = this.#setup;
    for (let done = 0; done < count; done += 1) {
      const kind = this.#random.pick(['room', 'room', 'room', 'hall', 'lobby', 'else']);
      const channel = kind === 'lobby' ? kind : `${kind}/${this.#random.integer(25)}`;
      this.#published.set(channel, (this.#published.get(channel) ?? 0) + 1);
      const payload = new Uint8Array(1 + this.#random.integer(200)).fill(0x31);
      void hub.publish(anyone, channel, { payload });
    }
  }

  async #trim(): Promise<void> {
    await this.#setup.clock.settle();
    const channel = this.#random.pick([...this.#published.keys(), 'lobby']);
    const top = this.#published.get(channel) ?? 0;
    const oldest = this.#trimmed.get(channel) ?? 1;
    const next = oldest + this.#random.integer(top + 2 - oldest);
    this.#trimmed.set(channel, next);
    if (top > 0) this.#setup.broker.trim(channel, next);
  }

  /** Something is published while the broker is asked, too. */
  #beRestless(): void {
    const { broker } = this.#setup;
    const changedSince = broker.changedSince.bind(broker);
    const disturb = (): void => {
      if (this.#busy && this.#random.chance(0.3)) this.#publish(1 + this.#random.integer(2));
    };
    broker.onMark = disturb;
    broker.changedSince = async (mark, filter) => {
      disturb();
      const changed = await changedSince(mark, filter);
      disturb();
      return changed;
    };
  }

  #follows(channel: string): boolean {
    return this.#filters.some((filter) =>
      filter.endsWith('+') || filter.endsWith('#')
        ? channel.startsWith(filter.slice(0, -1))
        : filter === channel,
    );
  }

  #receive(channel: string, offset: number): void {
    const last = this.#received.get(channel) ?? 0;
    this.#received.set(channel, Math.max(last, offset));
    if (!this.#follows(channel)) this.faults.push(`${channel} was never asked for`);
    else if (offset <= last) this.faults.push(`${channel}:${offset} came again`);
    else if (!this.#isTold(channel, last + 1, offset - 1)) {
      this.faults.push(`${channel}:${offset} came after ${last}`);
    }
  }

  #lose(channel: string, gap: Gap): void {
    this.#gaps.set(channel, [...(this.#gaps.get(channel) ?? []), gap]);
  }

  /** True when every offset of a range was told as lost. */
  #isTold(channel: string, from: number, to: number): boolean {
    const gaps = this.#gaps.get(channel) ?? [];
    for (let offset = from; offset <= to; offset += 1) {
      const isLost = gaps.some(
        (gap) => gap.from !== undefined && gap.from <= offset && offset <= (gap.to ?? 0),
      );
      if (!isLost) return false;
    }
    return true;
  }
}
