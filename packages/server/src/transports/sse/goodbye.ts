/** Goodbye: how an event stream says why it ends. */
import type { Close } from '../../link/link.ts';

/**
 * The last event of a stream. Before one that is to come back, `retry:` tells the browser when.
 *
 * @param retryMs used where the close itself names no time.
 */
export function goodbyeEvent(close: Close, retryMs: number): string {
  const code = close.code === 'normal' ? 'draining' : close.code;
  const retryAfter = close.retryAfter === undefined ? {} : { retryAfter: close.retryAfter };
  const data = JSON.stringify({ code, ...retryAfter });
  return `retry: ${close.retryAfter ?? retryMs}\nevent: close\ndata: ${data}\n\n`;
}
