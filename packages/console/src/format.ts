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

/** `310 B`, `12.4 KB`, `3.1 MB`. */
export function formatSize(bytes: number): string {
  if (bytes < 1_000) return `${String(Math.round(bytes))} B`;
  if (bytes < MEGABYTE) return `${(bytes / 1_000).toFixed(1)} KB`;
  return `${(bytes / MEGABYTE).toFixed(1)} MB`;
}

/** `HTTP/1.1`, `HTTP/2` from the name that a browser has for it (RFC 7301 §6). */
export function formatProtocol(name: string): string {
  const known: Readonly<Record<string, string>> = { h2: 'HTTP/2', h3: 'HTTP/3' };
  return known[name] ?? name.toUpperCase();
}

/** `13:04`, or as the reader's language has it. */
export function formatTime(time: Date): string {
  return time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}
