/** @trunkline/client: read and publish from browsers, Node, Bun, Deno and workers. */
import { ladder } from './connection/ladder-memory.ts';
import { network } from './connection/network.ts';
import { renewal } from './connection/renewal.ts';
import type { Features } from './features.ts';
import type { TokenSource } from './http.ts';
import { Line } from './line.ts';
import type { LineOptions } from './line.ts';
import { conflation } from './publishing/conflation.ts';
import { outbox } from './publishing/outbox.ts';
import { members } from './reading/attendance.ts';
import { history } from './reading/history.ts';
import { schemas } from './schema.ts';
import { longPoll, longPollFor } from './transports/long-poll.ts';
import { shortPoll, shortPollEvery } from './transports/short-poll.ts';
import { sse } from './transports/sse.ts';
import type { Transport } from './transports/transport.ts';
import { websocket } from './transports/websocket.ts';

export * from './core.ts';
export { conflation, history, ladder, members, network, outbox, renewal, schemas };
export { longPoll, longPollFor, shortPoll, shortPollEvery, sse, websocket };

/** All features, as `connect` has them. */
export const everything: Required<Features> = {
  conflation,
  history,
  ladder,
  members,
  network,
  outbox,
  renewal,
  schemas,
};

/** How to connect. */
export interface ConnectOptions extends Omit<LineOptions, 'transports' | 'features'> {
  /** All there are, the best first, when absent. */
  readonly transports?: readonly Transport[] | undefined;
  /** One connection for all tabs: `shareTabs` of `@trunkline/client/tabs`. */
  readonly tabs?: Sharing | undefined;
}

/** Puts the way over other tabs before the transports of this one. */
export type Sharing = (own: {
  readonly transports: readonly Transport[];
  readonly token?: TokenSource;
}) => Transport;

/**
 * Connects, and stays connected over whatever works here, until `close`.
 *
 * @param url where the server is, like `https://rt.example.com`.
 * @throws {CodedError} `bad_request` when `url` is no address.
 */
export function connect(url: string, options: ConnectOptions = {}): Line {
  const { tabs, transports = [websocket, sse, longPoll, shortPoll], ...rest } = options;
  const { token } = rest;
  const shared = tabs?.({ transports, ...(token !== undefined && { token }) });
  return new Line(url, {
    ...rest,
    features: everything,
    transports: shared ? [shared, ...transports] : transports,
  });
}
