/**
 * Weight: about how much memory a value takes, so that what waits for a tab can be bounded, and how
 * deep it goes: structured clones end where the stack does, and a publisher must not decide that.
 */

/** What an object, an array or a number costs beside what is in it. */
const VALUE_BYTES = 16;
/** What goes deeper crosses as JSON text. Browsers clone at least some thousand levels. */
export const DEPTH_MAX = 500;

/** What a value of JSON, with bytes in it, weighs. */
export interface Weight {
  readonly bytes: number;
  readonly isDeep: boolean;
}

/** Walks the whole value: ask once for each. */
export function weigh(root: unknown): Weight {
  let bytes = 0;
  let depth = 0;
  // Level by level: recursion would end where a clone does.
  for (let level = [root]; level.length > 0; depth += 1) {
    const below: unknown[] = [];
    for (const value of level) {
      bytes += VALUE_BYTES;
      if (typeof value === 'string') bytes += value.length;
      else if (value instanceof Uint8Array) bytes += value.byteLength;
      else if (Array.isArray(value)) for (const one of value as unknown[]) below.push(one);
      else if (typeof value === 'object' && value !== null) {
        for (const [name, one] of Object.entries(value)) {
          bytes += name.length;
          below.push(one);
        }
      }
    }
    level = below;
  }
  return { bytes, isDeep: depth > DEPTH_MAX };
}
