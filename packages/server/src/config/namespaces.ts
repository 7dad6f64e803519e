/**
 * Namespaces: which rules hold for a channel. Field by field the most specific pattern that says
 * something wins; what nobody says is the default's. Pure but for a bounded memory of answers.
 */
import { compareSpecificity, isWildcard, matchesPattern } from '@trunkline/wire';
import { DEFAULT_NAMESPACE } from './namespace-rules.ts';
import type { NamespaceInput, NamespaceRules } from './namespace-rules.ts';

/** Channels whose rules are remembered; over it the one asked for longest ago is forgotten. */
const CACHE_COUNT_MAX = 10_000;

/**
 * Makes the lookup from a channel's name to its rules.
 *
 * @param rules by pattern, in any order: specificity alone decides.
 * @param defaults what holds where no pattern says anything.
 */
export function compileNamespaces(
  rules: Readonly<Record<string, NamespaceInput>>,
  defaults: NamespaceRules = DEFAULT_NAMESPACE,
): (channel: string) => NamespaceRules {
  const exact = new Map(Object.entries(rules).filter(([pattern]) => !isWildcard(pattern)));
  // From general to specific: each layer is laid over those before it.
  const wildcards = Object.entries(rules)
    .filter(([pattern]) => isWildcard(pattern))
    .sort(([a], [b]) => compareSpecificity(b, a));
  // Channels that no pattern mentions share one object and need no place in the cache.
  if (exact.size === 0 && wildcards.length === 0) return () => defaults;

  const cache = new Map<string, NamespaceRules>();
  return (channel) => {
    const known = cache.get(channel);
    if (known !== undefined) {
      // A map iterates in the order of insertion, so this makes it the newest.
      cache.delete(channel);
      cache.set(channel, known);
      return known;
    }
    let found = defaults;
    for (const [pattern, layer] of wildcards) {
      if (matchesPattern(pattern, channel)) found = overlay(found, layer);
    }
    const own = exact.get(channel);
    if (own !== undefined) found = overlay(found, own);
    if (cache.size >= CACHE_COUNT_MAX) {
      const oldest = cache.keys().next();
      if (!oldest.done) cache.delete(oldest.value);
    }
    cache.set(channel, found);
    return found;
  };
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
