import type { Channel, ChannelOptions } from '@trunkline/client/core';
import { useGivenLine } from './line-provider.ts';

/** The channel given, or the one with this name of the line above; `undefined` without a line. */
export function useChannelHandle<T, In>(
  channel: string | Channel<T, In>,
  options: ChannelOptions<T, In>,
): Channel<T, In> | undefined {
  const isName = typeof channel === 'string';
  const line = useGivenLine(isName);
  return isName ? line?.channel(channel, options) : channel;
}
