/** Filters: the channels and patterns that the page follows, as they are typed. */
import { channelNameFault, isWildcard, patternFault } from '@trunkline/wire';

/** Channels and patterns that one page follows. */
export const FILTERS_MAX = 16;

/** What was typed, read; or what is wrong with it, in words for people. */
export type Filters =
  | { readonly ok: true; readonly filters: readonly string[] }
  | { readonly ok: false; readonly fault: string };

/** Reads names and patterns divided by commas. A comma that is part of a name is typed `\,`. */
export function parseFilters(text: string): Filters {
  const parts = text.split(/(?<!\\),/).map((part) => part.trim().replaceAll('\\,', ','));
  const filters = [...new Set(parts.filter((part) => part !== ''))];
  if (filters.length === 0) return { ok: false, fault: 'Name a channel, e.g. room/42' };
  if (filters.length > FILTERS_MAX) {
    const fault = `At most ${FILTERS_MAX} channels and patterns, got ${filters.length}`;
    return { ok: false, fault };
  }
  for (const filter of filters) {
    const fault = isWildcard(filter) ? patternFault(filter) : channelNameFault(filter);
    if (fault !== undefined) return { ok: false, fault: `${filter} ${fault}` };
  }
  return { ok: true, filters };
}

/** Writes filters so that {@link parseFilters} reads the same ones. */
export function formatFilters(filters: readonly string[]): string {
  return filters.map((filter) => filter.replaceAll(',', '\\,')).join(', ');
}

/** True when messages of more than one channel may come. */
export function isMany(filters: readonly string[]): boolean {
  return filters.length !== 1 || filters.some(isWildcard);
}
