/**
 * @trunkline/client/tabs: one connection for all tabs of an origin. In each tab the whole client
 * runs, with its own places and its own outbox; only the connection is elsewhere: in the tab that
 * leads, or in a worker. So whoever has it may die at any moment, and nothing is lost or doubled.
 */
import { currentToken } from '../http.ts';
import type { TokenSource } from '../http.ts';
import type { Transport } from '../transports/transport.ts';
import { lineUpstream } from './line-upstream.ts';
import { transportOf } from './shared-transport.ts';
import type { ShareOptions } from './shared-transport.ts';

export type { ShareOptions, WorkerLike } from './shared-transport.ts';

/** How tabs share, and what the connection goes over in the tab that leads. */
export interface SharedOptions extends ShareOptions {
  /** The preferred one first; a worker has its own. */
  readonly transports: readonly Transport[];
  /** That of the line: the shared connection asks any tab that lives for its next token. */
  readonly token?: TokenSource;
}

/** One connection for all tabs: the first transport of a line, before those it uses by itself. */
export function sharedTransport({ transports, token, ...options }: SharedOptions): Transport {
  return transportOf({
    ...options,
    openUpstream: lineUpstream(transports),
    ...(token === undefined ? {} : { onTokenWanted: () => currentToken(token) }),
  });
}

/**
 * The option `tabs` of `connect`.
 *
 * @param options what is shared with whom: by default with all tabs that have the same address.
 */
export function shareTabs(options: ShareOptions = {}) {
  return (own: Pick<SharedOptions, 'transports' | 'token'>): Transport =>
    sharedTransport({ ...options, ...own });
}
