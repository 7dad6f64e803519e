/**
 * Plants: mistakes that a server must not make, put in on purpose, so that the simulation can show
 * that it would notice them. Nothing of this is in the server's own code.
 */
import { Hub } from '@trunkline/server/internal/hub/hub.ts';
import type { HubParts, Opened } from '@trunkline/server/internal/hub/hub.ts';
import type { Cursor } from '@trunkline/server/internal/hub/cursor.ts';
import type { Caller, Start, Subscriber } from '@trunkline/server/internal/hub/hub-types.ts';
import type { Close, Frame, Link } from '@trunkline/server/internal/link/link.ts';
import type { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import type { Operation, Outcome } from '@trunkline/server/internal/backplanes/embedded/store.ts';
import type { SeededRandom } from '../random.ts';
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
] as const;

/** One of the mistakes. */
export type Plant = (typeof PLANTS)[number];

/** How often a mistake happens where it can. */
const CHANCE = 0.1;

/** A hub, with the mistake if it is one that a hub makes. */
export function createHub(parts: HubParts, plant: Plant | undefined, random: SeededRandom): Hub {
  switch (plant) {
    case 'skip a message at the hand-over from history to live':
      return new SkippingHub(parts, random);
    case 'take a lost position for caught up':
      return new CredulousHub(parts);
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

/** A link as the protocols see it, with the mistake if it is one of delivery. */
export function createLink(link: Link, plant: Plant | undefined, random: SeededRandom): Link {
  switch (plant) {
    case 'deliver a message twice':
      return new RepeatingLink(link, random);
    case 'swap two deliveries':
      return new SwappingLink(link, random);
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

/** Hands everything on; its subclasses do it wrongly. */
class PassingLink implements Link {
  protected readonly link: Link;
  protected readonly random: SeededRandom;

  constructor(link: Link, random: SeededRandom) {
    this.link = link;
    this.random = random;
  }

  get info(): Link['info'] {
    return this.link.info;
  }

  get traits(): Link['traits'] {
    return this.link.traits;
  }

  get pendingBytes(): number {
    return this.link.pendingBytes;
  }

  send(frame: Frame): void {
    this.link.send(frame);
  }

  sendShared(batch: SharedBatch): void {
    this.link.sendShared(batch);
  }

  requestDrain(): void {
    this.link.requestDrain();
  }

  setPaused(paused: boolean): void {
    this.link.setPaused(paused);
  }

  close(close: Close): void {
    this.link.close(close);
  }
}

class RepeatingLink extends PassingLink {
  override sendShared(batch: SharedBatch): void {
    this.link.sendShared(batch);
    if (this.random.chance(CHANCE)) this.link.sendShared(batch);
  }
}

class SwappingLink extends PassingLink {
  #held: SharedBatch | undefined;

  override sendShared(batch: SharedBatch): void {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined && this.random.chance(CHANCE)) {
      this.#held = batch;
      return;
    }
    this.link.sendShared(batch);
    if (held !== undefined) this.link.sendShared(held);
  }
}
