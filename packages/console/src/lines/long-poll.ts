/** The line over long polling: a `fetch` that the server answers when there is something to tell. */
import { createLine } from './line.ts';
import type { Line, LineOptions } from './line.ts';
import { pollBy } from './polling.ts';

/** How long the server may hold a question. */
export const WAIT_SECONDS = 25;

const dial = pollBy({ waitSeconds: WAIT_SECONDS, intervalMs: 0 });

/** Opens a line over long polling. */
export function connect(options: LineOptions): Line {
  return createLine(dial, options);
}
