/** @trunkline/client: read and publish from browsers, Node, Bun, Deno and workers. */
import { Line } from './line.ts';
import type { LineOptions } from './line.ts';
import { longPoll, longPollFor } from './transports/long-poll.ts';
import { shortPoll, shortPollEvery } from './transports/short-poll.ts';
import { sse } from './transports/sse.ts';
import type { Transport } from './transports/transport.ts';
import { websocket } from './transports/websocket.ts';

export * from './core.ts';
export { longPoll, longPollFor, shortPoll, shortPollEvery, sse, websocket };

/** How to connect. */
export interface ConnectOptions extends Omit<LineOptions, 'transports'> {
  /** All there are, the best first, when absent. */
  readonly transports?: readonly Transport[];
}

/**
 * Connects, and stays connected over whatever works here, until `close`.
 *
 * @param url where the server is, like `https://rt.example.com`.
 * @throws {CodedError} `bad_request` when `url` is no address.
 */
export function connect(url: string, options: ConnectOptions = {}): Line {
  return new Line(url, { transports: [websocket, sse, longPoll, shortPoll], ...options });
}
