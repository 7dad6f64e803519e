/**
 * Subscription: one channel, or several and patterns, as an endless iteration. It dials, comes back after losses, resumes
 * from its position on whichever transport, and ends only when the application or the server's
 * final word ends it.
 */
import { CodedError } from '@trunkline/wire';
import { backoffMs } from '../backoff.ts';
import type { RetryHint } from '../backoff.ts';
import type { EncodingName } from './binary.ts';
import { nextState } from '../connection/connection-state.ts';
import type { ConnectionEvent, ConnectionState } from '../connection/connection-state.ts';
import { endingOf } from '../ending.ts';
import type { Ending } from '../ending.ts';
import { EventQueue } from './event-queue.ts';
import type { ReceivedMessage, OpenEvent, SubscriptionEvent } from '../events.ts';
import { addressOf, currentToken } from '../http.ts';
import type { TokenSource } from '../http.ts';
import { platformOf } from '../platform.ts';
import type { Platform, Timer } from '../platform.ts';
import { Progress } from './progress.ts';
import { openPoll } from './transports/poll.ts';
import { openEventStream } from './transports/sse.ts';
import type { Attempt, AttemptSink, Transport } from './transports/transport.ts';
import { openWebSocket } from './transports/websocket.ts';

/** A connection that lived so long was a good one: the next loss begins with short waits again. */
const GOOD_CONNECTION_MS = 5000;

const TRANSPORTS = {
  ws: openWebSocket,
  sse: openEventStream,
  poll: openPoll,
} as const satisfies Record<string, Transport>;

/** How messages travel to a subscription. */
export type TransportName = keyof typeof TRANSPORTS;

/** What to receive, and how. */
export interface SubscribeOptions extends Partial<Platform> {
  /** Where the server is, like `https://example.com`. */
  readonly url: string;
  /** A name or a pattern, or several. */
  readonly channel: string | readonly string[];
  /** `ws` unless said otherwise. */
  readonly transport?: TransportName;
  /**
   * A position, a mark, `start`, or a place for each channel as `subscription.position` gives it;
   * absent: only what comes from now on.
   */
  readonly after?: string;
  /** Begins with so many of the newest messages; not together with `after`. */
  readonly last?: number;
  /** Delivers what is left of a trimmed range after its gap. */
  readonly partial?: boolean;
  /** Asks to be listed where the namespace lists, and to be told who is there, comes and goes. */
  readonly presence?: boolean;
  /** Asks for the state of the channel where the log can't bring it up. */
  readonly snapshot?: boolean;
  /** A function is asked before every attempt, so that an expired token can be replaced. */
  readonly token?: TokenSource;
  /** `json` unless said otherwise; `binary` for `ws` and `poll` where the server has it. */
  readonly encoding?: EncodingName;
  /** For `poll`: whole seconds that one question waits, 25 by default; 0 is short polling. */
  readonly waitSeconds?: number;
  /** For short polling: the time between two questions, 1,000 by default. */
  readonly intervalMs?: number;
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
}

/**
 * Begins to receive a channel at once. Iterate to read; leaving the loop ends the subscription.
 *
 * Messages come in offset order and none twice; what is lost is told by a `gap`, or by an `open`
 * with `recovered: false`. The iteration throws a `CodedError` when the server refuses for good.
 *
 * @throws {CodedError} `bad_request` when `url` is no address.
 */
export function subscribe(options: SubscribeOptions): Subscription {
  return new Subscription(options);
}

/** A running subscription; made by {@link subscribe}. */
export class Subscription implements AsyncIterableIterator<SubscriptionEvent, undefined> {
  readonly #options: SubscribeOptions;
  readonly #platform: Platform;
  readonly #queue = new EventQueue();
  readonly #channels: readonly string[];
  readonly #progress: Progress;
  readonly #onAbort = () => this.#disconnect('aborted');
  #state: ConnectionState = 'disconnected';
  #attempt: Attempt | undefined;
  #timer: Timer | undefined;
  /** Counts attempts, so that a late word of an earlier one is known. */
  #attemptCount = 0;
  /** Losses since the last good connection. */
  #lossCount = 0;
  #openedMs: number | undefined;
  /** True when a fresh token was asked for and has not proved good yet. */
  #refreshing = false;

