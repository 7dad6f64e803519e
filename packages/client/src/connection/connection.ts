/**
 * Connection: keeps one conversation with the server going. It dials over what the ladder says,
 * comes back after losses, changes to a better transport when one works again, and tells those that
 * read and publish which attempt to use. What the states mean is decided by `connection-state.ts`.
 */
import { CodedError, CODE_RULES } from '@trunkline/wire';
import type { CodeName } from '@trunkline/wire';
import { backoffMs } from '../backoff.ts';
import type { RetryHint } from '../backoff.ts';
import type { Encoding, Frame } from '../encodings/encoding.ts';
import { reasonOf } from '../ending.ts';
import type { Ending } from '../ending.ts';
import type { Choice } from '../features.ts';
import type { Platform, Timer } from '../platform.ts';
import type { Subscriptions } from '../reading/subscriptions.ts';
import type {
  Ask,
  Attempt,
  AttemptSink,
  Transport,
  TransportName,
  Welcome,
} from '../transports/transport.ts';
import { nextState } from './connection-state.ts';
import type { ConnectionEvent, ConnectionState } from './connection-state.ts';
import type { Tokens } from './tokens.ts';

/** A connection that lived so long was a good one: the next loss begins with short waits again. */
const GOOD_CONNECTION_MS = 5000;
/** A browser that says it is offline may be wrong: so long at most it is believed. */
const OFFLINE_MS_MAX = 30_000;

/** Requests that wait for a connection; over it the next one is refused. */
const WAITERS_MAX = 1000;

/** The connection changed, and why. */
export interface StateEvent {
  readonly state: ConnectionState;
  readonly transport?: Transport['name'];
  /** What ended the connection, or why it is not there yet. */
  readonly reason?: string;
  /** Why it will not come back by itself. */
  readonly error?: CodedError;
  /** How the server refused what is tried again all the same, since another transport may do. */
  readonly refusal?: CodedError;
}

/** What a connection is made of. */
export interface ConnectionParts {
  readonly url: string;
  readonly encoding: Encoding;
  readonly ladder: Choice;
  readonly tokens: Tokens;
  readonly subscriptions: Subscriptions;
  readonly platform: Platform;
  /** The server can be asked by this attempt, until `onLost`. */
  readonly onReady: (attempt: Attempt, welcome: Welcome) => void;
  readonly onLost: () => void;
  readonly onState: (event: StateEvent) => void;
}

/** An attempt and what is known of it. */
export interface Live {
  readonly transport: Transport;
  readonly token: string | undefined;
  attempt: Attempt | undefined;
  /** Since when it is ready. */
  readyMs: number | undefined;
  welcome: Welcome;
  /** False while it is only tried: then it reads nothing. */
  isChosen: boolean;
}

/** Tries another transport beside the one in use. */
export interface Climbing {
  /** To be called when one is in use, and when there may be a better one than before. */
  plan(): void;
  /** What is tried became ready. */
  onReady(live: Live): void;
  /** What is tried has ended. */
  onEnd(live: Live, ending: Ending): void;
  /** Gives up what is tried. */
  abandon(): void;
}

/** What a connection does for a climbing. */
export interface Climbable {
  readonly parts: Pick<ConnectionParts, 'platform' | 'tokens'>;
  /** Opens an attempt that reads nothing yet. */
  readonly tryBeside: (transport: Transport, token: string | undefined) => Live;
  /**
   * Holds back what is asked from now on, until another one is taken or `resume` is called. Resolves
   * when what was asked before is answered.
   */
  readonly hold: () => Promise<void>;
  /** What was held back is asked after all. */
  readonly resume: () => void;
  /** All that is read moves over, from where it stands. */
  readonly take: (better: Live) => void;
}

/** An ending with the word that it would be so again. */
type Refused = Ending & { readonly kind: 'refused' };

/** Somebody who waits for a connection. */
interface Waiter {
  readonly ask: Ask;
  readonly resolve: (frame: Promise<Frame>) => void;
  readonly reject: (error: Error) => void;
}

