/**
 * Topics: the syntax of topic names and topic filters (3.1.1 and 5.0 §4.7), and of filters that share
 * a subscription (5.0 §4.8.2). What a filter matches is not decided here.
 */
import type { FaultName } from './faults.ts';

const SHARE_PREFIX = '$share/';

/** A shared subscription: each message goes to one of those who named the same group. */
export interface SharedFilter {
  readonly group: string;
  readonly filter: string;
}

/** What is wrong with a filter, and how to say it. */
export interface FilterFault {
  readonly fault: FaultName;
  readonly message: string;
}

/** True when a topic name holds a wildcard, as only filters may. */
export function hasWildcard(name: string): boolean {
  return name.includes('#') || name.includes('+');
}

/** What is wrong with a filter that shares nothing; `undefined` when it is well-formed. */
export function filterFault(filter: string): FilterFault | undefined {
  if (filter === '') {
    return { fault: 'emptyFilter', message: 'a topic filter must have at least one character' };
  }
  const hash = filter.indexOf('#');
  if (hash >= 0 && (hash !== filter.length - 1 || (hash > 0 && filter[hash - 1] !== '/'))) {
    const message = 'the wildcard # must be the whole last level of a topic filter';
    return { fault: 'multiLevelWildcard', message };
  }
  for (let at = filter.indexOf('+'); at >= 0; at = filter.indexOf('+', at + 1)) {
    if ((at === 0 || filter[at - 1] === '/') && (filter[at + 1] ?? '/') === '/') continue;
    const message = 'the wildcard + must be a whole level of a topic filter';
    return { fault: 'singleLevelWildcard', message };
  }
  return undefined;
}

/** What is wrong with a filter of 5.0, which may begin with `$share/`. */
export function sharedFilterFault(filter: string): FilterFault | undefined {
  if (!isShared(filter)) return filterFault(filter);
  const end = filter.indexOf('/', SHARE_PREFIX.length);
  const group = filter.slice(SHARE_PREFIX.length, end < 0 ? filter.length : end);
  if (group === '') {
    return { fault: 'shareName', message: 'a share name must have at least one character' };
  }
  if (hasWildcard(group)) {
    return { fault: 'shareFilter', message: 'a share name must hold no wildcard' };
  }
  if (end < 0 || end === filter.length - 1) {
    return { fault: 'shareFilter', message: 'a share name must be followed by / and a filter' };
  }
  return filterFault(filter.slice(end + 1));
}

/** True when the filter is meant to share a subscription, well-formed or not. */
export function isShared(filter: string): boolean {
  return filter.startsWith(SHARE_PREFIX);
}

/** The parts of a well-formed shared filter; `undefined` for any other filter. */
export function parseShared(filter: string): SharedFilter | undefined {
  if (!isShared(filter)) return undefined;
  const end = filter.indexOf('/', SHARE_PREFIX.length);
  const group = filter.slice(SHARE_PREFIX.length, end);
  return { group, filter: filter.slice(end + 1) };
}
