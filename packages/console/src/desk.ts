/** Desk: the page's own state: four readers of one channel, the token, and moves between them. */
import type { Position } from '@trunkline/wire';
import { history } from './api.ts';
import { Changes } from './changes.ts';
import type { LineMessage } from './lines/line.ts';
import { METRICS_CHANNEL, MetricsFeed } from './metrics.ts';
import { Reader } from './reader.ts';
import type { Reading } from './reader.ts';
import { TRANSPORTS } from './transports.ts';
import type { TransportName } from './transports.ts';

/** Event names that are remembered; an `EventSource` needs a listener for each. */
const EVENTS_MAX = 64;

const TOKEN_KEY = 'trunkline.token';

/** Everything the page shows. */
export class Desk {
  /** The channel or the token is another one. */
  readonly changes = new Changes();
  readonly feed = new MetricsFeed();
  readonly readers: readonly Reader[];
  readonly #events = new Set<string>();
  channel: string;
  token: string | undefined;

  constructor() {
    this.channel = new URLSearchParams(location.search).get('channel') ?? METRICS_CHANNEL;
    this.token = storedToken();
    this.readers = TRANSPORTS.map(
      (transport) =>
        new Reader(transport, {
          newest: (channel) => this.#newest(channel),
          onMessage: (message) => this.#onMessage(message),
        }),
    );
  }

  /** Begins to read. */
  start(): void {
    void this.feed.start(this.token); // Never rejects, as `history` does not.
    for (const reader of this.readers) reader.start(this.#reading());
  }

  /** All readers begin anew in this channel. */
  watch(channel: string): void {
    this.channel = channel;
    this.#events.clear();
    const url = new URL(location.href);
    url.searchParams.set('channel', channel);
    window.history.replaceState(null, '', url);
    for (const reader of this.readers) reader.start(this.#reading());
    this.changes.notify();
  }

  /** All lines go on with this token, which the browser tab keeps; empty is none. */
  useToken(token: string): void {
    this.token = token === '' ? undefined : token;
    storeToken(this.token);
    void this.feed.start(this.token); // Never rejects, as `history` does not.
    for (const reader of this.readers) reader.renew();
    this.changes.notify();
  }

  /** The position of one transport goes on over another. */
  move(from: TransportName, to: TransportName): void {
    const source = this.readers.find(({ transport }) => transport.name === from);
    const target = this.readers.find(({ transport }) => transport.name === to);
    if (source === undefined || target === undefined || source === target) return;
    target.takeOver(source.handOver(to), this.#reading());
  }

  #reading(): Reading {
    return { channel: this.channel, token: () => this.token, events: [...this.#events] };
  }

  #onMessage({ event }: LineMessage): void {
    if (event === undefined || this.#events.has(event) || this.#events.size >= EVENTS_MAX) return;
    this.#events.add(event);
    for (const reader of this.readers) reader.expect([event]);
  }

  async #newest(channel: string): Promise<Position | undefined> {
    const page = await history(channel, undefined, 1, this.token);
    return page.ok ? page.value.newest : undefined;
  }
}

// A page may be refused any storage; the token then lives as long as the page.
function storedToken(): string | undefined {
  try {
    return sessionStorage.getItem(TOKEN_KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

function storeToken(token: string | undefined): void {
  try {
    if (token === undefined) sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
  } catch {
    // See above.
  }
}
