import type { Channel, ChannelOptions } from '@trunkline/client/core';
import { useGivenLine } from './line-provider.ts';

/** The channel given, or the one with this name of the line above; `undefined` without a line. */
export function useChannelHandle<T>(
  channel: string | Channel<T>,
  options: ChannelOptions<T>,
): Channel<T> | undefined {
  const isName = typeof channel === 'string';
  const line = useGivenLine(isName);
  return isName ? line?.channel(channel, options) : channel;
}
