/** Long polling: a question that waits at the server until there is something to say. */
import { openHttp } from './http-reading.ts';
import { pollReader } from './polling.ts';
import type { Transport } from './transport.ts';

/** Less than what proxies let a request wait, 30 s at the least. */
const WAIT_SECONDS = 25;

/** From one empty answer to the next question where the server will not wait, e.g. as it drains. */
const INTERVAL_MS = 1000;

const reader = pollReader({ waitSeconds: WAIT_SECONDS, intervalMs: INTERVAL_MS });

/** Works wherever HTTP does, and tells news as soon as they are there. */
export const longPoll: Transport = {
  name: 'long-poll',
  fault: () => undefined,
  open: (target, sink, platform) => openHttp(reader, target, sink, platform),
};
