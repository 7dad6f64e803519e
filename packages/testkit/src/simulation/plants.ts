/**
 * Plants: mistakes that a server must not make, put in on purpose, so that the simulation can show
 * that it would notice them. Nothing of this is in the server's own code.
 */
import { EmbeddedBroker } from '@trunkline/server/internal/backplanes/embedded/broker.ts';
import type { EmbeddedBrokerParts } from '@trunkline/server/internal/backplanes/embedded/broker.ts';
import type { ChangedChannel, ChannelFilter } from '@trunkline/server/internal/broker/broker.ts';
import type { Clock, Timer } from '@trunkline/server/internal/clock.ts';
import { Hub } from '@trunkline/server/internal/hub/hub.ts';
import type { HubParts, Opened } from '@trunkline/server/internal/hub/hub.ts';
import type { Cursor } from '@trunkline/server/internal/hub/cursor.ts';
import type { Caller, Start, Subscriber } from '@trunkline/server/internal/hub/hub-types.ts';
import { SelectionCursor } from '@trunkline/server/internal/hub/selection/selection-cursor.ts';
import { VolatileCursor } from '@trunkline/server/internal/hub/volatile/volatile-channel.ts';
import type { Link } from '@trunkline/server/internal/link/link.ts';
import type { Operation, Outcome } from '@trunkline/server/internal/backplanes/embedded/store.ts';
import { isOrigin } from '@trunkline/wire';
import type { SeededRandom } from '../random.ts';
import {
  ComparingLink,
  CHANCE,
  EarlyMarkLink,
  RepeatingLink,
  SilentLeaveLink,
  SwappingLink,
} from './planted-links.ts';
import { SimulatedStore } from './simulated-store.ts';
import type { SimulatedStoreParts } from './simulated-store.ts';

/** The mistakes, by name. */
export const PLANTS = [
  'skip a message at the hand-over from history to live',
  'acknowledge before the commit',
  'reuse an offset',
  'take a lost position for caught up',
  'deliver a message twice',
  'swap two deliveries',
  'forget keys',
  'tell a mark that is too new',
  'skip a leg of a catch-up',
  'miss a channel that was born meanwhile',
  'deliver for each of several patterns',
  'deliver what is over',
  'lose the newest of a slot',
  'tell nobody who has gone',
  'compare those that stand apart',
] as const;

/** One of the mistakes. */
export type Plant = (typeof PLANTS)[number];

/** How far behind a clock is that makes a server deliver what is over. */
const LATE_MS = 2_000;

/** What a hub lets run. */
type AnyCursor = Parameters<Hub['start']>[0];

/** A hub, with the mistake if it is one that a hub makes. */
export function createHub(parts: HubParts, plant: Plant | undefined, random: SeededRandom): Hub {
  switch (plant) {
    case 'skip a message at the hand-over from history to live':
      return new SkippingHub(parts, random);
    case 'take a lost position for caught up':
      return new CredulousHub(parts);
    case 'skip a leg of a catch-up':
      return new LegSkippingHub(parts, random);
    case 'deliver for each of several patterns':
      return new RepeatingHub(parts);
    case 'deliver what is over':
      return new Hub({ ...parts, clock: new LateClock(parts.clock) });
    case 'lose the newest of a slot':
      return new SlotLosingHub(parts);
    default:
      return new Hub(parts);
  }
}

/** A store, with the mistake if it is one that a store makes. */
export function createStore(parts: SimulatedStoreParts, plant: Plant | undefined): SimulatedStore {
  switch (plant) {
    case 'acknowledge before the commit':
      return new HastyStore(parts);
    case 'reuse an offset':
      return new ReusingStore(parts);
    case 'forget keys':
      return new ForgetfulStore(parts);
    default:
      return new SimulatedStore(parts);
  }
}

/** A broker, with the mistake if it is one that a broker makes. */
export function createBroker(parts: EmbeddedBrokerParts, plant: Plant | undefined): EmbeddedBroker {
  return plant === 'miss a channel that was born meanwhile'
    ? new BirthMissingBroker(parts)
    : new EmbeddedBroker(parts);
}

