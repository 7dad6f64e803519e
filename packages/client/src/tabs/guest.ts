/**
 * Guest: one tab at the host. What it reads and asks goes over the host's connection. What waits for
 * it is bounded: a tab that takes nothing any more is sent away and comes back from its own places.
 */
import { CodedError } from '@trunkline/wire';
import type { Ending } from '../ending.ts';
import type { GapEvent, PresenceEvent, ReceivedMessage, SnapshotEvent } from '../events.ts';
import type { Clock, Timer } from '../platform.ts';
import type { Ask, Wish } from '../transports/transport.ts';
import { Watchdog } from '../watchdog.ts';
import { holdLock } from './election.ts';
import type { Locks } from './election.ts';
import { Batch, parseTabWords, PORT_VERSION, toEndingWord, toErrorWord } from './port.ts';
import type { HostWord, Port, TabWord } from './port.ts';
import type { TokenDesk } from './token-desk.ts';
import type { Reading, ReadListener, Upstream, UpstreamState } from './upstream.ts';
import { weigh } from './weight.ts';

/** Words that a tab has not taken yet; over it, it is sent away. */
export const UNTAKEN_COUNT_MAX = 8192;
/** And about their bytes. */
export const UNTAKEN_BYTES_MAX = 8 * 1024 * 1024;
/** Without locks, a tab that says nothing for so long is dead. Hidden ones wake once a minute. */
export const GUEST_SILENCE_MS_MAX = 180_000;
/** Time for a tab to say who it is. */
const HELLO_MS_MAX = 10_000;
/** Requests of one tab that wait for an answer. */
const ASKS_MAX = 1024;
/** Names and patterns that one tab reads. */
const READINGS_MAX = 10_000;
/** Time for a tab to give a fresh token. */
const TOKEN_MS_MAX = 10_000;

/** What a guest has from its host. */
export interface GuestOptions {
  readonly upstream: Upstream;
  readonly tokens: TokenDesk;
  readonly clock: Clock;
  readonly locks: Locks | undefined;
  /** Who may come: {@link groupOf}. */
  readonly group: string;
  readonly host: string;
  /** It is no guest any more. Exactly once. */
  readonly onGone: () => void;
}

type GuestState =
  /** It has not said who it is. */
  | 'new'
  /** The connection is away. */
  | 'waiting'
  | 'open'
  | 'gone';

export class Guest {
  readonly #port: Port;
  readonly #options: GuestOptions;
  readonly #batch: Batch<HostWord>;
  readonly #readings = new Map<number, Reading>();
  readonly #asks = new Set<number>();
  readonly #tokenWaiters: ((token: string | undefined) => void)[] = [];
  readonly #leave: (() => void)[] = [];
  /** What was said and not taken: the weight of each word. */
  #untaken: number[] = [];
  #untakenBytes = 0;
  #state: GuestState = 'new';
  /** What was told last, to which readings, and in which batch: it is told to all of them in a row. */
  #told: object | undefined;
  #toldTo: number[] = [];
  #toldIn = 0;
  #watchdog: Watchdog | undefined;

