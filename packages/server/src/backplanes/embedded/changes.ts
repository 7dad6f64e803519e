/** Changes: what changed in a log and in the memory beside it, put together from bounded steps. */
import type { ChangedChannel, ChannelFilter } from '../../broker/broker.ts';
import type { Clock } from '../../clock.ts';
import type { Mark } from './mark.ts';
import type { MemoryStore } from './memory-store.ts';
import { LOST_LIFE } from './store.ts';
import type { LogPlace, LogStore } from './store.ts';

/** Steps after which everything else has its turn. */
const STEPS_PER_TURN = 4;

/** Where to look for changes. */
export interface ChangeSources {
  readonly main: LogStore;
  /** Beside the main store, with its place at the mark; absent when it is the main one. */
  readonly memory?: { readonly store: MemoryStore; readonly place: LogPlace | undefined };
  readonly clock: Clock;
}

/** All that changed since `mark`; `undefined` when that can't be told. */
export async function collectChanges(
  { main, memory, clock }: ChangeSources,
  mark: Mark | undefined,
  filter: ChannelFilter,
): Promise<readonly ChangedChannel[] | undefined> {
  const nowMs = Math.floor(clock.unixMs());
  const found = new Map<string, ChangedChannel>();
  const collect = async (
    store: LogStore,
    place: LogPlace | undefined,
    add: (change: ChangedChannel) => void,
  ): Promise<boolean> => {
    let steps = 0;
    for await (const page of store.changedSince(place, filter, nowMs)) {
      if (page === undefined) return false;
      for (const change of page) add(change);
      steps += 1;
      if (steps % STEPS_PER_TURN === 0) await new Promise<void>((go) => clock.defer(go));
    }
    return true;
  };
  // The memory comes first: what leaves it meanwhile for the main store is still found there.
  if (memory !== undefined) {
    const isKnown = await collect(memory.store, memory.place, (change) => {
      found.set(change.channel, change);
    });
    if (!isKnown) return undefined;
  }
  const isKnown = await collect(main, mark, (change) => {
    const { channel } = change;
    found.set(channel, memory === undefined ? change : joined(change, found.get(channel)));
  });
  if (!isKnown) return undefined;
  if (memory === undefined) return [...found.values()];
  return [...found.values()].map((change) => withMemoryBounds(change, memory.store, nowMs));
}

/** Each knows of lives that the other one does not: if either lost one, that is to be told. */
function joined(inMain: ChangedChannel, inMemory: ChangedChannel | undefined): ChangedChannel {
  if (inMemory === undefined || inMain.position.epoch === LOST_LIFE.epoch) return inMain;
  return { ...inMain, position: inMemory.position };
}

/** A channel without a stream in the main store may have one in memory. */
function withMemoryBounds(change: ChangedChannel, memory: MemoryStore, nowMs: number) {
  if (change.stream.epoch !== '0') return change;
  const { epoch, oldest, top } = memory.read(change.channel, BOUNDS, nowMs);
  return { ...change, stream: { epoch, oldest, top } };
}

const BOUNDS = { after: 0, countMax: 0, sizeMax: 0 } as const;
