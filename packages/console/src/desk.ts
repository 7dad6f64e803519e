/** Desk: the page's own state: readers of the same channels, the token, and moves between. */
import { isWildcard } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import { history, keptOf } from './api.ts';
import { Attendance } from './attendance.ts';
import { Changes } from './changes.ts';
import type { PresenceNews } from './lines/line.ts';
import type { MetricsFeed } from './metrics.ts';
import { Reader } from './reader.ts';
import type { Reading } from './reader.ts';
import { TRANSPORTS } from './transports.ts';
import type { Transport, TransportName } from './transports.ts';

/** What a desk begins with. */
export interface DeskOptions {
  /** The server's origin. */
  readonly server: string;
  /** Channels and patterns; at least one. */
  readonly filters: readonly string[];
  readonly token: string | undefined;
  readonly feed: MetricsFeed;
  /** The panes; the page's own unless a test gives others. */
  readonly transports?: readonly Transport[];
}

/** Everything the page shows. */
export class Desk {
  /** What is followed, or the token, is another one. */
  readonly changes = new Changes();
  /** Who is present has changed. */
  readonly presence = new Changes();
  /** What is retained may be another message. */
  readonly retained = new Changes();
  readonly feed: MetricsFeed;
  readonly readers: readonly Reader[];
  readonly #server: string;
  /** By channel; only those that are followed by their names. */
  readonly #attendance = new Map<string, Attendance>();
  readonly #sessions = new Map<string, string>();
  filters: readonly string[];
  token: string | undefined;
  /** Whether every pane is listed, or those alone that always are: WebSocket and MQTT. */
  takesPart = false;

  constructor(options: DeskOptions) {
    this.#server = options.server;
    this.filters = options.filters;
    this.token = options.token;
    this.feed = options.feed;
    this.readers = (options.transports ?? TRANSPORTS).map(
      (transport) =>
        new Reader(transport, {
          newest: (channel) => this.#newest(channel),
          kept: (hole) => keptOf(hole, this.token),
          onPresence: (news) => this.#onPresence(transport.name, news),
          onSession: (session) => this.#onSession(session, transport.label),
        }),
    );
  }

  /** Begins to read. */
  start(): void {
    void this.feed.start(this.token); // Never rejects, as `history` does not.
    for (const reader of this.readers) reader.start(this.#reading());
  }

  /** All readers begin anew in these channels and patterns. */
  watch(filters: readonly string[]): void {
    this.filters = filters;
    this.#attendance.clear();
    for (const reader of this.readers) reader.start(this.#reading());
    this.changes.notify();
    this.presence.notify();
  }

  /** All lines go on with this token; empty is none. */
  useToken(token: string): void {
    this.token = token === '' ? undefined : token;
    void this.feed.start(this.token); // Never rejects, as `history` does not.
    for (const reader of this.readers) reader.renew();
    this.changes.notify();
  }

  /** Lists every pane as present, or no more than those that always are. */
  takePart(takesPart: boolean): void {
    this.takesPart = takesPart;
    for (const reader of this.readers) {
      if (!reader.transport.isAlwaysListed) reader.renew();
    }
    this.presence.notify();
  }

  /** The place of one transport goes on over another. */
  move(from: TransportName, to: TransportName): void {
    const source = this.readers.find(({ transport }) => transport.name === from);
    const target = this.readers.find(({ transport }) => transport.name === to);
    if (source === undefined || target === undefined || source === target) return;
    if (!target.transport.takesPlaces) return;
    target.takeOver(source.handOver(to), this.#reading());
  }

  /** Who is in a channel; `undefined` until the server has said so. */
  attendanceOf(channel: string): Attendance | undefined {
    return this.#attendance.get(channel);
  }

  /** The pane of this page that presence lists under this word. */
  ownSession(session: string): string | undefined {
    if (session === this.feed.session) return 'load strip';
    return this.#sessions.get(session);
  }

  /** Channels that can be looked at by their names: those followed, and those that came. */
  get channels(): string[] {
    const found = new Set(this.filters.filter((filter) => !isWildcard(filter)));
    for (const { ledger } of this.readers) for (const one of ledger.channels) found.add(one);
    return [...found];
  }

  #reading(): Reading {
    return {
      server: this.#server,
      filters: this.filters,
      token: () => this.token,
      takesPart: () => this.takesPart,
    };
  }

  /** The WebSocket tells of presence unasked; one teller is enough. */
  #onPresence(teller: TransportName, news: PresenceNews): void {
    if (teller !== 'websocket') return;
    const attendance = this.#attendance.get(news.channel) ?? new Attendance();
    this.#attendance.set(news.channel, attendance);
    attendance.take(news);
    this.presence.notify();
  }

  #onSession(session: string, label: string): void {
    this.#sessions.set(session, label);
    if (this.#sessions.size <= SESSIONS_MAX) return;
    const oldest = this.#sessions.keys().next();
    if (!oldest.done) this.#sessions.delete(oldest.value);
  }

  async #newest(channel: string): Promise<Position | undefined> {
    const page = await history(channel, undefined, 1, this.token);
    return page.ok ? page.value.newest : undefined;
  }
}

/** Words of this page's own connections that are remembered: those gone are listed for a while. */
const SESSIONS_MAX = 64;
