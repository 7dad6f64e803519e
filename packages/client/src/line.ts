/**
 * Line: what an application has of the server. Everything that it reads and publishes goes over one
 * connection, whichever transport carries it at the moment.
 */
import { CodedError } from '@trunkline/wire';
import { Channel } from './channel.ts';
import type { ChannelOptions } from './channel.ts';
import { Connection } from './connection/connection.ts';
import type { StateEvent } from './connection/connection.ts';
import type { ConnectionState } from './connection/connection-state.ts';
import type { Explanation } from './connection/explanation.ts';
import { Ladder } from './connection/ladder.ts';
import type { LadderMemory } from './connection/ladder.ts';
import { watchNetwork, watchSleep } from './connection/network.ts';
import { Tokens } from './connection/tokens.ts';
import { json } from './encodings/json.ts';
import type { Encoding, Frame } from './encodings/encoding.ts';
import { addressOf } from './http.ts';
import type { TokenSource } from './http.ts';
import { platformOf, systemUnixMs } from './platform.ts';
import type { Platform } from './platform.ts';
import { Conflation } from './publishing/conflation.ts';
import { Outbox } from './publishing/outbox.ts';
import type { OutboxLimits, Published } from './publishing/outbox.ts';
import { toMembers } from './publishing/outgoing.ts';
import type { Payload, PublishOptions, SendOptions } from './publishing/outgoing.ts';
import { guarded } from './reading/listeners.ts';
import { Subscriptions } from './reading/subscriptions.ts';
import type { Ask, Transport } from './transports/transport.ts';

/** How to reach the server. */
export interface LineOptions extends Partial<Platform> {
  /** A token, or what gives one: it is asked again before the one in use ends. */
  readonly token?: TokenSource;
  /** What may carry the connection, the preferred first. */
  readonly transports: readonly Transport[];
  /** How messages are written on the way; JSON when absent. */
  readonly encoding?: Encoding;
  /** How much may wait to be published. */
  readonly outbox?: OutboxLimits;
  /** Where it is remembered which transports fail on this network; `localStorage` when absent. */
  readonly memory?: LadderMemory;
  /** Unix milliseconds, which may jump; the machine's when absent. */
  readonly unixMs?: () => number;
}

/** What a line tells. */
export interface LineEvents {
  /** The connection changed. */
  readonly state: StateEvent;
  /** Something went wrong that no call of the application hears of. */
  readonly error: Error;
  /** A newer token takes the place of a good one. */
  readonly token: undefined;
}

type Listeners = { readonly [Name in keyof LineEvents]: Set<(event: LineEvents[Name]) => void> };

export class Line {
  readonly #platform: Platform;
  readonly #unixMs: () => number;
  readonly #connection: Connection;
  readonly #ladder: Ladder;
  readonly #tokens: Tokens;
  readonly #outbox: Outbox;
  readonly #conflation: Conflation;
  readonly #listeners: Listeners = { state: new Set(), error: new Set(), token: new Set() };
  #unwatch: (() => void) | undefined;
  /** Who reads. For what is built on a line; applications use {@link Line.channel}. */
  readonly subscriptions: Subscriptions;

