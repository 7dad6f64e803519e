/** Long polling: a question that waits at the server until there is something to say. */
import { openHttp } from './http-reading.ts';
import { pollReader } from './polling.ts';
import type { Transport } from './transport.ts';

/** Less than what proxies let a request wait, 30 s at the least. */
const WAIT_SECONDS = 25;

/** The longest wait that the server grants. [POLL-2] */
const WAIT_SECONDS_MAX = 60;

/** From one empty answer to the next question where the server will not wait, e.g. as it drains. */
const INTERVAL_MS = 1000;

/** Works wherever HTTP does, and tells news as soon as they are there. */
export const longPoll: Transport = longPollFor(WAIT_SECONDS);

/**
 * Has each question wait so long, where proxies let them wait for longer or not as long.
 *
 * @param waitSeconds whole seconds, 1 to 60.
 */
export function longPollFor(waitSeconds: number): Transport {
  const bounded = Math.min(Math.max(1, Math.floor(waitSeconds)), WAIT_SECONDS_MAX);
  const reader = pollReader({ waitSeconds: bounded, intervalMs: INTERVAL_MS });
  return {
    name: 'long-poll',
    fault: () => undefined,
    open: (target, sink, platform) => openHttp(reader, target, sink, platform),
  };
}