  constructor(port: Port, options: GuestOptions) {
    this.#port = port;
    this.#options = options;
    this.#batch = new Batch(port, () => this.#refuse('something can not be shared among tabs'));
    port.listen((value) => this.#hear(value));
    const late = options.clock.after(HELLO_MS_MAX, () => this.#state === 'new' && this.#go());
    this.#leave.push(() => late.cancel());
    port.post([]); // It listens.
  }

  /** It has said who it is. */
  get isKnown(): boolean {
    return this.#state === 'waiting' || this.#state === 'open';
  }

  /** The state of the connection changed. */
  onState(state: UpstreamState): void {
    if (state.kind === 'ready') {
      if (this.#state !== 'waiting') return;
      this.#state = 'open';
      this.#say({ kind: 'ready', welcome: state.welcome });
    } else if (state.kind === 'ended') {
      this.end(state.ending);
    } else if (this.#state === 'open') {
      // It comes back at once and waits here: the connection keeps what the server said of waiting.
      this.end({ kind: 'lost', reason: 'the shared connection was lost', hint: { withinMs: 0 } });
    }
  }

  /** Sends the tab away. Idempotent. */
  end(ending: Ending): void {
    if (this.#state === 'gone') return;
    this.#batch.push({ kind: 'end', ending: toEndingWord(ending) });
    this.#batch.flush();
    this.#go();
  }

  #go(): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    this.#port.close();
    for (const reading of this.#readings.values()) reading.end();
    this.#readings.clear();
    for (const leave of this.#leave.splice(0)) leave();
    for (const resolve of this.#tokenWaiters.splice(0)) resolve(undefined);
    this.#untaken = [];
    this.#options.onGone();
  }

  #hear(value: unknown): void {
    const words = parseTabWords(value);
    if (words === undefined) {
      this.#refuse('the tab said what the host does not understand');
      return;
    }
    this.#watchdog?.touch();
    for (const word of words) {
      if (this.#state === 'gone') return;
      if (word.kind === 'hello') this.#greet(word);
      else if (this.#state === 'new') this.#refuse('the tab did not say first who it is');
      else this.#take(word);
    }
  }

  #greet(hello: Extract<TabWord, { kind: 'hello' }>): void {
    const { upstream, tokens, host, group } = this.#options;
    if (this.#state !== 'new') return;
    if (hello.version !== PORT_VERSION || hello.group !== group) {
      this.#refuse('the host serves tabs of another version, address or name');
      return;
    }
    if (hello.token !== undefined) tokens.offer(hello.token);
    this.#leave.push(tokens.add(() => this.#askToken()));
    this.#watchLife(hello.lock);
    this.#state = 'waiting';
    this.#say({ kind: 'hello', version: PORT_VERSION, host });
    this.onState(upstream.state);
  }

  /** A dead tab says nothing: its lock comes free, or it is silent for long. */
  #watchLife(lock: string | undefined): void {
    const { locks, clock } = this.#options;
    if (lock !== undefined && locks !== undefined) {
      this.#leave.push(holdLock(locks, lock, { onHeld: () => this.#go() }));
      return;
    }
    // If it lives after all, it comes back.
    const silent = { kind: 'lost', reason: 'this tab was silent for too long' } as const;
    this.#watchdog = new Watchdog(clock, GUEST_SILENCE_MS_MAX, () => this.end(silent));
    this.#leave.push(() => this.#watchdog?.stop());
  }

  #take(word: TabWord): void {
    const { upstream } = this.#options;
    switch (word.kind) {
      case 'read':
        this.#read(word.reading, word.wish, word.before);
        break;
      case 'end':
        this.#endReading(word.reading);
        break;
      case 'ask':
        this.#ask(word.id, word.ask);
        break;
      case 'send':
        if (this.#state === 'open') upstream.send(word.members);
        break;
      case 'token':
        this.#takeToken(word.token);
        break;
      case 'probe':
        this.#say({ kind: 'alive' });
        if (word.server === true && this.#state === 'open') upstream.probe();
        break;
      case 'took':
        for (const weight of this.#untaken.splice(0, word.count)) this.#untakenBytes -= weight;
        break;
      case 'bye':
        this.#go();
        break;
      case 'hello':
        break;
    }
  }

  #read(id: number, wish: Wish, before: number | undefined): void {
    if (this.#state !== 'open' || this.#readings.has(id)) return;
    if (this.#readings.size >= READINGS_MAX) {
      const message = `one tab reads at most ${READINGS_MAX} names and patterns`;
      this.#say({ kind: 'refused', reading: id, error: { code: 'rate_limited', message } });
      return;
    }
    // The session is that of all tabs, and what another one publishes is no echo.
    const { echo: _echo, ...rest } = wish;
    this.#readings.set(id, this.#options.upstream.read(rest, this.#listener(id)));
    // Not before: what nobody reads any more would be given up on the wire, and begun again.
    if (before !== undefined) this.#endReading(before);
  }

  #listener(id: number): ReadListener {
    return {
      onOpen: (opening) => this.#say({ kind: 'open', reading: id, opening }),
      onMessage: (message) => this.#tell(id, message),
      onGap: (gap) => this.#tell(id, gap),
      onMark: (mark) => this.#say({ kind: 'mark', readings: [id], mark }),
      onExpired: (channel, position) => this.#say({ kind: 'expired', channel, position }),
      onPresence: (event) => this.#tell(id, event),
      onSnapshot: (event) => this.#tell(id, event),
      onRefused: (error) => {
        this.#readings.delete(id);
        this.#say({ kind: 'refused', reading: id, error: toErrorWord(error) });
      },
    };
  }

  /** Tells an event once, however many of the tab's readings hear it. */
  #tell(id: number, event: ReceivedMessage | GapEvent | PresenceEvent | SnapshotEvent): void {
    if (this.#told === event && this.#toldIn === this.#batch.number) {
      this.#toldTo.push(id);
      return;
    }
    const readings = [id];
    this.#told = event;
    this.#toldIn = this.#batch.number;
    this.#toldTo = readings;
    if (event.kind === 'gap') this.#say({ kind: 'gap', readings, gap: event });
    else if (event.kind === 'message') {
      this.#sayPayload({ kind: 'message', readings, message: slim(event) });
    } else if (event.kind === 'snapshot')
      this.#sayPayload({ kind: 'snapshot', event: slim(event) });
    else this.#say({ kind: 'presence', event });
  }

  #sayPayload(word: HostWord): void {
    const { bytes, isDeep } = weigh(word);
    if (isDeep) this.#told = undefined; // Its readings are in the text already.
    this.#say(isDeep ? { kind: 'deep', json: JSON.stringify(word) } : word, bytes);
  }

  #endReading(id: number): void {
    this.#readings.get(id)?.end();
    this.#readings.delete(id);
  }

  #ask(id: number, ask: Ask): void {
    const fail = (error: unknown): void => {
      this.#asks.delete(id);
      this.#say({ kind: 'failed', id, error: toErrorWord(error) });
    };
    if (this.#state !== 'open' || this.#asks.size >= ASKS_MAX) {
      const message = 'the shared connection takes no request now';
      fail(new CodedError('unavailable', message, { stored: false }));
      return;
    }
    this.#asks.add(id);
    this.#options.upstream.request(ask).then((frame) => {
      const { bytes, isDeep } = weigh(frame);
      if (isDeep) {
        fail(new CodedError('too_large', 'the answer is nested too deeply for tabs to share it'));
        return;
      }
      this.#asks.delete(id);
      this.#say({ kind: 'answer', id, frame }, bytes);
    }, fail);
  }

  #askToken(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const timer: Timer = this.#options.clock.after(TOKEN_MS_MAX, () => resolve(undefined));
      this.#tokenWaiters.push((token) => {
        timer.cancel();
        resolve(token);
      });
      this.#say({ kind: 'tokenWanted' });
    });
  }

  #takeToken(token: string | undefined): void {
    const waiters = this.#tokenWaiters.splice(0);
    for (const resolve of waiters) resolve(token);
    if (waiters.length > 0 || token === undefined) return;
    this.#options.tokens.offer(token);
    this.#options.upstream.renew(token);
  }

  #refuse(message: string): void {
    this.end({ kind: 'refused', error: new CodedError('bad_request', message) });
  }

  /** Says a word, unless too many are on their way already: then it is the last one. */
  #say(word: HostWord, weight = 0): void {
    if (this.#state === 'gone') return;
    this.#batch.push(word);
    this.#untaken.push(weight);
    this.#untakenBytes += weight;
    if (this.#untaken.length > UNTAKEN_COUNT_MAX || this.#untakenBytes > UNTAKEN_BYTES_MAX) {
      this.end({ kind: 'lost', reason: 'slow: this tab took too little', hint: { withinMs: 0 } });
    }
  }
}

/** A view of a large buffer would be cloned with all of it. */
function slim<Event extends ReceivedMessage | SnapshotEvent>(event: Event): Event {
  const { bytes } = event;
  if (bytes === undefined || bytes.byteLength === bytes.buffer.byteLength) return event;
  return { ...event, bytes: bytes.slice() };
}
