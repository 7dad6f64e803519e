/** Changes: what changed in a log and in the memory beside it, put together from bounded steps. */
import type { ChangedChannel, ChannelFilter } from '../../broker/broker.ts';
import type { Clock } from '../../clock.ts';
import type { Mark } from './mark.ts';
import type { MemoryStore } from './memory-store.ts';
import { LOST_LIFE, NO_BOUNDS } from './store.ts';
import type { LogPlace, LogStore } from './store.ts';

/** Steps after which everything else has its turn. */
const STEPS_PER_TURN = 4;

/** Where to look for changes. */
export interface ChangeSources {
  readonly main: Pick<LogStore, 'changedSince'>;
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
    store: Pick<LogStore, 'changedSince'>,
    place: LogPlace | undefined,
    add: (change: ChangedChannel) => void,
  ): Promise<boolean> => {
    let steps = 0;
    for await (const page of store.changedSince(place, filter, nowMs)) {
      if (page === undefined) return false;
      for (const change of page) add(change);
      steps += 1;
      if (steps % STEPS_PER_TURN === 0) await new Promise<void>((goOn) => clock.defer(goOn));
    }
    return true;
  };
  // The memory comes first: what leaves it meanwhile for the main store is still found there.
  if (memory !== undefined) {
    const { store, place } = memory;
    if (!(await collect(store, place, (change) => found.set(change.channel, change)))) return;
  }
  const isKnown = await collect(main, mark, (change) => {
    const { channel } = change;
    // The log knows of a purge before the memory does, of which is read until then: who stood in the
    // life that is there does so still.
    if (memory?.place !== undefined && memory.store.hadBegun(channel, memory.place)) return;
    const whole = memory && joined(change, found.get(channel), memory.store, nowMs);
    found.set(channel, whole ?? change);
  });
  return isKnown ? [...found.values()] : undefined;
}

/** What the two stores know of a channel. */
function joined(
  inMain: ChangedChannel,
  inMemory: ChangedChannel | undefined,
  memory: MemoryStore,
  nowMs: number,
): ChangedChannel {
  const { channel } = inMain;
  // Each knows of lives that the other one does not: if either lost one, that is to be told.
  const isLost = inMain.position.epoch === LOST_LIFE.epoch;
  const position = isLost ? inMain.position : (inMemory?.position ?? inMain.position);
  const hasStream = inMain.stream.epoch !== NO_BOUNDS.epoch;
  const stream = hasStream ? inMain.stream : memory.bounds(channel, nowMs);
  return { channel, position, stream };
}