  constructor(options: SubscribeOptions) {
    addressOf(options.url, 'http', '');
    const { channel } = options;
    this.#channels = typeof channel === 'string' ? [channel] : [...new Set(channel)];
    this.#progress = new Progress(this.#channels);
    this.#options = options;
    this.#platform = platformOf(options);
    this.#enter('connect');
    if (options.signal?.aborted === true) {
      this.#disconnect('aborted');
      return;
    }
    options.signal?.addEventListener('abort', this.#onAbort);
    this.#dial();
  }

  /** Where the subscription stands: everything up to here has been handed out or is queued. */
  get position(): string | undefined {
    return this.#progress.position ?? this.#options.after;
  }

  next(): Promise<IteratorResult<SubscriptionEvent, undefined>> {
    return this.#queue.next();
  }

  /** Ends the subscription; what is queued is dropped. */
  return(): Promise<IteratorResult<SubscriptionEvent, undefined>> {
    this.#disconnect('closed by the application');
    this.#queue.clear();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Tries once. What goes wrong is an ending, a failing token function included. */
  #dial(): void {
    const sink = this.#sink();
    currentToken(this.#options.token).then(
      (token) => {
        if (!sink.isCurrent()) return;
        const { transport = 'ws', url, last, partial, presence, snapshot } = this.#options;
        const { waitSeconds = 25, intervalMs = 1000, encoding } = this.#options;
        const after = this.position;
        const target = {
          url,
          channels: this.#channels,
          waitSeconds,
          intervalMs,
          ...(after === undefined ? {} : { after }),
          ...(last === undefined || after !== undefined ? {} : { last }),
          ...(partial === undefined ? {} : { partial }),
          ...(presence === undefined ? {} : { presence }),
          ...(snapshot === undefined ? {} : { snapshot }),
          ...(token === undefined ? {} : { token }),
          ...(encoding === undefined ? {} : { encoding }),
        };
        this.#attempt = TRANSPORTS[transport](target, sink, this.#platform);
      },
      (error: unknown) => {
        const detail = error instanceof Error ? error.message : String(error);
        const coded = new CodedError('unavailable', `no token: ${detail}`, { cause: error });
        sink.onEnd(endingOf(error instanceof CodedError ? error : coded));
      },
    );
  }

  /** What one attempt may say; once another has begun, it is not listened to any more. */
  #sink(): AttemptSink & { isCurrent(): boolean } {
    const number = this.#attemptCount;
    let live = true;
    const isCurrent = () => live && number === this.#attemptCount && this.#state !== 'disconnected';
    return {
      isCurrent,
      onOpen: (opening) => isCurrent() && this.#onOpen(opening),
      onMessage: (message) => isCurrent() && this.#onMessage(message),
      onGap: (gap) => {
        if (!isCurrent()) return;
        this.#progress.skipTo(gap.channel, gap.position);
        this.#queue.push(gap);
      },
      onMark: (filters, mark) => isCurrent() && this.#progress.marked(filters, mark),
      onExpired: (channel, position) => isCurrent() && this.#progress.skipTo(channel, position),
      onOther: (event) => isCurrent() && this.#queue.push(event),
      onEnd: (ending) => {
        if (!isCurrent()) return;
        live = false;
        this.#onEnd(ending);
      },
      room: () => this.#queue.room(),
    };
  }

  #onOpen(opening: OpenEvent): void {
    this.#openedMs = this.#platform.clock.monotonicMs();
    this.#refreshing = false;
    this.#progress.open(opening);
    if (this.#state === 'connecting') this.#enter('opened');
    this.#queue.push(opening);
  }

  #onMessage(message: ReceivedMessage): void {
    if (!this.#progress.take(message)) return;
    this.#queue.push(message);
    if (!this.#queue.isOver) return;
    // A WebSocket can't be told to wait. The log can: come back from here when there is room.
    this.#attempt?.close();
    this.#reconnect('behind: the application reads too slowly', { withinMs: 0 });
  }

  #onEnd(ending: Ending): void {
    this.#attempt = undefined;
    if (ending.kind === 'lost') {
      this.#reconnect(ending.reason, ending.hint);
    } else if (ending.kind === 'stale' && this.#canRefresh()) {
      this.#refreshing = true;
      this.#reconnect('unauthenticated: asking for a fresh token', {});
    } else {
      this.#enter('refused', ending.error.message);
      this.#stop();
      this.#queue.fail(ending.error);
    }
  }

  /** Only a function gives another token, and one that was refused twice in a row gives no good one. */
  #canRefresh(): boolean {
    return typeof this.#options.token === 'function' && !this.#refreshing;
  }

  #reconnect(reason: string, hint: RetryHint | undefined): void {
    const { clock, random } = this.#platform;
    this.#enter('lost', reason);
    const livedMs = this.#openedMs === undefined ? 0 : clock.monotonicMs() - this.#openedMs;
    this.#openedMs = undefined;
    if (livedMs >= GOOD_CONNECTION_MS) this.#lossCount = 0;
    const delayMs = backoffMs(this.#lossCount, random(), hint);
    this.#lossCount += 1;
    this.#attemptCount += 1;
    this.#timer = clock.after(delayMs, () => {
      const number = this.#attemptCount;
      // Dialing with a full queue would only bring more of what there is no room for.
      void this.#queue.room().then(() => {
        if (number === this.#attemptCount && this.#state !== 'disconnected') this.#dial();
      });
    });
  }

  #enter(event: ConnectionEvent, reason?: string): void {
    const state = nextState(this.#state, event);
    if (state === undefined) throw new Error(`${event} can't happen while ${this.#state}`);
    this.#state = state;
    this.#queue.push({ kind: 'state', state, ...(reason === undefined ? {} : { reason }) });
  }

  #disconnect(reason: string): void {
    if (this.#state === 'disconnected') return;
    this.#enter('disconnect', reason);
    this.#stop();
    this.#queue.end();
  }

  #stop(): void {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#timer?.cancel();
    this.#attempt?.close();
    this.#attempt = undefined;
  }
}
