/**
 * Shared attempt: a tab's side of the port. To its connection it is an attempt like any other; what
 * it reads and asks, the host does for it.
 */
import { CodedError } from '@trunkline/wire';
import type { Ending } from '../ending.ts';
import type { Frame } from '../encodings/encoding.ts';
import type { OpenEvent, ReceivedMessage } from '../events.ts';
import type { Clock, Timer } from '../platform.ts';
import { OPEN_MS_MAX, PROBE_MS_MAX } from '../transports/transport.ts';
import type { Ask, Attempt, AttemptSink, Target } from '../transports/transport.ts';
import {
  Batch,
  fromEndingWord,
  fromErrorWord,
  parseHostWords,
  PORT_VERSION,
  wayOf,
} from './port.ts';
import type { HostWord, Port, TabWord } from './port.ts';
import type { Dialing, DialHandlers } from './seat.ts';

/** After so long without a word the host is asked for one, */
const SILENCE_MS_MAX = 10_000;
/** and has at least so long. At most twice as long, by chance: else all tabs would want to lead. */
const ANSWER_MS_MIN = 3000;
/** A timer that is so late says that this tab was asleep itself: the host gets another chance. */
const LATE_MS_MAX = 1000;
/** Requests that wait for an answer. */
const ASKS_MAX = 1024;

/** What an attempt needs beside its sink. */
export interface SharedAttemptOptions {
  readonly group: string;
  readonly target: Target;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly dial: (handlers: DialHandlers) => Dialing;
  /** Gives a fresh token to the host. */
  readonly onTokenWanted?: () => string | undefined | Promise<string | undefined>;
}

interface Waiting {
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: CodedError) => void;
}

/** What is read by one key. */
interface Read {
  readonly key: string;
  /** The newest last. Of those before it, messages may be on their way. */
  readings: number[];
}

export class SharedAttempt implements Attempt {
  readonly #options: SharedAttemptOptions;
  readonly #sink: AttemptSink;
  readonly #dialing: Dialing;
  readonly #byKey = new Map<string, Read>();
  readonly #byReading = new Map<number, Read>();
  readonly #asks = new Map<number, Waiting>();
  #port: Port | undefined;
  #batch: Batch<TabWord> | undefined;
  #lock: string | undefined;
  #token: string | undefined;
  /** `reached`: a host has answered. `ready`: its connection is there. */
  #state: 'dialing' | 'reached' | 'ready' | 'ended' = 'dialing';
  #nextId = 1;
  #timer: Timer | undefined;
  #dueMs = 0;
  #heardMs: number;
  #isProbing = false;

