/**
 * Line upstream: a line of its own as the connection that tabs share. Of the line only the
 * connection and the reading are used: what is published waits in the outbox of the tab whose it is.
 */
import { CodedError } from '@trunkline/wire';
import type { Frame } from '../encodings/encoding.ts';
import { ladder } from '../connection/ladder-memory.ts';
import { network } from '../connection/network.ts';
import { renewal } from '../connection/renewal.ts';
import { endingOf } from '../ending.ts';
import { Line } from '../line.ts';
import { Subscription } from '../reading/subscription.ts';
import type { ReadingEvent } from '../reading/subscription.ts';
import type { Ask, Attempt, Transport, Welcome, Wish } from '../transports/transport.ts';
import type {
  OpenUpstream,
  Reading,
  ReadListener,
  Upstream,
  UpstreamStart,
  UpstreamState,
} from './upstream.ts';

/** Makes connections that go over these transports, the preferred one first. */
export function lineUpstream(transports: readonly Transport[]): OpenUpstream {
  return (start) => new LineUpstream(transports, start);
}

class LineUpstream implements Upstream {
  readonly #line: Line;
  readonly #readings = new Map<Subscription, ReadListener>();
  #listener = (): void => {};
  #state: UpstreamState = { kind: 'away' };
  /** The newest that was ready; the line uses no other one. */
  #attempt: Attempt | undefined;
  #welcome: Welcome = {};

  constructor(transports: readonly Transport[], { target, token, platform }: UpstreamStart) {
    const { url, encoding } = target;
    this.#line = new Line(url, {
      ...platform,
      encoding,
      features: { ladder, network, renewal },
      transports: transports.map((transport) => this.#tapped(transport)),
      ...(token === undefined ? {} : { token: async () => (await token()) ?? '' }),
    });
    this.#line.on('state', ({ state, error }) => {
      if (state === 'connected') this.#enter({ kind: 'ready', welcome: this.#welcome });
      else if (error !== undefined) this.#enter({ kind: 'ended', ending: endingOf(error) });
      else this.#enter({ kind: 'away' });
    });
  }

  get state(): UpstreamState {
    return this.#state;
  }

  onState(listener: () => void): void {
    this.#listener = listener;
  }

  read({ filter, ...options }: Wish, listener: ReadListener): Reading {
    const { subscriptions } = this.#line;
    const subscription = new Subscription(filter, options, {
      onEvent: (event) => tell(listener, event),
      onEnd: (error) => {
        this.#readings.delete(subscription);
        listener.onRefused(error);
      },
    });
    this.#readings.set(subscription, listener);
    subscriptions.add(subscription);
    return {
      end: () => {
        if (this.#readings.delete(subscription)) subscriptions.remove(subscription);
      },
    };
  }

  request(ask: Ask): Promise<Frame> {
    const attempt = this.#state.kind === 'ready' ? this.#attempt : undefined;
    if (attempt !== undefined) return attempt.request(ask);
    const message = 'the shared connection is away';
    return Promise.reject(new CodedError('unavailable', message, { stored: false }));
  }

  send(members: string): void {
    this.#attempt?.send(members);
  }

  renew(token: string): void {
    this.#attempt?.renew(token);
  }

  probe(): void {
    this.#attempt?.probe();
  }

  close(): void {
    this.#readings.clear();
    this.#line.close();
  }

  /** The same transport, of which is heard what a line does not tell. */
  #tapped(transport: Transport): Transport {
    return {
      ...transport,
      open: (target, sink, platform) => {
        const attempt = transport.open(
          target,
          {
            ...sink,
            onReady: (welcome) => {
              this.#attempt = attempt;
              this.#welcome = welcome;
              sink.onReady(welcome);
            },
            onMark: (keys, mark) => {
              // Before: by the mark readings may come to have another key.
              this.#tellMark(keys, mark);
              sink.onMark(keys, mark);
            },
            onExpired: (channel, position) => {
              sink.onExpired(channel, position);
              this.#tellExpired(channel, position);
            },
          },
          platform,
        );
        return attempt;
      },
    };
  }

  #tellMark(keys: readonly string[], mark: string): void {
    const wanted = new Set(keys);
    for (const [{ key, isOpen }, listener] of this.#readings) {
      if (isOpen && wanted.has(key)) listener.onMark(mark);
    }
  }

  #tellExpired(channel: string, position: string): void {
    for (const [{ filter, isOpen }, listener] of this.#readings) {
      if (isOpen && filter === channel) listener.onExpired(channel, position);
    }
  }

  #enter(state: UpstreamState): void {
    this.#state = state;
    this.#listener();
  }
}

function tell(listener: ReadListener, event: ReadingEvent): void {
  if (event.kind === 'message') listener.onMessage(event);
  else if (event.kind === 'open') listener.onOpen(event);
  else if (event.kind === 'gap') listener.onGap(event);
  else if (event.kind === 'snapshot') listener.onSnapshot(event);
  else listener.onPresence(event);
}
