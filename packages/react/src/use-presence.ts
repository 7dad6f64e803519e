import { NO_MEMBERS, presenceStore } from '@trunkline/client/store';
import type { Channel } from '@trunkline/client/core';
import type { PresenceSnapshot } from '@trunkline/client/store';
import { useChannelHandle } from './use-channel-handle.ts';
import { useStore } from './use-store.ts';

/** Who is in a channel. All that ask for the same channel share one list. */
export function usePresence<T>(channel: string | Channel<T, never>): PresenceSnapshot {
  const handle = useChannelHandle(channel, {});
  return useStore(handle && presenceStore(handle), NO_MEMBERS);
}
