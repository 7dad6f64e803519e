/** A client that goes on by marks over polls and streams, and a ledger of what it must be told. */
import { MemoryLink } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { formatPosition, isOrigin, ORIGIN } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { Encoding, ReadResult, Start } from '../../../src/hub/hub-types.ts';
import type { SelectionCursor } from '../../../src/hub/selection/selection-cursor.ts';
import type { SelectionSubscriber } from '../../../src/hub/selection/selection-cursor.ts';
import { SharedBatch } from '../../../src/link/shared-batch.ts';
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
  readonly runs: readonly {
    readonly channel: string;
    readonly epoch: string;
    readonly offsets: readonly number[];
  }[];
  readonly mark?: string;
}

const frames: Encoding = {
  name: 'frames',
  encode(runs, mark) {
    const told = runs.map(({ channel, epoch, messages }) => ({
      ...{ channel, epoch },
      offsets: messages.map(({ offset }) => offset),
    }));
    const json = JSON.stringify({ runs: told, ...(mark === undefined ? {} : { mark }) });
    return new SharedBatch(Buffer.from(json), true);
  },
};

/** What may happen beside publishing. */
export interface ModelOptions {
  /** Retention takes messages now and then. */
  readonly trims?: boolean;
  /** Channels are purged now and then. */
  readonly purges?: boolean;
  /** Messages are in the log before this node is told of them; for polls alone. */
  readonly lags?: boolean;
}

/** One run. */
export class Model {
  readonly faults: string[] = [];
  readonly #setup: ReturnType<typeof setUp>;
  readonly #random: SeededRandom;
  readonly #options: ModelOptions;
  readonly #filters: readonly string[];
  readonly #channels = new Set<string>();
  /** Where the client stands: the last it was given, or where it was told that it goes on. */
  readonly #received = new Map<string, Position>();
  #mark: string | undefined;
  #busy = false;

  private constructor(random: SeededRandom, options: ModelOptions) {
    this.#random = random;
    this.#options = options;
    this.#setup = setUp({}, 2_000);
    this.#filters = random.pick(FILTERS);
  }

  static async begin(random: SeededRandom, options: ModelOptions = {}): Promise<Model> {
    const model = new Model(random, options);
    await model.#setup.hub.open();
    model.#beRestless();
    // What was gone before a start is no loss: with losses all begin at a mark.
    if (options.trims === true || options.purges === true) model.#mark = '~0';
    return model;
  }

