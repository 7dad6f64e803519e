/** The line over short polling: the same question once a second, answered 304 when nothing came. */
import { createLine } from './line.ts';
import type { Line, LineOptions } from './line.ts';
import { pollBy } from './polling.ts';

/** From an answer to the next question. */
export const INTERVAL_MS = 1_000;

const dial = pollBy({ waitSeconds: 0, intervalMs: INTERVAL_MS });

/** Opens a line over short polling. */
export function connect(options: LineOptions): Line {
  return createLine(dial, options);
}
