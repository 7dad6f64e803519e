/**
 * Monitor: what a line does, as plain data for whoever draws it. It listens to what readers are told
 * by standing before each of them, so that a line that nobody looks at has no part in it.
 */
import type { Gap } from '@trunkline/wire';
import type { StateEvent } from '../connection/connection.ts';
import type { ConnectionState } from '../connection/connection-state.ts';
import type { TriedTransport } from '../connection/explanation.ts';
import type { Line } from '../line.ts';
import type { Clock } from '../platform.ts';
import type { ReadingListener, Subscription } from '../reading/subscription.ts';
import type { TransportName } from '../transports/transport.ts';
import { Lag, Skew } from './lag.ts';
import { Rate } from './rate.ts';

/** Happenings that are kept. */
const HAPPENINGS_MAX = 100;
/** Channels that are remembered when nobody reads them any more. */
const COUNTERS_MAX = 1000;

/** What a subscription hears. */
type Heard = Parameters<ReadingListener['onEvent']>[0];

/** One name or pattern that is read. */
export interface ChannelView {
  readonly name: string;
  /** - `waiting`: no messages flow yet, or not while the connection is away. */
  readonly state: 'live' | 'waiting' | 'paused';
  readonly readers: number;
  /** Where the first reader stands: a position, or a mark. */
  readonly after?: string;
  /** Messages since the monitor began. */
  readonly count: number;
  readonly perSecond: number;
  /** Messages in each of the last seconds, the oldest first. */
  readonly seconds: readonly number[];
  readonly lagMs?: number;
  readonly gapCount: number;
}

/** Something that happened to the line. */
export interface Happening {
  /** Unix milliseconds of this machine. */
  readonly atMs: number;
  readonly kind: 'connected' | 'lost' | 'ended' | 'gap' | 'error' | 'token';
  readonly text: string;
  /** How often it happened in a row; `atMs` is the last time. */
  readonly count: number;
}

/** How a line stands. */
export interface LineView {
  readonly state: ConnectionState;
  readonly transport?: TransportName;
  readonly session?: string;
  readonly user?: string;
  /** How long the transport is in use. */
  readonly forMs?: number;
  readonly tried: readonly TriedTransport[];
  readonly channels: readonly ChannelView[];
  /** The newest first. */
  readonly happenings: readonly Happening[];
  /** Connections that came after the first. */
  readonly reconnectCount: number;
  readonly tokenCount: number;
  /** Publishes that wait for an answer. */
  readonly waiting: number;
  /** By how much this machine's clock seems to be ahead of the server's. */
  readonly skewMs?: number;
}

/** What is counted of one name or pattern. */
interface Counter {
  readonly rate: Rate;
  readonly lag: Lag;
  count: number;
  gapCount: number;
  /** Of one message or loss all its readers are told: it counts once. */
  last: Heard | undefined;
  lastGap: string | undefined;
}

/** What a monitor takes from outside. */
export interface MonitorOptions {
  readonly clock: Clock;
  /** Unix milliseconds, which may jump. */
  readonly unixMs: () => number;
}

export class Monitor {
  readonly #line: Line;
  readonly #options: MonitorOptions;
  readonly #counters = new Map<string, Counter>();
  readonly #happenings: Happening[] = [];
  readonly #skew = new Skew();
  readonly #ends: (() => void)[];
  /** Those that are listened to, and how to stop that. */
  readonly #taps = new WeakMap<Subscription, () => void>();
  #connectionCount = 0;
  #isConnected: boolean;
  #tokenCount = 0;
  #hasEnded = false;

