/** Order: searching in what is sorted, and the order of state keys. */

/** The lowest index in [low, high) for which `reached` holds, else `high`; it must be monotone. */
export function lowerBound(low: number, high: number, reached: (index: number) => boolean): number {
  let from = low;
  let to = high;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (reached(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** The order of UTF-8 bytes, which differs from that of strings where surrogates are met. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    if (a.charCodeAt(index) === b.charCodeAt(index)) continue;
    // Where two strings part inside a pair, the pair's other half is the same: ranks decide.
    return rank(a.charCodeAt(index)) - rank(b.charCodeAt(index));
  }
  return a.length - b.length;
}

/** Puts surrogates, that is the code points over U+FFFF, after every other UTF-16 unit. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