  /** Something happens. */
  async step(): Promise<void> {
    const random = this.#random;
    this.#publish(random.integer(20));
    if (random.chance(0.3)) await this.#setup.clock.settle();
    if (random.chance(0.3)) await this.#lose();
    if (this.#options.lags === true && random.chance(0.3)) this.#setup.broker.holdSink();
    this.#busy = random.chance(0.7);
    const kind = random.integer(4);
    if (kind === 0 && this.#options.lags !== true) await this.#stream();
    else if (kind === 1) await this.#longPoll();
    else await this.#poll();
    this.#busy = false;
    if (random.chance(0.5)) this.#setup.broker.releaseSink();
  }

  /** Polls until there is nothing more, and compares. */
  async catchUp(): Promise<void> {
    this.#setup.broker.releaseSink();
    await this.#setup.clock.settle();
    await this.#pollAll();
    const range = { after: 0, countMax: 0, sizeMax: 0 };
    for (const channel of this.#channels) {
      const { epoch, top } = await this.#setup.broker.read(channel, range);
      const end = formatPosition({ epoch, offset: top });
      const place = formatPosition(this.#received.get(channel) ?? ORIGIN);
      if (this.#follows(channel) && place !== end) {
        this.faults.push(`${channel} ends at ${place} instead of ${end}`);
      }
    }
  }

  async #pollAll(): Promise<void> {
    for (let polls = 0; polls < POLLS_MAX; polls += 1) {
      const { more } = await this.#poll();
      if (!more) return;
      this.#setup.broker.tell(1);
    }
    throw new Error('polls go on without end');
  }

  async #poll(waitMs = 0): Promise<ReadResult> {
    const { hub } = this.#setup;
    const countMax = 1 + this.#random.integer(this.#random.chance(0.5) ? 4 : 40);
    const result = await hub.read(anyone, { channels: this.#starts(), waitMs, countMax });
    const count = result.channels.reduce((sum, { messages }) => sum + messages.length, 0);
    if (count > countMax) this.faults.push(`${count} messages where ${countMax} fit`);
    for (const { channel, messages, gap, position, end } of result.channels) {
      if (gap !== undefined) this.#isLost(channel, gap, position);
      for (const { offset } of messages) this.#receive(channel, { epoch: end.epoch, offset });
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
        for (const { channel, epoch, offsets } of runs) {
          for (const offset of offsets) held.push(() => this.#receive(channel, { epoch, offset }));
        }
        if (mark !== undefined) commit(mark);
      }
    };
    const subscriber: SelectionSubscriber = {
      link,
      encoding: frames,
      onGap: (channel: string, gap: Gap, position: Position) => {
        takeFrames();
        held.push(() => this.#isLost(channel, gap, position));
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
    for (const { channel, gap, position } of opened.losses) {
      held.push(() => this.#isLost(channel, gap, position));
    }
    for (const [name, { gap, position }] of opened.verdicts) {
      if (gap !== undefined && position !== undefined) {
        held.push(() => this.#isLost(name, gap, position));
      }
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
      this.#channels.add(channel);
      const payload = new Uint8Array(1 + this.#random.integer(200)).fill(0x31);
      void hub.publish(anyone, channel, { payload });
    }
  }

  /** Retention takes some of a channel, or an application all of it. */
  async #lose(): Promise<void> {
    const { broker, clock } = this.#setup;
    const { trims, purges } = this.#options;
    await clock.settle();
    const channel = this.#random.pick([...this.#channels, 'lobby']);
    const { oldest, top } = await broker.read(channel, { after: 0, countMax: 0, sizeMax: 0 });
    if (purges === true && this.#random.chance(0.5)) {
      broker.releaseSink();
      await broker.purge(channel);
    } else if (trims === true && top > 0) {
      broker.trim(channel, oldest + this.#random.integer(top + 2 - oldest));
    }
  }

  /** Something is published while the broker is asked, too. */
  #beRestless(): void {
    const { broker } = this.#setup;
    const changedSince = broker.changedSince.bind(broker);
    const disturb = (): void => {
      if (!this.#busy) return;
      if (this.#random.chance(0.3)) this.#publish(1 + this.#random.integer(2));
      if (this.#random.chance(0.3)) broker.tell(this.#random.integer(4));
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

  #receive(channel: string, { epoch, offset }: Position): void {
    const last = this.#received.get(channel) ?? ORIGIN;
    this.#received.set(channel, { epoch, offset });
    const isNext = (isOrigin(last) || last.epoch === epoch) && offset === last.offset + 1;
    if (!this.#follows(channel)) this.faults.push(`${channel} was never asked for`);
    else if (!isNext) {
      this.faults.push(`${channel} ${epoch}:${offset} came after ${formatPosition(last)}`);
    }
  }

  /** A loss was told. It begins right behind where the client stands, and it goes on behind it. */
  #isLost(channel: string, { reason, from, to }: Gap, position: Position): void {
    const last = this.#received.get(channel) ?? ORIGIN;
    this.#received.set(channel, position);
    // A stream tells a loss for the name and for the pattern that matches it.
    const isKnown = formatPosition(last) === formatPosition(position);
    if (reason === 'epoch' || isKnown) return;
    if (from !== last.offset + 1 || to !== position.offset) {
      this.faults.push(`${channel} lost ${from} to ${to} after ${formatPosition(last)}`);
    }
  }
}
