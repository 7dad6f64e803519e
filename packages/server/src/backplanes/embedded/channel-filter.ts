/** ChannelFilter taken apart: names are looked up, patterns are put to each channel that changed. */
import { isWildcard, matchesPattern } from '@trunkline/wire';
import type { ChannelFilter } from '../../broker/broker.ts';

/** A filter's names and patterns, each once. */
export interface FilterParts {
  readonly names: readonly string[];
  readonly patterns: readonly string[];
}

/** Divides names from patterns. */
export function splitFilter(filter: ChannelFilter): FilterParts {
  const names = new Set<string>();
  const patterns = new Set<string>();
  for (const text of filter) (isWildcard(text) ? patterns : names).add(text);
  return { names: [...names], patterns: [...patterns] };
}

/** True when one of the patterns matches the channel. */
export function matchesAny(patterns: readonly string[], channel: string): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, channel));
}

/** The list in pieces of at most so many. */
export function* inPieces<T>(list: readonly T[], size: number): Generator<readonly T[], void> {
  for (let start = 0; start < list.length; start += size) yield list.slice(start, start + size);
}
