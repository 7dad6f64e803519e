/** Numbers as people read them. */

const whole = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const MEGABYTE = 1_000_000;
const GIGABYTE = 1_000 * MEGABYTE;

/** `12,345`. */
export function formatCount(count: number): string {
  return whole.format(count);
}

/** `12.3K` from ten thousand on, so that a figure keeps its width. */
export function formatShort(count: number): string {
  return count < 10_000 ? whole.format(Math.round(count)) : short.format(count);
}

/** `37%` of a part between 0 and 1. */
export function formatPercent(part: number): string {
  return `${String(Math.round(part * 100))}%`;
}

/** `1.6 GB`, `212 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes >= GIGABYTE) return `${(bytes / GIGABYTE).toFixed(1)} GB`;
  return `${String(Math.round(bytes / MEGABYTE))} MB`;
}
