/**
 * Namespaces: which rules hold for a channel. Field by field the most specific pattern that says
 * something wins; what nobody says is the default's. Pure but for a bounded memory of answers.
 */
import { commonPattern, compareSpecificity, isWildcard, matchesPattern } from '@trunkline/wire';
import type { Action } from '../auth/identity.ts';
import { DEFAULT_NAMESPACE } from './namespace-rules.ts';
import type { NamespaceInput, NamespaceRules } from './namespace-rules.ts';

/** Channels whose rules are remembered; over it those asked for longest ago are forgotten. */
const CACHE_COUNT_MAX = 10_000;

/** A segment that no pattern names, for it has a control character [CH-1]. */
const OTHER = '\u0000';

/** What the namespaces of a server say. */
export interface Namespaces {
  /** The rules of a channel; mostly the same object for the same channel. */
  readonly rulesOf: (channel: string) => NamespaceRules;
  /**
   * True when every channel that `filter` matches allows the action [AUTH-7]. Private channels are
   * never allowed: they are their user's, whatever the namespaces say [CH-2].
   */
  readonly allowsWhole: (kind: 'anonymous' | 'user', action: Action, filter: string) => boolean;
}

/**
 * Makes the lookups from channels and filters to rules.
 *
 * @param rules by pattern, in any order: specificity alone decides.
 * @param defaults what holds where no pattern says anything.
 */
export function compileNamespaces(
  rules: Readonly<Record<string, NamespaceInput>>,
  defaults: NamespaceRules = DEFAULT_NAMESPACE,
): Namespaces {
  const find = finder(rules, defaults);
  // Channels that no pattern mentions share one object and need no place in the cache.
  const rulesOf = Object.keys(rules).length === 0 ? () => defaults : remembering(find);
  return { rulesOf, allowsWhole: wholeCheck(rules, find) };
}

function finder(
  rules: Readonly<Record<string, NamespaceInput>>,
  defaults: NamespaceRules,
): (channel: string) => NamespaceRules {
  const exact = new Map(Object.entries(rules).filter(([pattern]) => !isWildcard(pattern)));
  // From general to specific: each layer is laid over those before it.
  const wildcards = Object.entries(rules)
    .filter(([pattern]) => isWildcard(pattern))
    .sort(([a], [b]) => compareSpecificity(b, a));
  return (channel) => {
    let found = defaults;
    for (const [pattern, layer] of wildcards) {
      if (matchesPattern(pattern, channel)) found = overlay(found, layer);
    }
    const own = exact.get(channel);
    return own === undefined ? found : overlay(found, own);
  };
}

function remembering(
  find: (channel: string) => NamespaceRules,
): (channel: string) => NamespaceRules {
  // Two generations: what is asked for again in time is kept, at no cost for each question.
  let young = new Map<string, NamespaceRules>();
  let old = new Map<string, NamespaceRules>();
  return (channel) => {
    const known = young.get(channel);
    if (known !== undefined) return known;
    const found = old.get(channel) ?? find(channel);
    if (young.size >= CACHE_COUNT_MAX / 2) {
      old = young;
      young = new Map();
    }
    young.set(channel, found);
    return found;
  };
}

/**
 * Checks whole filters by a few sample names. If a channel of the filter is denied, then by the
 * default or by a rule that denies; of all the channels which that rule and the filter share, the
 * ones without a name that any rule mentions match the fewest other rules. So they are denied too,
 * and it is enough to look at one of them for each number of segments.
 */
function wholeCheck(
  rules: Readonly<Record<string, NamespaceInput>>,
  find: (channel: string) => NamespaceRules,
): Namespaces['allowsWhole'] {
  const entries = Object.entries(rules);
  // One segment more than any rule has: longer names match the same rules.
  const countMax = 1 + Math.max(0, ...entries.map(([pattern]) => pattern.split('/').length));
  return (kind, action, filter) => {
    if (filter.startsWith('@')) return false;
    const denying = entries.filter(([, { allow }]) => allow?.[kind]?.includes(action) === false);
    const shared = denying.map(([pattern]) => commonPattern(filter, pattern));
    return [filter, ...shared].every(
      (part) =>
        part === undefined ||
        sampleNames(part, countMax).every((name) => find(name).allow[kind].includes(action)),
    );
  };
}

/** Names that `pattern` matches and that no rule mentions, one for each number of segments. */
function sampleNames(pattern: string, countMax: number): string[] {
  const segments = pattern.split('/').map((segment) => (segment === '+' ? OTHER : segment));
  if (segments.at(-1) !== '#') return [segments.join('/')];
  segments.pop();
  const names = [segments.join('/')];
  do {
    segments.push(OTHER);
    names.push(segments.join('/'));
  } while (segments.length < countMax);
  // `#` and `/#` have no parent: the empty text is no channel [CH-1].
  return names.filter((name) => name !== '');
}

function overlay(below: NamespaceRules, layer: NamespaceInput): NamespaceRules {
  return {
    ...below,
    ...layer,
    history: { ...below.history, ...layer.history },
    presence: { ...below.presence, ...layer.presence },
    allow: { ...below.allow, ...layer.allow },
  };
}
