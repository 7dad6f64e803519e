/** Format: numbers and places as short texts for people. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Epochs and sessions are long; their beginning tells them apart. */
const WORD_LENGTH_MAX = 6;

/** `8 ms`, `1.2 s`, `4 min`, `2 h 5 min`. */
export function formatMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < MINUTE_MS) return `${Math.round(ms / 1000)} s`;
  const minutes = `${Math.floor((ms % HOUR_MS) / MINUTE_MS)} min`;
  return ms < HOUR_MS ? minutes : `${Math.floor(ms / HOUR_MS)} h ${minutes}`;
}

/** `0/s`, `0.4/s`, `12/s`. */
export function formatRate(perSecond: number): string {
  const text = perSecond < 10 ? perSecond.toFixed(1).replace(/\.0$/, '') : perSecond.toFixed(0);
  return `${text}/s`;
}

/** `1 reader`, `2 readers`. */
export function formatCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The offset in full and as much of the epoch as tells it from others; a mark by its beginning. */
export function formatPlace(after: string): string {
  const [epoch = '', offset] = after.split(':');
  return offset === undefined ? formatWord(after) : `${formatWord(epoch)}:${offset}`;
}

/** The beginning of a long word. */
export function formatWord(word: string): string {
  return word.length <= WORD_LENGTH_MAX + 1 ? word : `${word.slice(0, WORD_LENGTH_MAX)}…`;
}

/** The time of day of this machine. */
export function formatTime(unixMs: number): string {
  return new Date(unixMs).toTimeString().slice(0, '00:00:00'.length);
}
