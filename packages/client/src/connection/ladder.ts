/**
 * Ladder: which transport to try next. The application's order is kept; one that fails here gives
 * way to the next as soon as that one reaches the server, is remembered, and is tried again in the
 * background. When all fail in turn the server or the network is away and none is to blame.
 *
 * It decides only: no timers, and nothing is opened.
 */
import { asObject, parseObject } from '../events.ts';
import { reasonOf } from '../ending.ts';
import type { Ending } from '../ending.ts';
import type { Choice } from '../features.ts';
import type { Platform } from '../platform.ts';
import type { Transport, TransportName } from '../transports/transport.ts';
import { Climb } from './climb.ts';
import type { Climbable, Climbing } from './connection.ts';
import { failureReason, howOf, noTransport } from './explanation.ts';
import type { Explanation, Failure, TriedTransport } from './explanation.ts';

/** Failures in a row before the next transport is tried. */
const FAILURES_MAX = 2;
/** For how many a failure counts. Who says when to come back is the server, or a proxy that always does. */
const WEIGHT: Readonly<Record<Failure, number>> = { timeout: 2, other: 1, told: 0.5 };
/** And of one that served well on this network: more likely the server restarts. */
const PROVEN_FAILURES_MAX = 4;
/** What was ready for so long is stable. Proxies that cut later are no reason to step down. */
const STABLE_MS = 5000;
/** So many times in a row cut before that, and it is unstable. */
const CUTS_MAX = 3;
/** What failed here is left aside for so long, doubled with every time that it failed again. */
const BLOCK_MS = 600_000;
const BLOCK_MS_MAX = 86_400_000;
/** A better one is tried in the background after so long, doubled with every failure. */
const CLIMB_MS = 30_000;
const CLIMB_MS_MAX = 600_000;
/** And within so long where its failures prove nothing, at a random moment. */
const SOON_MS = 10_000;
/** A longer text was not written here. */
const MEMORY_LENGTH_MAX = 1000;

/** Where it is remembered what fails on this network. Both functions may throw. */
export interface LadderMemory {
  read(): string | null;
  write(text: string): void;
}

/** What a ladder takes from outside. */
export interface LadderOptions {
  readonly platform: Platform;
  /** Unix milliseconds; may jump. */
  readonly unixMs: () => number;
  /** Outlives the page, one for each server. */
  readonly memory?: LadderMemory;
}

/** A better transport, and when to try it. */
export interface Better {
  readonly transport: Transport;
  readonly inMs: number;
}

interface Rung {
  readonly transport: Transport;
  readonly fault: string | undefined;
  /** In a row, before it was ready, since the last one that worked. */
  failures: number;
  /** In a row, soon after it was ready. */
  cuts: number;
  /** How often it was found to fail while another one works; 0 once it proved good. */
  strikes: number;
  /** Left aside until then, unless nothing works. */
  blockedUntilMs: number;
  /** It has worked on this network, and nothing speaks against it since. */
  isProven: boolean;
  /** Failures in the background. */
  climbs: number;
  /** When it is tried beside the one in use. */
  climbMs: number;
  verdict: 'failed' | 'unstable' | undefined;
  reason: string;
  /** When that was found, or since when it is in use. */
  atMs: number;
}

/** The transports of a connection, each name once, the preferred one at the top. */
export class Ladder implements Choice {
  readonly #options: LadderOptions;
  readonly #rungs: readonly Rung[];
  /** Those that can work in this runtime. */
  readonly #usable: readonly Rung[];
  #present: Rung | undefined;
  /** All failed in turn, and none has worked since. */
  #isAway = false;

  constructor(transports: readonly Transport[], options: LadderOptions) {
    this.#options = options;
    const remembered = recall(options.memory);
    this.#rungs = transports.map((transport) => this.#rungOf(transport, remembered));
    this.#usable = this.#rungs.filter((rung) => rung.fault === undefined);
  }

