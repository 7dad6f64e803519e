import type { Store } from '@trunkline/client/store';
import { useSyncExternalStore } from 'react';

/**
 * The state of a store, read so that one rendering never shows two of them.
 *
 * @param empty what a server renders, and the browser before it has its own.
 */
export function useStore<Snapshot>(store: Store<Snapshot> | undefined, empty: Snapshot): Snapshot {
  const getEmpty = () => empty;
  return useSyncExternalStore(
    store?.subscribe ?? subscribeToNothing,
    store?.get ?? getEmpty,
    getEmpty,
  );
}

function subscribeToNothing(): () => void {
  return () => {};
}
