/**
 * Machine feed: in development mode `system/metrics` carries this machine's real load once a
 * second, so that there is something true to see at once.
 */
import type { Clock, Timer } from '../clock.ts';
import type { Caller, PublishRequest } from '../hub/hub-types.ts';
import type { Log } from '../observe/log.ts';
import { MachineMeter } from '../observe/machine.ts';

/** The channel of the feed. */
export const METRICS_CHANNEL = 'system/metrics';

const INTERVAL_MS = 1_000;

/** What the feed counts. */
export interface FeedCounts {
  readonly links: { readonly websocket: number; readonly sse: number; readonly polls: number };
  /** Connections of MQTT by what carries them; those over WebSocket are among its links, too. */
  readonly mqtt: { readonly tcp: number; readonly tls: number; readonly websocket: number };
  /** Since the start. */
  readonly published: number;
  readonly delivered: number;
  /** Open channels, what reads them, and who is present in them. */
  readonly channels: number;
  readonly subscriptions: number;
  readonly members: number;
}

/** What the feed is built from. */
export interface FeedParts {
  readonly hub: {
    publish(caller: Caller, channel: string, request: PublishRequest): Promise<unknown>;
  };
  readonly clock: Clock;
  readonly log: Log;
  readonly counts: () => FeedCounts;
}

const FEED: Caller = { identity: { kind: 'server', grants: new Map() }, session: 'system' };

export class MachineFeed {
  readonly #parts: FeedParts;
  readonly #meter: MachineMeter;
  #timer: Timer | undefined;
  #before: { readonly counts: FeedCounts; readonly atMs: number };

  constructor(parts: FeedParts) {
    this.#parts = parts;
    const atMs = parts.clock.monotonicMs();
    this.#meter = new MachineMeter(atMs);
    this.#before = { counts: parts.counts(), atMs };
  }

  /** Begins to publish. */
  start(): void {
    this.#timer = this.#parts.clock.after(INTERVAL_MS, this.#publish);
  }

  /** Publishes no more. */
  stop(): void {
    this.#timer?.cancel();
    this.#meter.close();
  }

  readonly #publish = (): void => {
    this.#timer = this.#parts.clock.after(INTERVAL_MS, this.#publish);
    const atMs = this.#parts.clock.monotonicMs();
    const counts = this.#parts.counts();
    const seconds = Math.max(0.001, (atMs - this.#before.atMs) / 1000);
    const rate = (now: number, before: number): number => Math.round((now - before) / seconds);
    const { links, mqtt, channels, subscriptions, members } = counts;
    const data = {
      ...this.#meter.look(atMs),
      links,
      mqtt,
      hub: { channels, subscriptions, members },
      rates: {
        published: rate(counts.published, this.#before.counts.published),
        delivered: rate(counts.delivered, this.#before.counts.delivered),
      },
    };
    this.#before = { counts, atMs };
    const payload = new TextEncoder().encode(JSON.stringify(data));
    this.#parts.hub.publish(FEED, METRICS_CHANNEL, { payload }).catch((error: unknown) => {
      this.#parts.log.debug({ error }, 'publishing the machine load failed');
    });
  };
}