  /**
   * The transport for the next attempt.
   *
   * @throws {CodedError} `bad_request` when none can work in this runtime.
   */
  next(): Transport {
    const [top] = this.#usable;
    if (top === undefined) {
      throw noTransport(this.#rungs.map((rung) => this.#explain(rung)));
    }
    const nowMs = this.#nowMs();
    const rung = this.#usable.find(
      (one) => !this.#isSpent(one) && (this.#isAway || one.blockedUntilMs <= nowMs),
    );
    if (rung !== undefined) return rung.transport;
    this.#isAway = true;
    for (const one of this.#usable) one.failures = 0;
    return top.transport;
  }

  /** It is ready, and in use from now on. */
  worked(name: TransportName): void {
    const rung = this.#note(name, 'it works');
    this.#present = rung;
    const spent = this.#better().filter((better) => this.#isSpent(better));
    // Where several failed in turn the server may just have started.
    const isAway = this.#isAway || spent.length > 1;
    for (const better of this.#better()) {
      const isSpent = spent.includes(better);
      // No proof where nothing worked for a while, or where the server may have restarted.
      const isDoubtful = isSpent && (isAway || better.isProven);
      if (isSpent && !isDoubtful) this.#blame(better);
      const waitMs = isDoubtful ? SOON_MS * this.#options.platform.random() : this.#waitMs(better);
      better.climbMs = Math.min(better.climbMs, rung.atMs + waitMs);
    }
    for (const one of this.#usable) one.failures = 0;
    this.#isAway = false;
    const wasBlocked = rung.blockedUntilMs > 0;
    const isProven = rung.strikes === 0 || rung.isProven;
    Object.assign(rung, { verdict: undefined, blockedUntilMs: 0, climbMs: Infinity, isProven });
    if (wasBlocked) this.#remember();
  }

  /** An attempt ended before it was ready. */
  failed(name: TransportName, ending: Ending): void {
    this.#noteFailure(name, ending).failures += WEIGHT[howOf(ending)];
  }

  /** The one in use ended, without being closed from this side. */
  lost(name: TransportName, livedMs: number, reason: string): void {
    const rung = this.#note(name, `it ended after ${Math.round(livedMs / 1000)} s (${reason})`);
    this.#present = undefined;
    rung.cuts += 1;
    if (livedMs >= STABLE_MS) {
      Object.assign(rung, { cuts: 0, strikes: 0, climbs: 0, isProven: true });
    } else if (rung.strikes > 0 || rung.cuts >= CUTS_MAX) {
      // One that was found to fail before needs no more proof.
      Object.assign(rung, { failures: Infinity, isProven: false, verdict: 'unstable' });
    }
  }

  /** The one in use was left, for a reason that is not its own. */
  left(): void {
    this.#present = undefined;
  }

  /** A transport that is preferred to the one in use, and when to try it beside that one. */
  climb(): Better | undefined {
    const [first] = this.#better().sort((one, other) => one.climbMs - other.climbMs);
    return first && { transport: first.transport, inMs: this.#untilMs(first.climbMs) };
  }

  /** What tries it, for this connection. */
  climbing(connection: Climbable): Climbing {
    return new Climb(this, connection);
  }

  /** An attempt in the background ended before it was ready. */
  climbFailed(name: TransportName, ending: Ending): void {
    const rung = this.#noteFailure(name, ending);
    // Without another one that works it proves nothing.
    if (this.#present !== undefined) this.#blame(rung);
  }

  /** What failed on the network before may work on this one: a climb is due at once. */
  networkChanged(): void {
    const climbMs = this.#nowMs();
    this.#isAway = false;
    for (const rung of this.#usable) {
      Object.assign(rung, { failures: 0, cuts: 0, climbs: 0, isProven: false, climbMs });
    }
  }

  /** What is in use, and why not another one. */
  explain(): Explanation {
    const present = this.#present;
    const tried = this.#rungs.map((rung) => this.#explain(rung));
    if (present === undefined) return { tried };
    const since = this.#unixMs(present.atMs);
    return { transport: present.transport.name, since, tried };
  }

  #explain(rung: Rung): TriedTransport {
    const { fault, verdict, reason, atMs } = rung;
    const { name } = rung.transport;
    if (fault !== undefined) return { name, verdict: 'unavailable', reason: fault };
    const agoMs = this.#nowMs() - atMs;
    if (rung === this.#present) return { name, verdict: 'in use', reason, agoMs };
    if (verdict === undefined) {
      return { name, verdict: 'not tried', reason: 'nothing speaks against it' };
    }
    const dueMs = this.#better().includes(rung) ? rung.climbMs : rung.blockedUntilMs;
    return { name, verdict, reason, agoMs, againInMs: this.#untilMs(dueMs) };
  }

  #rungOf(transport: Transport, remembered: Readonly<Record<string, unknown>>): Rung {
    const entry = asObject(remembered[transport.name]);
    const strikes = toNumber(entry?.['strikes']);
    const agoMs = this.#options.unixMs() - toNumber(entry?.['at']);
    // A moment to come was written before the machine's time was set back.
    const isBlocked = strikes > 0 && agoMs >= 0 && agoMs < blockMs(strikes);
    const atMs = this.#nowMs() - (isBlocked ? agoMs : 0);
    return {
      transport,
      fault: transport.fault(this.#options.platform),
      failures: 0,
      cuts: 0,
      strikes: isBlocked ? strikes : 0,
      blockedUntilMs: isBlocked ? atMs + blockMs(strikes) : 0,
      isProven: false,
      climbs: 0,
      climbMs: Infinity,
      verdict: isBlocked ? 'failed' : undefined,
      reason: 'it failed before this page was loaded',
      atMs,
    };
  }

  /** What was found of the one with this name, which next or climb has given. */
  #note(name: TransportName, reason: string): Rung {
    const rung = this.#usable.find(({ transport }) => transport.name === name) as Rung;
    return Object.assign(rung, { verdict: 'failed' as const, reason, atMs: this.#nowMs() });
  }

  #noteFailure(name: TransportName, ending: Ending): Rung {
    return this.#note(name, failureReason(name, reasonOf(ending), howOf(ending)));
  }

  /** Those above the one in use. */
  #better(): Rung[] {
    return this.#present ? this.#usable.slice(0, this.#usable.indexOf(this.#present)) : [];
  }

  /** It has failed often enough in a row. */
  #isSpent({ failures, isProven, strikes }: Rung): boolean {
    if (isProven) return failures >= PROVEN_FAILURES_MAX;
    return failures >= (strikes > 0 || this.#isAway ? 1 : FAILURES_MAX);
  }

  /** It fails while another one works. */
  #blame(rung: Rung): void {
    const nowMs = this.#nowMs();
    if (rung.blockedUntilMs <= nowMs) rung.strikes += 1;
    rung.blockedUntilMs = rung.atMs + blockMs(rung.strikes);
    rung.isProven = false;
    rung.climbMs = nowMs + this.#waitMs(rung);
    rung.climbs += 1;
    this.#remember();
  }

  #waitMs({ climbs }: Rung): number {
    const jitter = 0.8 + 0.4 * this.#options.platform.random();
    return Math.min(CLIMB_MS_MAX, CLIMB_MS * 2 ** climbs) * jitter;
  }

  /** Keeps what failed; what was cut may have met a server that fell again and again. */
  #remember(): void {
    const nowMs = this.#nowMs();
    const kept = this.#usable
      .filter(({ verdict, blockedUntilMs }) => verdict === 'failed' && blockedUntilMs > nowMs)
      .map(({ transport, strikes, atMs }) => [transport.name, { strikes, at: this.#unixMs(atMs) }]);
    try {
      this.#options.memory?.write(JSON.stringify(Object.fromEntries(kept)));
    } catch {
      // Full or forbidden: the next page finds out by itself.
    }
  }

  #nowMs(): number {
    return this.#options.platform.clock.monotonicMs();
  }

  #untilMs(dueMs: number): number {
    return Math.max(0, dueMs - this.#nowMs());
  }

  /** A moment of the monotonic time as Unix time; rounded down, so that it is never one to come. */
  #unixMs(atMs: number): number {
    return Math.floor(this.#options.unixMs() - this.#nowMs() + atMs);
  }
}

/** What was written here by an earlier page, or by anyone: nothing of it is trusted. */
function recall(memory: LadderMemory | undefined): Readonly<Record<string, unknown>> {
  try {
    const text = memory?.read() ?? '';
    return (text.length <= MEMORY_LENGTH_MAX && parseObject(text)) || {};
  } catch {
    return {};
  }
}

function toNumber(value: unknown): number {
  return typeof value === 'number' ? value : NaN;
}

function blockMs(strikes: number): number {
  return Math.min(BLOCK_MS_MAX, BLOCK_MS * 2 ** (strikes - 1));
}
