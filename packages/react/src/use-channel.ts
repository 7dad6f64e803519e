import { channelStore, NO_MESSAGES } from '@trunkline/client/store';
import type { Channel, ChannelOptions } from '@trunkline/client/core';
import type { ChannelSnapshot } from '@trunkline/client/store';
import { useMemo } from 'react';
import { useChannelHandle } from './use-channel-handle.ts';
import { useStore } from './use-store.ts';

/**
 * How a channel is read that is given by its name. They are compared by value at every rendering; a
 * schema by its identity, so it is made outside of the component. Who wants `load` or `onGap` makes
 * the channel with `line.channel`, once, and gives it to the hook.
 */
export interface UseChannelOptions<T, In = T>
  extends Omit<ChannelOptions<T, In>, 'load' | 'onGap'> {
  /** Messages that are held at most; 100 when absent. */
  readonly count?: number | undefined;
  /** Suspends until the channel is live for the first time. */
  readonly suspend?: boolean | undefined;
}

/** A channel as a component sees it. The same object until something has changed. */
export interface ChannelState<T, In = T> extends ChannelSnapshot<T> {
  readonly publish: Channel<T, In>['publish'];
  readonly send: Channel<T, In>['send'];
}

/**
 * The newest messages of a channel, as they come, and what publishes to it. All components that ask
 * for the same share one list and one subscription.
 */
export function useChannel<T = unknown, In = T>(
  channel: string | Channel<T, In>,
  options: UseChannelOptions<T, In> = {},
): ChannelState<T, In> {
  const { count, suspend: maySuspend, ...read } = options;
  const handle = useChannelHandle(channel, read);
  const store = handle && channelStore(handle, count === undefined ? {} : { count });
  const snapshot = useStore<ChannelSnapshot<T>>(store, NO_MESSAGES);
  // A server renders what it has. While the browser takes that over it must show the same.
  const waited = maySuspend === true && snapshot !== NO_MESSAGES ? store?.ready() : undefined;
  if (waited !== undefined) suspend(waited);
  // The handle is another one at every rendering; to the same store it is as good as the first.
  const actions = useMemo(() => actionsOf(handle), [store]);
  return useMemo(() => ({ ...snapshot, ...actions }), [snapshot, actions]);
}

/** What React takes as: render again when it has resolved. */
function suspend(until: unknown): never {
  throw until;
}

function actionsOf<T, In>(
  channel: Channel<T, In> | undefined,
): Pick<ChannelState<T, In>, 'publish' | 'send'> {
  return {
    publish: async (...given) => lineOf(channel).publish(...given),
    send: (...given) => lineOf(channel).send(...given),
  };
}

function lineOf<T, In>(channel: Channel<T, In> | undefined): Channel<T, In> {
  if (channel === undefined) throw new Error('the LineProvider has no line here');
  return channel;
}