  constructor(sink: AttemptSink, options: SharedAttemptOptions) {
    this.#options = options;
    this.#sink = sink;
    this.#token = options.target.token;
    this.#heardMs = options.clock.monotonicMs();
    this.#isProbing = true;
    this.#arm(OPEN_MS_MAX);
    this.#dialing = options.dial({
      onPort: (port, lock) => this.#connect(port, lock),
      onGone: (ending) => this.#end(ending),
    });
  }

  revise(key: string): void {
    if (this.#state !== 'ready') return;
    const read = this.#byKey.get(key);
    const wish = this.#sink.wish(key);
    const before = read?.readings.at(-1);
    if (wish === undefined) {
      if (read === undefined || before === undefined) return;
      this.#forget(read);
      this.#say({ kind: 'end', reading: before });
      return;
    }
    const reading = this.#newId();
    const current = read ?? { key, readings: [] };
    current.readings.push(reading);
    this.#byKey.set(key, current);
    this.#byReading.set(reading, current);
    this.#say({ kind: 'read', reading, wish, ...(before === undefined ? {} : { before }) });
  }

  request(ask: Ask): Promise<Frame> {
    if (this.#state !== 'ready' || this.#asks.size >= ASKS_MAX) {
      const isFull = this.#state === 'ready';
      const message = isFull
        ? `at most ${ASKS_MAX} requests wait for an answer: await some first`
        : 'the shared connection is not open';
      const code = isFull ? 'rate_limited' : 'unavailable';
      return Promise.reject(new CodedError(code, message, { stored: false }));
    }
    return new Promise((resolve, reject) => {
      const id = this.#newId();
      this.#asks.set(id, { resolve, reject });
      this.#say({ kind: 'ask', id, ask });
    });
  }

  send(members: string): void {
    if (this.#state === 'ready') this.#say({ kind: 'send', members });
  }

  renew(token: string): void {
    this.#token = token;
    this.#say({ kind: 'token', token });
  }

  probe(): void {
    if (this.#state === 'dialing' || this.#state === 'ended') return;
    this.#askForLife(PROBE_MS_MAX, { server: true });
  }

  close(): void {
    if (this.#state === 'ended') return;
    this.#say({ kind: 'bye' });
    this.#stop();
  }

  #connect(port: Port, lock: string | undefined): void {
    this.#port = port;
    this.#batch = new Batch(port, () => this.#refuse('this tab asks what can not be shared'));
    this.#lock = lock;
    port.listen((value) => {
      if (port === this.#port && this.#state !== 'ended') this.#hear(value);
    });
    this.#greet();
  }

  #greet(): void {
    const { group, target } = this.#options;
    const { url, encoding } = target;
    const token = this.#token;
    this.#say({
      ...{ kind: 'hello', version: PORT_VERSION, group, url, encoding: wayOf(encoding) },
      ...(token === undefined ? {} : { token }),
      ...(this.#lock === undefined ? {} : { lock: this.#lock }),
    });
  }

  #hear(value: unknown): void {
    const words = parseHostWords(value);
    if (words === undefined) {
      this.#refuse('the host of the shared connection said what this version does not know');
      return;
    }
    this.#heardMs = this.#options.clock.monotonicMs();
    if (this.#state !== 'dialing') this.#isProbing = false;
    for (const word of words) {
      if (this.#isOver) return;
      this.#take(word);
    }
    if (words.length > 0) void this.#acknowledge(words.length);
  }

  get #isOver(): boolean {
    return this.#state === 'ended';
  }

  /** Lets the host say more, once the application has room. */
  async #acknowledge(count: number): Promise<void> {
    await this.#sink.room();
    if (!this.#isOver) this.#say({ kind: 'took', count });
  }

  #take(word: HostWord): void {
    const sink = this.#sink;
    switch (word.kind) {
      case 'hello':
        this.#onHost(word.version, word.host);
        break;
      case 'ready':
        this.#state = 'ready';
        sink.onReady(word.welcome);
        // Those that were revised by the application meanwhile are read already.
        for (const key of sink.keys()) if (!this.#byKey.has(key)) this.revise(key);
        break;
      case 'open':
        this.#onOpen(word.reading, word.opening);
        break;
      case 'message':
        this.#onMessage(word.readings, word.message);
        break;
      case 'gap': {
        const keys = this.#keysOf(word.readings);
        if (keys.length > 0) sink.onGap(word.gap, keys);
        break;
      }
      case 'mark':
        this.#onMark(word.readings, word.mark);
        break;
      case 'expired':
        sink.onExpired(word.channel, word.position);
        break;
      case 'presence':
        sink.onPresence(word.event);
        break;
      case 'snapshot':
        sink.onSnapshot(word.event);
        break;
      case 'refused':
        this.#onRefused(word.reading, fromErrorWord(word.error));
        break;
      case 'answer':
        this.#settle(word.id)?.resolve(word.frame);
        break;
      case 'failed':
        this.#settle(word.id)?.reject(fromErrorWord(word.error));
        break;
      case 'alive':
      case 'deep':
        break; // Read by now.
      case 'tokenWanted':
        void this.#giveToken();
        break;
      case 'end':
        this.#end(fromEndingWord(word.ending));
        break;
    }
  }

  #onMessage(readings: readonly number[], message: ReceivedMessage): void {
    const keys = this.#keysOf(readings);
    if (keys.length === 0) return;
    // Its mark is that of the readings which hear it, and not of all that match.
    const { mark, ...rest } = message;
    this.#sink.onMessage(rest, keys);
    if (mark !== undefined) this.#onMark(readings, mark);
  }

  /** What was begun anew may stand before this mark. */
  #onMark(readings: readonly number[], mark: string): void {
    const keys = this.#keysOf(readings.filter((reading) => this.#isNewest(reading)));
    if (keys.length > 0 && !this.#isOver) this.#sink.onMark(keys, mark);
  }

  #onHost(version: number, host: string): void {
    if (version !== PORT_VERSION) {
      this.#refuse(`expected a host of version ${PORT_VERSION}, got ${version}`);
    } else if (this.#state === 'dialing') {
      this.#state = 'reached';
      this.#isProbing = false;
      this.#dialing.reached(host);
    }
  }

  #onRefused(reading: number, error: CodedError): void {
    const read = this.#byReading.get(reading);
    if (read === undefined || !this.#isNewest(reading)) return;
    this.#forget(read);
    this.#sink.onRefused(read.key, error);
  }

  /** Of a reading that was not replaced. Nothing comes of those before it any more. */
  #onOpen(reading: number, opening: OpenEvent): void {
    const read = this.#byReading.get(reading);
    if (read === undefined || !this.#isNewest(reading)) return;
    for (const old of read.readings.slice(0, -1)) this.#byReading.delete(old);
    read.readings = [reading];
    this.#sink.onOpen(opening, read.key);
  }

  #isNewest(reading: number): boolean {
    return this.#byReading.get(reading)?.readings.at(-1) === reading;
  }

  /** The keys of readings, replaced ones too: left out, what is on its way would be a hole. */
  #keysOf(readings: readonly number[]): string[] {
    const keys = readings.flatMap((reading) => this.#byReading.get(reading)?.key ?? []);
    return keys.length < 2 ? keys : [...new Set(keys)];
  }

  #forget(read: Read): void {
    this.#byKey.delete(read.key);
    for (const reading of read.readings) this.#byReading.delete(reading);
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#asks.get(id);
    this.#asks.delete(id);
    return waiting;
  }

  async #giveToken(): Promise<void> {
    const { onTokenWanted } = this.#options;
    // A source that fails has no token; the host asks the next tab.
    const token = await Promise.resolve()
      .then(() => onTokenWanted?.())
      .catch(() => undefined);
    this.#say({ kind: 'token', ...(token === undefined ? {} : { token }) });
  }

  #newId(): number {
    const id = this.#nextId;
    this.#nextId += 1;
    return id;
  }

  #say(word: TabWord): void {
    if (this.#state !== 'ended') this.#batch?.push(word);
  }

  #askForLife(withinMs: number, what: { readonly server?: true } = {}): void {
    this.#isProbing = true;
    this.#say({ kind: 'probe', ...what });
    this.#arm(withinMs);
  }

  #arm(delayMs: number): void {
    const { clock } = this.#options;
    this.#timer?.cancel();
    this.#dueMs = clock.monotonicMs() + delayMs;
    this.#timer = clock.after(delayMs, () => this.#onTimer());
  }

  #onTimer(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const quietMs = nowMs - this.#heardMs;
    const wasAsleep = nowMs - this.#dueMs > LATE_MS_MAX;
    if (this.#isProbing && !wasAsleep) {
      this.#dialing.silent();
      const reason = 'the host of the shared connection gives no sign of life';
      this.#end({ kind: 'lost', reason });
    } else if (this.#isProbing || quietMs >= SILENCE_MS_MAX) {
      this.#askForLife(Math.round(ANSWER_MS_MIN * (1 + this.#options.random())));
    } else {
      this.#arm(SILENCE_MS_MAX - quietMs);
    }
  }

  /** Another transport may do. */
  #refuse(message: string): void {
    this.#end({ kind: 'refused', error: new CodedError('bad_request', message) });
  }

  #end(ending: Ending): void {
    if (this.#state === 'ended') return;
    this.#stop();
    this.#sink.onEnd(ending);
  }

  #stop(): void {
    this.#batch?.flush();
    this.#state = 'ended';
    this.#timer?.cancel();
    this.#dialing.close();
    this.#byKey.clear();
    this.#byReading.clear();
    const waiting = [...this.#asks.values()];
    this.#asks.clear();
    for (const { reject } of waiting) {
      const message = 'the shared connection ended before the answer';
      reject(new CodedError('unavailable', message, { stored: 'unknown' }));
    }
  }
}