/** A link as the protocols see it, with the mistake if it is one of delivery. */
export function createLink(link: Link, plant: Plant | undefined, random: SeededRandom): Link {
  switch (plant) {
    case 'deliver a message twice':
      return new RepeatingLink(link, random);
    case 'swap two deliveries':
      return new SwappingLink(link, random);
    case 'tell a mark that is too new':
      return new EarlyMarkLink(link, random);
    case 'tell nobody who has gone':
      return new SilentLeaveLink(link, random);
    case 'compare those that stand apart':
      return new ComparingLink(link, random);
    default:
      return link;
  }
}

class SkippingHub extends Hub {
  readonly #random: SeededRandom;

  constructor(parts: HubParts, random: SeededRandom) {
    super(parts);
    this.#random = random;
  }

  override start(cursor: Cursor): void {
    if (cursor.offset < cursor.channel.head && this.#random.chance(CHANCE)) cursor.offset += 1;
    super.start(cursor);
  }
}

class CredulousHub extends Hub {
  override async subscribe(
    subscriber: Subscriber,
    caller: Caller,
    name: string,
    start: Start,
  ): Promise<Opened> {
    const opened = await super.subscribe(subscriber, caller, name, start);
    if (opened.recovered !== false) return opened;
    const { gap: _, ...rest } = opened;
    return { ...rest, recovered: true };
  }
}

class LegSkippingHub extends Hub {
  readonly #random: SeededRandom;

  constructor(parts: HubParts, random: SeededRandom) {
    super(parts);
    this.#random = random;
  }

  override start(cursor: AnyCursor): void {
    const mayRead = cursor instanceof SelectionCursor && (cursor.catchUp?.left.length ?? 0) > 0;
    if (mayRead && this.#random.chance(CHANCE)) cursor.catchUp?.take();
    super.start(cursor);
  }
}

class RepeatingHub extends Hub {
  override start(cursor: AnyCursor): void {
    if (cursor instanceof SelectionCursor) cursor.sharing = undefined;
    super.start(cursor);
  }
}

class SlotLosingHub extends Hub {
  override advance(cursor: AnyCursor): void {
    if (cursor instanceof VolatileCursor) cursor.sequence = Number.POSITIVE_INFINITY;
    super.advance(cursor);
  }
}

class BirthMissingBroker extends EmbeddedBroker {
  override async changedSince(
    text: string | undefined,
    filter: ChannelFilter,
  ): Promise<readonly ChangedChannel[] | undefined> {
    const changed = await super.changedSince(text, filter);
    return changed?.filter(({ position }) => text === undefined || !isOrigin(position));
  }
}

/** Unix time as it was some time ago. */
class LateClock implements Clock {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  unixMs(): number {
    return this.#clock.unixMs() - LATE_MS;
  }

  after(delayMs: number, task: () => void): Timer {
    return this.#clock.after(delayMs, task);
  }

  defer(task: () => void): void {
    this.#clock.defer(task);
  }
}

class HastyStore extends SimulatedStore {
  override async commit(
    operations: readonly Operation[],
    nowMs: number,
  ): Promise<readonly Outcome[]> {
    const { clock, disk } = this.parts;
    clock.after(20, () => disk.write({ kind: 'commit', operations, nowMs, run: this.run }));
    return this.memory.commit(operations, nowMs);
  }
}

class ReusingStore extends SimulatedStore {
  override async commit(
    operations: readonly Operation[],
    nowMs: number,
  ): Promise<readonly Outcome[]> {
    const outcomes = await super.commit(operations, nowMs);
    return outcomes.map((outcome) => {
      const reuses = outcome.kind === 'appended' && outcome.offset > 1;
      if (!reuses || !this.parts.random.chance(CHANCE)) return outcome;
      return { ...outcome, offset: outcome.offset - 1 };
    });
  }
}

class ForgetfulStore extends SimulatedStore {
  override commit(operations: readonly Operation[], nowMs: number): Promise<readonly Outcome[]> {
    const forgotten = operations.map((operation): Operation => {
      if (operation.kind !== 'append') return operation;
      const { kind, channel, draft, retention } = operation;
      return { kind, channel, draft, retention };
    });
    return super.commit(forgotten, nowMs);
  }
}
