/**
 * Outbox: publishes on their way. Each is kept until the server answered for it and is sent again
 * with the same idempotency key after a loss, so that it is stored once however often it was sent
 * [GUA-6].
 *
 * Two rules keep the order of a channel [GUA-1]. Behind a message that was refused for now the later
 * ones wait until it is through. And one that certainly was not stored is never sent behind a later
 * one that may be: it fails instead. One that may be stored is always sent again, since only its key
 * can tell; if it was not, and a later one was, it comes after that.
 */
import { CodedError, CODE_RULES } from '@trunkline/wire';
import { backoffMs } from '../backoff.ts';
import type { Features, PublishQueue } from '../features.ts';
import type { Platform, Timer } from '../platform.ts';
import type { Attempt, Welcome } from '../transports/transport.ts';
import { withKey } from './outgoing.ts';
import { paceOf } from './pace.ts';
import { toPublished, UncertainError } from './published.ts';
import type { Published } from './published.ts';

/** Publishes that wait for an answer. */
const COUNT_MAX = 1000;
/** Characters of their JSON. */
const SIZE_MAX = 8 * 1024 * 1024;
/** How long a server remembers a key until it has said so. */
const KEY_WINDOW_MS = 3_600_000;
/** The part of it that is relied on: a last sending takes its time, and clocks differ. */
const KEY_WINDOW_PART = 0.9;
/** The part of the server's commands a second that publishes may have. */
const PACE_SHARE = 0.6;
/** The longest timer: runtimes run one of over 2^31 ms at once. */
const TIMER_MS_MAX = 3_600_000;

/** What an outbox takes from outside. */
export interface OutboxPlatform extends Pick<Platform, 'clock' | 'random'> {
  /** The monotonic clock may stand still while the machine sleeps: this one does not. */
  readonly unixMs?: () => number;
}

/** How an outbox is bounded. */
export interface OutboxLimits {
  /** Publishes without an answer; over it the next one fails with `rate_limited`. Default 1,000. */
  readonly countMax?: number;
  /** Characters of JSON that they have together. Default 8 Mi. */
  readonly sizeMax?: number;
}

interface Entry {
  /** Its place in the order. */
  readonly serial: number;
  readonly channel: string;
  readonly members: string;
  readonly resolve: (published: Published) => void;
  readonly reject: (error: unknown) => void;
  /** Listens to the signal no more. */
  readonly release: () => void;
  /** It fails where others would be sent again. */
  readonly isOnce: boolean;
  /** Why it is given up, once its attempt has told what became of it. */
  closedBy?: CodedError;
  /** Where it is under way. */
  attempt?: Attempt | undefined;
  /** Milliseconds since it was first sent; `undefined` when it certainly was not stored. */
  age?: (() => number) | undefined;
  /** An earlier sending may have stored it. */
  isInDoubt?: boolean;
  /** A later one of its channel is stored, or may be. */
  isPassed?: boolean;
  /** What the last sending failed with. */
  error?: unknown;
  /** How often it was refused for now. */
  tries: number;
  /** When it may be tried again after that, monotonic; 0 when this attempt did not refuse it. */
  retryMs: number;
}

/** Keeps publishes until they are acknowledged. Sets no timer while none is kept. */
export class Outbox implements PublishQueue {
  readonly #platform: OutboxPlatform;
  readonly #limits: OutboxLimits;
  /** In the order in which they were published. */
  readonly #entries = new Set<Entry>();
  /** Unlike that of any other outbox: 139 random bits. */
  readonly #keyPrefix: string;
  #serial = 0;
  #size = 0;
  #closedBy: CodedError | undefined;
  #attempt: Attempt | undefined;
  #keyWindowMs = KEY_WINDOW_MS;
  #takeMs = paceOf(0, PACE_SHARE);
  #timer: Timer | undefined;
  #isPumpPlanned = false;

  constructor(platform: OutboxPlatform, limits: OutboxLimits = {}) {
    this.#platform = platform;
    this.#limits = limits;
    const word = () => platform.random().toString(36).slice(2, 11);
    this.#keyPrefix = word() + word() + word();
  }

  /** Publishes without an answer. */
  get waiting(): number {
    return this.#entries.size;
  }

