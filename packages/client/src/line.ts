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
import { InTurn } from './connection/in-turn.ts';
import type { LadderMemory } from './connection/ladder.ts';
import { Tokens } from './connection/tokens.ts';
import { json } from './encodings/json.ts';
import type { Encoding, Frame } from './encodings/encoding.ts';
import type { Choice, FeatureParts, Features, PublishQueue, SendQueue } from './features.ts';
import { addressOf } from './http.ts';
import type { TokenSource } from './http.ts';
import { platformOf, reportUnheard, systemUnixMs } from './platform.ts';
import type { Platform } from './platform.ts';
import type { OutboxLimits } from './publishing/outbox.ts';
import { toMembers } from './publishing/outgoing.ts';
import type { Payload, PublishOptions, SendOptions } from './publishing/outgoing.ts';
import { publishOnce } from './publishing/published.ts';
import type { Published } from './publishing/published.ts';
import { guarded } from './reading/listeners.ts';
import { Subscriptions } from './reading/subscriptions.ts';
import type { Ask, Transport } from './transports/transport.ts';

/** How to reach the server. */
export interface LineOptions extends Partial<Platform> {
  /** A token, or what gives one: it is asked again before the one in use ends. */
  readonly token?: TokenSource | undefined;
  /** What may carry the connection, the preferred first. */
  readonly transports: readonly Transport[];
  /** How messages are written on the way; JSON when absent. */
  readonly encoding?: Encoding | undefined;
  /** What it can do beside reading and publishing; what is not here is not in the bundle. */
  readonly features?: Features;
  /** With the outbox: how much may wait to be published. */
  readonly outbox?: OutboxLimits | undefined;
  /**
   * With the ladder: where it is remembered which transports fail on this network; `localStorage`
   * when absent.
   */
  readonly memory?: LadderMemory | undefined;
  /** Unix milliseconds, which may jump; the machine's when absent. */
  readonly unixMs?: (() => number) | undefined;
}

/** What a line tells. */
export interface LineEvents {
  /** The connection changed. */
  readonly state: StateEvent;
  /** Something went wrong that no call hears of. Without a listener it is told in the console. */
  readonly error: Error;
  /** A newer token takes the place of a good one. */
  readonly token: undefined;
}

type Listeners = { readonly [Name in keyof LineEvents]: Set<(event: LineEvents[Name]) => void> };

export class Line {
  readonly #parts: FeatureParts;
  readonly #connection: Connection;
  readonly #ladder: Choice;
  readonly #tokens: Tokens;
  readonly #outbox: PublishQueue | undefined;
  readonly #conflation: SendQueue | undefined;
  readonly #listeners: Listeners = { state: new Set(), error: new Set(), token: new Set() };
  #unwatch: (() => void) | undefined;
  /** What it was given beside reading and publishing. */
  readonly features: Features;
  /** Who reads. For what is built on a line; applications use {@link Line.channel}. */
  readonly subscriptions: Subscriptions;

  /** @throws {CodedError} `bad_request` when `url` is no address. */
  constructor(url: string, options: LineOptions) {
    const address = addressOf(url, 'http', '');
    const { transports, features = {}, unixMs = systemUnixMs, memory } = options;
    const parts = { ...platformOf(options), unixMs };
    this.features = features;
    this.#parts = parts;
    this.subscriptions = new Subscriptions({
      onRevise: (key) => this.#connection.revise(key),
      session: () => this.session,
    });
    this.#ladder =
      features.ladder?.(transports, { ...parts, address, memory }) ?? new InTurn(transports, parts);
    const onRenewed = (token: string) => {
      this.#connection.renew(token);
      this.#tell('token', undefined);
    };
    const renewal = (renew: () => Promise<boolean>) => features.renewal?.(parts, renew);
    this.#tokens = new Tokens(options.token, parts.clock, onRenewed, renewal);
    this.#outbox = features.outbox?.(parts, options.outbox);
    this.#conflation = features.conflation?.(parts);
    this.#connection = new Connection({
      url,
      platform: parts,
      encoding: options.encoding ?? json,
      ladder: this.#ladder,
      tokens: this.#tokens,
      subscriptions: this.subscriptions,
      onReady: (attempt, welcome) => {
        this.#outbox?.onReady(attempt, welcome);
        this.#conflation?.onReady(attempt, welcome);
      },
      onLost: () => {
        this.#outbox?.onLost();
        this.#conflation?.onLost();
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
  channel<T = unknown, In = T>(name: string, options: ChannelOptions<T, In> = {}): Channel<T, In> {
    return new Channel(this, this.#parts, name, options);
  }

  /**
   * Publishes; waits while there is no connection. With the outbox it is sent again after a loss, and
   * is stored once however often it is sent.
   *
   * @throws {CodedError} when it was refused, with `stored`.
   * @throws {UncertainError} when nobody can say any more whether it was stored.
   */
  async publish(channel: string, data: Payload, options: PublishOptions = {}): Promise<Published> {
    const members = toMembers(channel, data, options);
    return (
      this.#outbox?.publish(channel, members, options) ??
      publishOnce((ask) => this.request(ask), channel, members, options)
    );
  }

  /** Publishes to a volatile channel without an answer: of a slot the newest is sent. */
  send(channel: string, data: Payload, options: SendOptions = {}): void {
    const members = toMembers(channel, data, options);
    if (this.#conflation === undefined) this.#connection.send(members);
    else this.#conflation.send(channel, members, options.slot);
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

  /** What waits in the outbox to be published. */
  get waiting(): number {
    return this.#outbox?.waiting ?? 0;
  }

  /** Connects again, after the server refused or the line was closed. */
  open(): void {
    this.#unwatch ??= this.features.network?.(this.#parts, this.#connection);
    this.#outbox?.open();
    this.#connection.open();
  }

  /** Ends the connection. What waits to be published is rejected. Idempotent. */
  close(): void {
    this.#rest();
    this.#outbox?.close();
    this.#connection.close();
  }

  /** For what is built on a line: reports what no call hears of. */
  report(error: unknown): void {
    const told = error instanceof Error ? error : new Error(String(error));
    if (this.#listeners.error.size === 0) reportUnheard(told);
    else this.#tell('error', told);
  }

  /** Nothing is to be done any more until it is opened: no timer is left behind. */
  #rest(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#tokens.stop();
    this.#conflation?.close();
  }

  #onState(event: StateEvent): void {
    const { error, refusal = error, reason } = event;
    if (error !== undefined) this.#rest();
    if (reason !== undefined) {
      const { code, message } = refusal ?? { code: 'unavailable', message: reason };
      const unsent = new CodedError(code, message, { stored: false });
      // What waits for a connection that will not come back is told so now.
      if (error !== undefined) this.#outbox?.close(unsent);
      else this.#outbox?.onFailure(unsent);
    }
    this.#tell('state', event);
  }

  #tell<Name extends keyof LineEvents>(name: Name, event: LineEvents[Name]): void {
    for (const listener of this.#listeners[name]) guarded(() => listener(event));
  }
}
