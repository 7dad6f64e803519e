/**
 * Insides: what a server in this process holds, counted at its own tables. A test that has to show
 * that nothing leaks, or how much was asked of the log, can't see it from outside.
 */
import { EmbeddedBroker } from '@trunkline/server/internal/backplanes/embedded/broker.ts';
import { ChannelTable } from '@trunkline/server/internal/hub/channel-table.ts';
import { FilterIndex } from '@trunkline/server/internal/hub/filter-index.ts';
import { Presence } from '@trunkline/server/internal/hub/presence/presence.ts';
import { SelectionTable } from '@trunkline/server/internal/hub/selection/selection-table.ts';
import { VolatileChannels } from '@trunkline/server/internal/hub/volatile/volatile-channels.ts';
import type { Link } from '@trunkline/server/internal/link/link.ts';
import { LinkSet } from '@trunkline/server/internal/transports/link-set.ts';

/** What the hubs of this process hold. */
export interface Held {
  readonly channels: number;
  readonly volatileChannels: number;
  readonly selections: number;
  /** Filters by which channels are found. */
  readonly filters: number;
  readonly members: number;
  readonly watchers: number;
  readonly links: number;
}

/** A server that holds nothing. */
export const NOTHING_HELD: Held = {
  ...{ channels: 0, volatileChannels: 0, selections: 0, filters: 0 },
  ...{ members: 0, watchers: 0, links: 0 },
};

/** Sees every server of this process that is used while it is there. */
export class Insides implements Disposable {
  /** Reads of the log, and questions what changed in it. */
  readonly reads = { read: 0, changedSince: 0 };
  readonly #channels = new Set<ChannelTable>();
  readonly #volatile = new Set<VolatileChannels>();
  readonly #selections = new Set<SelectionTable>();
  readonly #indexes = new Set<FilterIndex<unknown>>();
  readonly #presences = new Set<Presence>();
  readonly #links = new Set<LinkSet<Link>>();
  readonly #undo: readonly (() => void)[];

  constructor() {
    const { reads } = this;
    this.#undo = [
      onCall(ChannelTable.prototype, 'acquire', (table) => this.#channels.add(table)),
      onCall(ChannelTable.prototype, 'onMessage', (table) => this.#channels.add(table)),
      onCall(VolatileChannels.prototype, 'acquire', (table) => this.#volatile.add(table)),
      onCall(SelectionTable.prototype, 'acquire', (table) => this.#selections.add(table)),
      onCall(FilterIndex.prototype, 'add', (index) => this.#indexes.add(index)),
      onCall(Presence.prototype, 'enter', (presence) => this.#presences.add(presence)),
      onCall(Presence.prototype, 'watch', (presence) => this.#presences.add(presence)),
      onCall(LinkSet.prototype, 'add', (links) => this.#links.add(links)),
      onCall(EmbeddedBroker.prototype, 'read', () => (reads.read += 1)),
      onCall(EmbeddedBroker.prototype, 'changedSince', () => (reads.changedSince += 1)),
    ];
  }

  /** What is held now. */
  get held(): Held {
    return {
      channels: sum(this.#channels, ({ channels }) => [...channels].length),
      volatileChannels: sum(this.#volatile, ({ channels }) => [...channels].length),
      selections: sum(this.#selections, ({ selections }) => [...selections].length),
      filters: sum(this.#indexes, ({ size }) => size),
      members: sum(this.#presences, ({ memberCount }) => memberCount),
      watchers: sum(this.#presences, ({ watcherCount }) => watcherCount),
      links: sum(this.#links, ({ links }) => links.size),
    };
  }

  /** The presence that is used. @throws when there is not exactly one. */
  get presence(): Presence {
    const [presence, ...others] = this.#presences;
    if (presence === undefined || others.length > 0) throw new Error('expected one presence');
    return presence;
  }

  /** Unsent bytes of each link. */
  get pendingBytes(): number[] {
    return [...this.#links].flatMap(({ links }) => [...links].map((link) => link.pendingBytes));
  }

  [Symbol.dispose](): void {
    for (const undo of this.#undo) undo();
  }
}

/** Tells of every call of a method. @returns what ends that. */
function onCall<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  note: (self: T) => void,
): () => void {
  const method = prototype[name];
  if (typeof method !== 'function') throw new Error(`${String(name)} is no method`);
  const noted = function (this: T, ...args: unknown[]): unknown {
    note(this);
    return Reflect.apply(method, this, args);
  };
  const define = (value: unknown): void => {
    Object.defineProperty(prototype, name, { configurable: true, writable: true, value });
  };
  define(noted);
  return () => define(method);
}

function sum<T>(items: Iterable<T>, count: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += count(item);
  return total;
}