  /** @throws {CodedError} `bad_request` when `url` is no address. */
  constructor(url: string, options: LineOptions) {
    const address = addressOf(url, 'http', '');
    const platform = platformOf(options);
    const { unixMs = systemUnixMs, memory = storageOf(address) } = options;
    const { clock, random } = platform;
    this.#platform = platform;
    this.#unixMs = unixMs;
    this.subscriptions = new Subscriptions({
      onRevise: (filter) => this.#connection.revise(filter),
      session: () => this.session,
    });
    const ladderOptions = { platform, unixMs, ...(memory !== undefined && { memory }) };
    this.#ladder = new Ladder(options.transports, ladderOptions);
    const timeOptions = { clock, random, unixMs };
    this.#tokens = new Tokens(options.token, timeOptions, (token) => {
      this.#connection.renew(token);
      this.#tell('token', undefined);
    });
    this.#outbox = new Outbox(timeOptions, options.outbox);
    this.#conflation = new Conflation(clock);
    this.#connection = new Connection({
      url,
      platform,
      encoding: options.encoding ?? json,
      ladder: this.#ladder,
      tokens: this.#tokens,
      subscriptions: this.subscriptions,
      onReady: (attempt, welcome) => {
        this.#outbox.onReady(attempt, welcome);
        this.#conflation.onReady(attempt, welcome);
      },
      onLost: () => {
        this.#outbox.onLost();
        this.#conflation.onLost();
      },
      onState: (event) => this.#onState(event),
    });
    this.open();
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** What carries the connection now. */
  get transport(): Transport['name'] | undefined {
    return this.#connection.transport;
  }

  /** What the server calls this session, where the transport has one. */
  get session(): string | undefined {
    return this.#connection.welcome.session;
  }

  /** Who the server says this is. */
  get user(): string | undefined {
    return this.#connection.welcome.user;
  }

  /** A name, or a pattern like `room/+`. Nothing is read before somebody listens. */
  channel<T = unknown>(name: string, options: ChannelOptions<T> = {}): Channel<T> {
    return new Channel(this, this.#platform, name, options);
  }

  /**
   * Publishes; waits while there is no connection, and is stored once however often it is sent.
   *
   * @throws {CodedError} when it was refused, with `stored`.
   * @throws {UncertainError} when nobody can say any more whether it was stored.
   */
  async publish(channel: string, data: Payload, options: PublishOptions = {}): Promise<Published> {
    const { signal, key, retry } = options;
    return this.#outbox.publish(channel, toMembers(channel, data, options), { signal, key, retry });
  }

  /** Publishes to a volatile channel without an answer: of a slot the newest is sent. */
  send(channel: string, data: Payload, options: SendOptions = {}): void {
    this.#conflation.send(channel, toMembers(channel, data, options), options.slot);
  }

  /** Calls a service behind the server. @throws {CodedError} */
  async call<Result = unknown>(method: string, data?: unknown): Promise<Result> {
    const members = `"method":${JSON.stringify(method)},"data":${JSON.stringify(data ?? null)}`;
    const { fields } = await this.request({ kind: 'call', members });
    return fields['data'] as Result;
  }

  /** Asks the server, when it can be asked. @throws {CodedError} */
  request(ask: Ask): Promise<Frame> {
    return this.#connection.request(ask);
  }

  /** Listens until the returned function is called. */
  on<Name extends keyof LineEvents>(
    name: Name,
    listener: (event: LineEvents[Name]) => void,
  ): () => void {
    this.#listeners[name].add(listener);
    return () => void this.#listeners[name].delete(listener);
  }

  /** Which transport is in use, and why the others are not. */
  explain(): Explanation {
    return this.#ladder.explain();
  }

  /** What waits to be published. */
  get waiting(): number {
    return this.#outbox.waiting;
  }

  /** Connects again, after the server refused or the line was closed. */
  open(): void {
    this.#unwatch ??= this.#watch();
    this.#outbox.open();
    this.#connection.open();
  }

  /** Ends the connection. What waits to be published is rejected. Idempotent. */
  close(): void {
    this.#rest();
    this.#outbox.close();
    this.#connection.close();
  }

  /** For what is built on a line: reports what no call hears of. */
  report(error: unknown): void {
    this.#tell('error', error instanceof Error ? error : new Error(String(error)));
  }

  /** Nothing is to be done any more until it is opened: no timer is left behind. */
  #rest(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#tokens.stop();
    this.#conflation.close();
  }

  /** Listens to what the machine tells of its network and its sleep. */
  #watch(): () => void {
    const onWake = () => this.#connection.onWake();
    const unwatch = watchNetwork(globalThis, {
      onOnline: () => this.#connection.onOnline(),
      onWake,
      onOffline: () => this.#connection.onOffline(),
    });
    const unwatchSleep = watchSleep(this.#platform.clock, this.#unixMs, onWake);
    return () => {
      unwatch();
      unwatchSleep();
    };
  }

  #onState(event: StateEvent): void {
    const { error, refusal = error, reason } = event;
    if (error !== undefined) this.#rest();
    if (reason !== undefined) {
      const { code, message } = refusal ?? { code: 'unavailable', message: reason };
      const unsent = new CodedError(code, message, { stored: false });
      // What waits for a connection that will not come back is told so now.
      if (error !== undefined) this.#outbox.close(unsent);
      else this.#outbox.onFailure(unsent);
    }
    this.#tell('state', event);
  }

  #tell<Name extends keyof LineEvents>(name: Name, event: LineEvents[Name]): void {
    for (const listener of this.#listeners[name]) guarded(() => listener(event));
  }
}

/** What a browser keeps beyond the page, where it lets this page do so. */
function storageOf(address: string): LadderMemory | undefined {
  // Elsewhere there is none, and Node warns of the question.
  if (!('document' in globalThis)) return undefined;
  const name = `trunkline ${address}`;
  try {
    const { localStorage } = globalThis;
    return {
      read: () => localStorage.getItem(name),
      write: (text) => localStorage.setItem(name, text),
    };
  } catch {
    return undefined;
  }
}
