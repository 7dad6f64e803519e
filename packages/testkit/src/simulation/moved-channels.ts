/**
 * MovedChannels: what a durable log knows of the channels that lived in the memory of a process,
 * kept beside a store that knows nothing of other processes.
 */
import {
  matchesAny,
  splitFilter,
} from '@trunkline/server/internal/backplanes/embedded/channel-filter.ts';
import type { MemoryStore } from '@trunkline/server/internal/backplanes/embedded/memory-store.ts';
import { LOST_LIFE } from '@trunkline/server/internal/backplanes/embedded/store.ts';
import type {
  LogPlace,
  Operation,
  Outcome,
} from '@trunkline/server/internal/backplanes/embedded/store.ts';
import type { ChangedChannel, ChannelFilter } from '@trunkline/server/internal/broker/broker.ts';

/** No channel has this name. */
const NO_CHANNEL = '';

/** A channel that has left the log, now or before. */
interface Moved {
  /** The process in whose memory it lives; 0 when it is back. */
  run: number;
  /** Where in the order a life of it ended last. */
  ended: number;
}

/** Follows the operations of a log. The same operations give the same knowledge. */
export class MovedChannels {
  readonly #store: MemoryStore;
  readonly #moved = new Map<string, Moved>();

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  /** Carries out operations of the process `run`. */
  commit(operations: readonly Operation[], nowMs: number, run: number): Outcome[] {
    return operations.map((operation) => this.#apply(operation, nowMs, run));
  }

  /** What is lost since a place, whether or not the store lists the channel as changed. */
  correct(change: ChangedChannel, place: LogPlace | undefined, run: number): ChangedChannel {
    const isLost = place !== undefined && this.#isLost(change.channel, place, run);
    return isLost ? { ...change, position: LOST_LIFE } : change;
  }

  /** Channels that are lost since a place. */
  lostSince(
    place: LogPlace | undefined,
    filter: ChannelFilter,
    run: number,
    nowMs: number,
  ): ChangedChannel[] {
    if (place === undefined) return [];
    const { names, patterns } = splitFilter(filter);
    const lost = [...this.#moved.keys()].filter(
      (channel) =>
        (names.includes(channel) || matchesAny(patterns, channel)) &&
        this.#isLost(channel, place, run),
    );
    return lost.map((channel) => {
      return { channel, position: LOST_LIFE, stream: this.#store.bounds(channel, nowMs) };
    });
  }

  #isLost(channel: string, place: LogPlace, run: number): boolean {
    const moved = this.#moved.get(channel);
    if (moved === undefined) return false;
    return (moved.run >= place.run && moved.run < run) || moved.ended > place.sequence;
  }

  #apply(operation: Operation, nowMs: number, run: number): Outcome {
    const moved = 'channel' in operation ? this.#moved.get(operation.channel) : undefined;
    const hadStream = 'channel' in operation && this.#store.has(operation.channel);
    const [outcome] = this.#store.commit([operation], nowMs);
    if (outcome === undefined) throw new Error('expected an outcome of every operation');
    if (operation.kind === 'append' && outcome.kind === 'appended' && moved !== undefined) {
      if (moved.run > 0) Object.assign(moved, { run: 0, ended: outcome.sequence });
    } else if (operation.kind === 'purge' && moved !== undefined && moved.run > 0) {
      Object.assign(moved, { run: 0, ended: this.#next() });
      return { kind: 'purged', sequence: moved.ended };
    } else if (operation.kind === 'purge' && hadStream && outcome.kind === 'purged') {
      // Should it leave next, the store forgets that it was purged.
      this.#moved.set(operation.channel, { run: 0, ended: outcome.sequence });
    } else if (operation.kind === 'leave' && operation.channel !== NO_CHANNEL) {
      if (moved?.run === run) return outcome;
      const sequence = this.#next();
      const hadLife = hadStream || (moved !== undefined && moved.run > 0);
      this.#moved.set(operation.channel, { run, ended: hadLife ? sequence : (moved?.ended ?? 0) });
      return { kind: 'left', sequence };
    }
    return outcome;
  }

  /** The next place in the order, which a change of the state takes. */
  #next(): number {
    const put = { kind: 'put', key: 'moved', value: new Uint8Array(0) } as const;
    const [outcome] = this.#store.commit([put], 0);
    return outcome?.kind === 'put' ? (outcome.version ?? 0) : 0;
  }
}
