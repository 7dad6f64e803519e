/** Short polling: asks now and then, where nothing that waits comes through. */
import { openHttp } from './http-reading.ts';
import { pollReader } from './polling.ts';
import type { Transport } from './transport.ts';

/** Asks every two seconds or so. */
export const shortPoll: Transport = shortPollEvery(2000);

/**
 * Asks so often; each time a little earlier or later, so that clients don't ask all at once.
 *
 * @param intervalMs from an answer to the next question; at least 100.
 */
export function shortPollEvery(intervalMs: number): Transport {
  const reader = pollReader({ waitSeconds: 0, intervalMs: Math.max(100, intervalMs) });
  return {
    name: 'short-poll',
    fault: () => undefined,
    open: (target, sink, platform) => openHttp(reader, target, sink, platform),
  };
}
