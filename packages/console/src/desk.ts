/** Desk: the page's own state: four readers of one channel, the token, and moves between them. */
import type { Position } from '@trunkline/wire';
import { history } from './api.ts';
import { Changes } from './changes.ts';
import { EVENTS_MAX } from './lines/line.ts';
import type { LineMessage } from './lines/line.ts';
import type { MetricsFeed } from './metrics.ts';
import { Reader } from './reader.ts';
import type { Reading } from './reader.ts';
import { TRANSPORTS } from './transports.ts';
import type { Transport, TransportName } from './transports.ts';

/** What a desk begins with. */
export interface DeskOptions {
  /** The server's origin. */
  readonly server: string;
  readonly channel: string;
  readonly token: string | undefined;
  readonly feed: MetricsFeed;
  /** The panes; the page's own unless a test gives others. */
  readonly transports?: readonly Transport[];
}

/** Everything the page shows. */
export class Desk {
  /** The channel or the token is another one. */
  readonly changes = new Changes();
  readonly feed: MetricsFeed;
  readonly readers: readonly Reader[];
  readonly #server: string;
  readonly #events = new Set<string>();
  channel: string;
  token: string | undefined;

  constructor(options: DeskOptions) {
    this.#server = options.server;
    this.channel = options.channel;
    this.token = options.token;
    this.feed = options.feed;
    this.readers = (options.transports ?? TRANSPORTS).map(
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
    for (const reader of this.readers) reader.start(this.#reading());
    this.changes.notify();
  }

  /** All lines go on with this token; empty is none. */
  useToken(token: string): void {
    this.token = token === '' ? undefined : token;
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
    return {
      server: this.#server,
      channel: this.channel,
      token: () => this.token,
      events: [...this.#events],
    };
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