  /**
   * Publishes when it can be done. While there is no connection it waits as long as it must.
   *
   * @param members of {@link toMembers}.
   * @param options.signal gives it up.
   * @param options.retry false: it is sent once, and does not wait for another connection.
   * @throws {CodedError} when it was refused, or is not sent at all; `stored` says whether it may
   *   be stored all the same.
   * @throws {UncertainError} when it was sent, its answer is lost, and it was given up or its key
   *   is about to be forgotten.
   * @throws the signal's reason, when it was given up and certainly is not stored.
   */
  publish(
    channel: string,
    members: string,
    options: {
      readonly key?: string | undefined;
      readonly signal?: AbortSignal | undefined;
      readonly retry?: boolean | undefined;
    } = {},
  ): Promise<Published> {
    return new Promise((resolve, reject) => {
      this.#serial += 1;
      const { signal, retry = true } = options;
      // What is never sent again needs none.
      const { key = retry ? `${this.#keyPrefix}-${this.#serial}` : undefined } = options;
      const giveUp = () => {
        this.#giveUp(entry, signal?.reason);
        this.#pump();
      };
      const entry: Entry = {
        serial: this.#serial,
        channel,
        members: withKey(members, key),
        resolve,
        reject,
        release: () => signal?.removeEventListener('abort', giveUp),
        isOnce: !retry,
        tries: 0,
        retryMs: 0,
      };
      signal?.throwIfAborted();
      this.#add(entry);
      signal?.addEventListener('abort', giveUp);
      if (this.#attempt !== undefined) this.#pump();
    });
  }

  /** Goes on over this attempt: everything without an answer is sent again, in order. */
  onReady(attempt: Attempt, { keyWindowMs, commandsPerSecond }: Welcome): void {
    this.#attempt = attempt;
    this.#keyWindowMs = keyWindowMs ?? this.#keyWindowMs;
    this.#takeMs = paceOf(commandsPerSecond, PACE_SHARE);
    for (const entry of this.#entries) entry.retryMs = 0;
    this.#pump();
  }

  /**
   * The attempt is over, and what is published waits for the next one. To be called in the turn in
   * which the attempt ends or is closed.
   */
  onLost(): void {
    this.#attempt = undefined;
    this.#pump();
  }

  /** There is no connection, and it will be tried again: who does not wait for that is told so. */
  onFailure(error: CodedError): void {
    for (const entry of this.#entries) {
      if (entry.isOnce && entry.attempt === undefined) this.#giveUp(entry, error);
    }
  }

  /**
   * Gives up everything, and what is published until `open`. What is under way is told what becomes
   * of it, so this is to be called in the turn in which the attempt is closed. Idempotent.
   */
  close(error = new CodedError('unavailable', 'the line was closed', { stored: false })): void {
    this.#closedBy = error;
    for (const entry of this.#entries) {
      if (entry.attempt === undefined) this.#giveUp(entry, error);
      else entry.closedBy ??= error;
    }
    this.onLost();
  }

  /** Takes publishes again. An outbox begins open. */
  open(): void {
    this.#closedBy = undefined;
  }

  #add(entry: Entry): void {
    const { countMax = COUNT_MAX, sizeMax = SIZE_MAX } = this.#limits;
    if (this.#closedBy !== undefined) throw this.#closedBy;
    const size = this.#size + entry.members.length;
    if (this.waiting >= countMax || size > sizeMax) {
      const message = `at most ${countMax} publishes of ${sizeMax} characters may wait: await some`;
      throw new CodedError('rate_limited', message, { stored: false });
    }
    this.#size = size;
    this.#entries.add(entry);
  }

  #remove(entry: Entry): void {
    if (this.#entries.delete(entry)) this.#size -= entry.members.length;
    entry.release();
  }

  /** What is answered in one turn is looked at once. */
  #pumpSoon(): void {
    if (this.#isPumpPlanned) return;
    this.#isPumpPlanned = true;
    queueMicrotask(() => this.#pump());
  }

  /** Sends all that may be sent now, and sees to it that the rest is looked at in time. */
  #pump(): void {
    this.#isPumpPlanned = false;
    const { clock } = this.#platform;
    const attempt = this.#attempt;
    const nowMs = clock.monotonicMs();
    // Channels of which something is under way, and those whose later messages wait.
    const busy = new Set<string>();
    const held = new Set<string>();
    let wakeMs = Infinity;
    for (const { channel, attempt: on } of this.#entries) {
      // Until an earlier attempt has told what became of them, nothing may overtake them.
      if (on !== undefined) (on === attempt ? busy : held).add(channel);
    }
    for (const entry of this.#entries) {
      const { channel, age, retryMs } = entry;
      if (entry.attempt !== undefined) continue;
      // How long it may yet be sent: while its key tells whether it is stored, or nothing passed it.
      let leftMs = entry.isPassed === true ? 0 : Infinity;
      if (age !== undefined) leftMs = this.#keyWindowMs * KEY_WINDOW_PART - age();
      if (leftMs <= 0) {
        this.#giveUp(entry, entry.error);
        continue;
      }
      wakeMs = Math.min(wakeMs, leftMs);
      if (attempt === undefined || held.has(channel)) continue;
      if (retryMs > 0) {
        held.add(channel);
        // What is under way may yet pass it.
        if (busy.has(channel)) continue;
      }
      const waitMs = Math.max(0, retryMs - nowMs) || this.#takeMs(nowMs);
      if (waitMs > 0) wakeMs = Math.min(wakeMs, waitMs);
      else void this.#send(entry, attempt);
    }
    this.#timer?.cancel();
    this.#timer =
      wakeMs === Infinity
        ? undefined
        : clock.after(Math.min(wakeMs, TIMER_MS_MAX), () => this.#pump());
  }

  /** Never rejects: the entry hears of a failure. */
  async #send(entry: Entry, attempt: Attempt): Promise<void> {
    entry.attempt = attempt;
    entry.age ??= this.#stopwatch();
    try {
      const { fields } = await attempt.request({ kind: 'publish', members: entry.members });
      const published = toPublished(entry.channel, fields);
      this.#pass(entry);
      this.#remove(entry);
      entry.resolve(published);
    } catch (error) {
      this.#onFailure(entry, attempt, error);
    }
    this.#pumpSoon();
  }

  #onFailure(entry: Entry, attempt: Attempt, error: unknown): void {
    const coded = error instanceof CodedError ? error : undefined;
    entry.attempt = undefined;
    entry.error = error;
    if (coded?.stored !== false) {
      entry.isInDoubt = true;
      this.#pass(entry);
    } else if (entry.isInDoubt !== true) entry.age = undefined;
    if (entry.closedBy !== undefined) {
      this.#giveUp(entry, entry.closedBy);
      return;
    }
    // Of an attempt that is over no code is the server's word on this publish.
    if (!entry.isOnce && attempt !== this.#attempt) return;
    if (!entry.isOnce && coded !== undefined && CODE_RULES[coded.code].temporary) {
      const { clock, random } = this.#platform;
      const hint = { notBeforeMs: coded.retryAfter ?? 0 };
      // One more, since a wait of nothing would spin.
      entry.retryMs = clock.monotonicMs() + 1 + backoffMs(entry.tries, random(), hint);
      entry.tries += 1;
    } else {
      this.#remove(entry);
      // What refuses a sending says nothing of those before it.
      const isUnsure = entry.isInDoubt === true && coded?.stored === false;
      entry.reject(
        isUnsure
          ? new CodedError(coded.code, coded.message, { stored: 'unknown', cause: error })
          : error,
      );
    }
  }

  /** It is stored, or may be: what came before it in its channel must not come behind it now. */
  #pass({ serial, channel }: Entry): void {
    for (const entry of this.#entries) {
      if (entry.serial >= serial) return;
      if (entry.channel === channel) entry.isPassed = true;
    }
  }

  #giveUp(entry: Entry, reason: unknown): void {
    this.#remove(entry);
    entry.reject(entry.age === undefined ? reason : new UncertainError(entry.channel, reason));
  }

  /** Time that passes while the machine sleeps counts, too. */
  #stopwatch(): () => number {
    const { clock, unixMs = () => 0 } = this.#platform;
    const begunUnixMs = unixMs();
    const begunMs = clock.monotonicMs();
    return () => Math.max(unixMs() - begunUnixMs, clock.monotonicMs() - begunMs);
  }
}

/** The feature: publishes are kept until they are acknowledged. */
export const outbox: NonNullable<Features['outbox']> = (parts, limits) => new Outbox(parts, limits);