  constructor(line: Line, options: MonitorOptions) {
    this.#line = line;
    this.#options = options;
    this.#isConnected = line.state === 'connected';
    if (this.#isConnected) this.#connectionCount = 1;
    const { subscriptions } = line;
    for (const wire of subscriptions.inspect()) wire.subscriptions.forEach((one) => this.#tap(one));
    this.#ends = [
      line.on('state', (event) => this.#onState(event)),
      line.on('error', (error) => this.#note('error', error.message)),
      line.on('token', () => {
        this.#tokenCount += 1;
        this.#note('token', 'a newer token was taken');
      }),
      replace(subscriptions, 'add', (add) => (subscription) => {
        this.#tap(subscription);
        add(subscription);
      }),
    ];
  }

  /** How it stands now. */
  read(): LineView {
    const line = this.#line;
    const { transport, session, user } = line;
    const { tried, since } = line.explain();
    const skewMs = this.#skew.ms;
    return {
      state: line.state,
      ...(transport !== undefined && { transport }),
      ...(session !== undefined && { session }),
      ...(user !== undefined && { user }),
      ...(since !== undefined && { forMs: Math.max(0, this.#options.unixMs() - since) }),
      tried,
      channels: line.subscriptions
        .inspect()
        .map(({ filter, subscriptions }) => this.#viewOf(filter, [...subscriptions])),
      happenings: this.#happenings.toReversed(),
      reconnectCount: Math.max(0, this.#connectionCount - 1),
      tokenCount: this.#tokenCount,
      waiting: line.waiting,
      ...(skewMs !== undefined && { skewMs }),
    };
  }

  /** Listens no more. Idempotent. */
  end(): void {
    this.#hasEnded = true;
    for (const end of this.#ends.splice(0)) end();
    for (const { subscriptions } of this.#line.subscriptions.inspect()) {
      for (const one of subscriptions) this.#taps.get(one)?.();
    }
  }

  #viewOf(name: string, subscriptions: readonly Subscription[]): ChannelView {
    const { rate, lag, count, gapCount } = this.#counterOf(name);
    const nowMs = this.#options.clock.monotonicMs();
    const after = subscriptions[0]?.place.after;
    const isPaused = subscriptions.every((one) => one.isPaused);
    const isLive = subscriptions.some((one) => one.isOpen);
    const lagMs = lag.read();
    return {
      name,
      state: isPaused ? 'paused' : isLive ? 'live' : 'waiting',
      readers: subscriptions.length,
      ...(after !== undefined && { after }),
      count,
      perSecond: rate.perSecond(nowMs),
      seconds: rate.each(nowMs),
      ...(lagMs !== undefined && { lagMs }),
      gapCount,
    };
  }

  #counterOf(filter: string): Counter {
    let counter = this.#counters.get(filter);
    if (counter === undefined) {
      counter = {
        rate: new Rate(this.#options.clock.monotonicMs()),
        lag: new Lag(this.#skew, this.#options.unixMs()),
        ...{ count: 0, gapCount: 0, last: undefined, lastGap: undefined },
      };
      this.#counters.set(filter, counter);
      const [oldest] = this.#counters.keys();
      if (this.#counters.size > COUNTERS_MAX && oldest !== undefined) this.#counters.delete(oldest);
    }
    return counter;
  }

  /** Hears what the reader is told, before it. */
  #tap(subscription: Subscription): void {
    if (this.#taps.has(subscription)) return;
    const end = replace(subscription.listener, 'onEvent', (onEvent) => (event) => {
      if (!this.#hasEnded) this.#onEvent(subscription.filter, event);
      onEvent(event);
    });
    this.#taps.set(subscription, end);
  }

  #onEvent(filter: string, event: Heard): void {
    const counter = this.#counterOf(filter);
    if (counter.last === event) return;
    counter.last = event;
    const { clock, unixMs } = this.#options;
    if (event.kind === 'message') {
      counter.count += 1;
      counter.rate.add(clock.monotonicMs());
      if (event.time !== undefined) counter.lag.add(event.time, unixMs());
    } else if (event.kind === 'open') {
      counter.lag.opened(unixMs());
      const { position = '', mark = '' } = event;
      if (event.gap !== undefined) this.#onGap(filter, event.gap, position || mark);
    } else if (event.kind === 'gap') {
      this.#onGap(event.channel, event.gap, event.position, counter);
    }
  }

  #onGap(
    channel: string,
    { reason, from, to }: Gap,
    position: string,
    counter = this.#counterOf(channel),
  ): void {
    const key = `${channel} ${position}`;
    if (counter.lastGap === key) return;
    counter.lastGap = key;
    counter.gapCount += 1;
    const range = from === undefined || to === undefined ? '' : `, offsets ${from} to ${to}`;
    this.#note('gap', `${channel}: messages were lost (${reason}${range})`);
  }

  #onState({ state, transport, reason, error }: StateEvent): void {
    const wasConnected = this.#isConnected;
    this.#isConnected = state === 'connected';
    if (state === 'connected') {
      this.#connectionCount += 1;
      this.#note('connected', `connected over ${transport ?? 'an unknown transport'}`);
    } else if (state === 'connecting') {
      // It begins without a reason.
      const what = wasConnected ? 'lost' : 'not connected';
      if (reason !== undefined) this.#note('lost', `${what}: ${reason}`);
    } else {
      const why = error === undefined ? '' : `: ${error.code}: ${error.message}`;
      this.#note('ended', `closed${why}`);
    }
  }

  #note(kind: Happening['kind'], text: string): void {
    const atMs = this.#options.unixMs();
    const last = this.#happenings.at(-1);
    const isSame = last?.kind === kind && last.text === text;
    if (isSame) this.#happenings.pop();
    this.#happenings.push({ atMs, kind, text, count: isSame ? last.count + 1 : 1 });
    if (this.#happenings.length > HAPPENINGS_MAX) this.#happenings.shift();
  }
}

/**
 * Puts another function in the place of a method of this one object. The returned function takes it
 * away again, unless somebody else has done the same since.
 */
function replace<Owner extends object, Name extends keyof Owner>(
  owner: Owner,
  name: Name,
  wrap: (method: Owner[Name]) => Owner[Name],
): () => void {
  const own = Object.getOwnPropertyDescriptor(owner, name);
  const method = owner[name];
  const bound = typeof method === 'function' ? (method.bind(owner) as Owner[Name]) : method;
  const wrapped = wrap(bound);
  owner[name] = wrapped;
  return () => {
    if (owner[name] !== wrapped) return;
    if (own === undefined) delete owner[name];
    else owner[name] = method;
  };
}