export class Connection {
  readonly #parts: ConnectionParts;
  #state: ConnectionState = 'disconnected';
  /** The attempt that reads, or is to read. */
  #live: Live | undefined;
  readonly #climbing: Climbing | undefined;
  #timer: Timer | undefined;
  /** Counts what was begun, so that a late answer of something given up is known. */
  #turn = 0;
  #lossCount = 0;
  #isOnline = true;
  /** True when the last token was refused, and none was taken since. */
  #wasRefused = false;
  /** Transports of which the server has closed one for what it was given. */
  readonly #closedFor = new Set<TransportName>();
  #waiters: Waiter[] = [];
  /** Requests that are not answered. */
  #askedCount = 0;
  #isHeld = false;
  #onAnswered: (() => void) | undefined;
  /** Why nothing can be asked, while it is disconnected. */
  #closedBy = unsent();

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#climbing = parts.ladder.climbing?.({
      parts,
      tryBeside: (transport, token) => this.#try(transport, token, false),
      hold: () => this.#hold(),
      resume: () => this.#resume(),
      take: (better) => this.#take(better),
    });
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** What carries it, while it is connected. */
  get transport(): Transport['name'] | undefined {
    return this.#state === 'connected' ? this.#live?.transport.name : undefined;
  }

  /** What the server said of this session. */
  get welcome(): Welcome {
    return this.#live?.welcome ?? {};
  }

  open(): void {
    // Whoever hears of a state may close it at once, here and below.
    if (this.#enter('connect') && this.#state === 'connecting') void this.#dial();
  }

  /** Ends it for good, unless it is opened again. Idempotent. */
  close(): void {
    this.#stop();
    this.#enter('disconnect');
    this.#refuseWaiters(unsent());
  }

  /** What is to be read of this filter is another thing now. */
  revise(key: string): void {
    this.#ready?.revise(key);
  }

  /** A newer token is there. */
  renew(token: string): void {
    this.#live?.attempt?.renew(token);
  }

  /** Asks the server, when it can be asked. @throws {CodedError} */
  async request(ask: Ask): Promise<Frame> {
    if (this.#state === 'disconnected') throw this.#closedBy;
    const ready = this.#ready;
    // Who waits is served first, so that publishes keep their order.
    const isFree = this.#waiters.length === 0 && !this.#isHeld;
    if (ready !== undefined && isFree) return this.#ask(ready, ask);
    if (this.#waiters.length >= WAITERS_MAX) {
      throw unsent('rate_limited', `${WAITERS_MAX} requests wait for a connection: await some`);
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ ask, resolve, reject });
    });
  }

  /** Sends without an answer, if it can be done now. */
  send(members: string): void {
    this.#ready?.send(members);
  }

  /** There is a network again, or another one: what failed before may work. */
  onOnline(): void {
    this.#isOnline = true;
    this.#parts.ladder.networkChanged();
    this.onWake();
    if (this.#ready !== undefined) this.#climbing?.plan();
  }

  /** The machine woke up, or the page is looked at: what was open may be gone without a word. */
  onWake(): void {
    this.#ready?.probe();
    if (this.#ready === undefined && this.#timer !== undefined) {
      this.#lossCount = 0;
      this.#wait({ withinMs: 0 });
    }
  }

  /** The network went away. */
  onOffline(): void {
    this.#isOnline = false;
    this.#live?.attempt?.probe();
  }

  /** The attempt that the server can be asked by now. */
  get #ready(): Attempt | undefined {
    return this.#live?.readyMs === undefined ? undefined : this.#live.attempt;
  }

  async #dial(): Promise<void> {
    const turn = this.#begin();
    const { ladder, tokens } = this.#parts;
    try {
      const transport = ladder.next();
      const token = await tokens.current();
      if (turn === this.#turn) this.#live = this.#try(transport, token, true);
    } catch (error) {
      if (turn !== this.#turn) return;
      const coded = toCoded(error);
      if (CODE_RULES[coded.code].temporary) this.#comeBack(coded.message, {});
      else this.#refuse(coded);
    }
  }

  /** Gives up what is under way; what it still says is not heard. */
  #begin(): number {
    this.#turn += 1;
    this.#timer?.cancel();
    this.#timer = undefined;
    return this.#turn;
  }

  #try(transport: Transport, token: string | undefined, isChosen: boolean): Live {
    const { url, encoding, platform } = this.#parts;
    const none = { attempt: undefined, readyMs: undefined };
    const live: Live = { transport, token, welcome: {}, isChosen, ...none };
    const target = { url, encoding, ...(token !== undefined && { token }) };
    live.attempt = transport.open(target, this.#sinkOf(live), platform);
    return live;
  }

  #sinkOf(live: Live): AttemptSink {
    const { subscriptions, platform } = this.#parts;
    return {
      keys: () => (live.isChosen ? subscriptions.keys() : []),
      wish: (key) => (live.isChosen ? subscriptions.wish(key) : undefined),
      onReady: (welcome) => {
        live.welcome = welcome;
        live.readyMs = platform.clock.monotonicMs();
        if (live.isChosen) this.#onReady(live);
        else this.#climbing?.onReady(live);
      },
      onOpen: (opening, key) => subscriptions.onOpen(opening, key),
      onMessage: (message, keys) => subscriptions.onMessage(message, keys),
      onGap: (gap, keys) => subscriptions.onGap(gap, keys),
      onMark: (keys, mark) => subscriptions.onMark(keys, mark),
      onExpired: (channel, position) => subscriptions.onExpired(channel, position),
      onPresence: (event) => subscriptions.onOther(event),
      onSnapshot: (event) => subscriptions.onOther(event),
      onRefused: (key, error) => subscriptions.onRefused(key, error),
      onEnd: (ending) => {
        if (live.isChosen) this.#onEnd(live, ending);
        else this.#climbing?.onEnd(live, ending);
      },
      room: () => Promise.resolve(),
    };
  }

  #onReady(live: Live): void {
    const { transport, attempt, welcome } = live;
    if (attempt === undefined) return;
    const { ladder, onReady, subscriptions } = this.#parts;
    ladder.worked(transport.name);
    subscriptions.restart(transport.isContiguous === true);
    this.#enter('opened');
    if (this.#live !== live) return;
    onReady(attempt, welcome);
    this.#resume();
    this.#climbing?.plan();
  }

  #onEnd(live: Live, ending: Ending): void {
    const { ladder, tokens, platform, subscriptions, onLost } = this.#parts;
    const { name } = live.transport;
    const { readyMs, token } = live;
    const reason = reasonOf(ending);
    const livedMs = readyMs === undefined ? 0 : platform.clock.monotonicMs() - readyMs;
    this.#live = undefined;
    if (readyMs !== undefined) {
      subscriptions.restart(false);
      onLost();
    }
    if (livedMs >= GOOD_CONNECTION_MS) this.#lossCount = 0;
    if (livedMs >= GOOD_CONNECTION_MS) this.#closedFor.clear();
    if (readyMs !== undefined) this.#wasRefused = false;
    if (ending.kind === 'stale') {
      const hasOther = tokens.refused(token);
      ladder.left();
      // The server is there: it wants another token, not another moment.
      this.#lossCount = 0;
      // One more fresh token may help; a server that refuses that one refuses all.
      if (this.#wasRefused || !hasOther) this.#refuse(ending.error);
      else this.#comeBack(reason, {});
      this.#wasRefused = true;
    } else if (ending.kind === 'refused' && this.#isFinal(name, ending)) {
      this.#refuse(ending.error);
    } else {
      const { hint = {} } = ending.kind === 'lost' ? ending : {};
      if (readyMs !== undefined) ladder.lost(name, livedMs, reason);
      else ladder.failed(name, ending);
      this.#comeBack(reason, hint, ending.kind === 'refused' ? ending.error : undefined);
    }
  }

  /** True for what another transport could not mend, or what none could [CODE-2]. */
  #isFinal(name: TransportName, { error: { code }, isClose }: Refused): boolean {
    if (code !== 'bad_request' && code !== 'not_found' && code !== 'too_large') return true;
    if (isClose === true) this.#closedFor.add(name);
    const usable = this.#parts.ladder
      .explain()
      .tried.filter(({ verdict }) => verdict !== 'unavailable');
    return usable.every((one) => this.#closedFor.has(one.name));
  }

  #comeBack(reason: string, hint: RetryHint, refusal?: CodedError): void {
    this.#climbing?.abandon();
    const turn = this.#begin();
    this.#enter('lost', { reason, ...(refusal !== undefined && { refusal }) });
    if (turn === this.#turn) this.#wait(hint);
  }

  #wait(hint: RetryHint): void {
    const { clock, random } = this.#parts.platform;
    this.#timer?.cancel();
    const delayMs = backoffMs(this.#lossCount, random(), hint);
    this.#lossCount += 1;
    const waitMs = this.#isOnline ? delayMs : Math.max(delayMs, OFFLINE_MS_MAX);
    this.#timer = clock.after(waitMs, () => void this.#dial());
  }

  /** The server's final word. */
  #refuse(error: CodedError): void {
    this.#stop();
    this.#enter('refused', { reason: error.message, error });
    this.#refuseWaiters(unsent(error.code, error.message));
    this.#parts.subscriptions.end(error);
  }

  #stop(): void {
    this.#begin();
    const live = this.#live;
    this.#live = undefined;
    this.#climbing?.abandon();
    if (live === undefined) return;
    live.isChosen = false;
    live.attempt?.close();
    this.#parts.ladder.left();
    this.#parts.subscriptions.restart(false);
    if (live.readyMs !== undefined) this.#parts.onLost();
  }

  /** What waits was not sent, and what is asked from now on is not. */
  #refuseWaiters(error: CodedError): void {
    this.#closedBy = error;
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }

  async #ask(attempt: Attempt, ask: Ask): Promise<Frame> {
    this.#askedCount += 1;
    try {
      return await attempt.request(ask);
    } finally {
      this.#askedCount -= 1;
      if (this.#askedCount === 0) this.#onAnswered?.();
    }
  }

  #hold(): Promise<void> {
    this.#isHeld = true;
    return new Promise((resolve) => {
      this.#onAnswered = resolve;
      if (this.#askedCount === 0) resolve();
    });
  }

  #resume(): void {
    this.#isHeld = false;
    const ready = this.#ready;
    if (ready === undefined) return;
    for (const { ask, resolve } of this.#waiters.splice(0)) resolve(this.#ask(ready, ask));
  }

  /** The better transport works: all that is read moves over, from where it stands. */
  #take(better: Live): void {
    const old = this.#live;
    if (old !== undefined) {
      old.isChosen = false;
      old.attempt?.close();
      this.#parts.onLost();
    }
    better.isChosen = true;
    this.#live = better;
    this.#onReady(better);
    for (const key of this.#parts.subscriptions.keys()) better.attempt?.revise(key);
  }

  #enter(event: ConnectionEvent, why: Omit<StateEvent, 'state' | 'transport'> = {}): boolean {
    const next = nextState(this.#state, event);
    if (next === undefined) return false;
    this.#state = next;
    const { transport } = this;
    this.#parts.onState({ state: next, ...(transport !== undefined && { transport }), ...why });
    return true;
  }
}

/** What was asked has not reached the server. */
function unsent(code: CodeName = 'unavailable', message = 'the line was closed'): CodedError {
  return new CodedError(code, message, { stored: false });
}

function toCoded(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  return new CodedError('internal', String(error), { cause: error });
}
