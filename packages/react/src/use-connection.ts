import { connectionStore, NO_CONNECTION } from '@trunkline/client/store';
import type { ConnectionSnapshot } from '@trunkline/client/store';
import { useGivenLine } from './line-provider.ts';
import { useStore } from './use-store.ts';

/** How the connection stands: its state, what carries it, and why it is not there. */
export function useConnection(): ConnectionSnapshot {
  const line = useGivenLine(true);
  return useStore(line && connectionStore(line), NO_CONNECTION);
}
