/**
 * ManualClock: time that stands still until a test moves it.
 *
 * Timers run in the order of their due times, and those due at the same moment in the order they
 * were set, so that a run is a pure function of the calls made.
 */
import type { Clock, Timer } from '@trunkline/server/internal/clock.ts';

/** The longest delay `setTimeout` knows: the system clock would run a longer one at once. */
const DELAY_MS_MAX = 2 ** 31 - 1;

/** Loop turns after which `settle` gives up. */
const TURNS_MAX = 10_000;

/** Timers that one `advance` runs before it gives up. */
const TIMERS_MAX = 1_000_000;

/** An arbitrary moment that is no round number, so that nobody takes it for a duration. */
const UNIX_START_MS = 1_790_000_000_123;

/** Kept from before any test replaces it by a fake. */
const endOfRealTurn = setImmediate;

interface Alarm extends Timer {
  readonly dueMs: number;
  readonly task: () => void;
}

/** Where the two times begin. */
export interface ManualClockOptions {
  readonly monotonicMs?: number;
  readonly unixMs?: number;
}

/** A {@link Clock} that a test moves by hand. */
export class ManualClock implements Clock {
  #monotonicMs: number;
  // Unix time is counted from an anchor, which moves when the drift changes or the time jumps.
  #anchorMonotonicMs: number;
  #anchorUnixMs: number;
  #unixRate = 1;
  /** By due time; equal ones in the order they were set. */
  readonly #alarms: Alarm[] = [];
  readonly #deferred: (() => void)[] = [];
  #running = false;

  constructor(options: ManualClockOptions = {}) {
    this.#monotonicMs = options.monotonicMs ?? 0;
    this.#anchorMonotonicMs = this.#monotonicMs;
    this.#anchorUnixMs = options.unixMs ?? UNIX_START_MS;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  unixMs(): number {
    const elapsedMs = this.#monotonicMs - this.#anchorMonotonicMs;
    return Math.floor(this.#anchorUnixMs + elapsedMs * this.#unixRate);
  }

  after(delayMs: number, task: () => void): Timer {
    if (!(delayMs <= DELAY_MS_MAX)) {
      throw new RangeError(`a timer's delay must be at most ${DELAY_MS_MAX} ms, got ${delayMs}`);
    }
    const alarm: Alarm = {
      dueMs: this.#monotonicMs + Math.max(0, delayMs),
      task,
      cancel: () => this.#remove(alarm),
    };
    this.#alarms.splice(this.#placeAfter(alarm.dueMs), 0, alarm);
    return alarm;
  }

  defer(task: () => void): void {
    this.#deferred.push(task);
  }

  /** Timers that are set and neither ran nor were cancelled. */
  get timerCount(): number {
    return this.#alarms.length;
  }

  /** Tasks that wait for the end of this turn. */
  get deferredCount(): number {
    return this.#deferred.length;
  }

  /** Milliseconds until the next timer is due; `undefined` when none is set. */
  get nextTimerMs(): number | undefined {
    const alarm = this.#alarms[0];
    return alarm === undefined ? undefined : alarm.dueMs - this.#monotonicMs;
  }

  /**
   * Lets `ms` pass. Timers that come due run at their own time, those they set included; deferred
   * tasks run after each of them, as the end of a loop turn. Promises don't move: see `pass`.
   */
  advance(ms: number): void {
    const endMs = this.#endAfter(ms);
    this.runDeferred();
    for (let count = 0; this.#runNext(endMs); count += 1) {
      if (count === TIMERS_MAX) throw new Error(this.#restless(`${TIMERS_MAX} timers`));
      this.runDeferred();
    }
    this.#monotonicMs = endMs;
  }

  /** Lets `ms` pass and everything settle before, between and after the timers. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#endAfter(ms);
    await this.settle();
    for (let count = 0; this.#runNext(endMs); count += 1) {
      if (count === TIMERS_MAX) throw new Error(this.#restless(`${TIMERS_MAX} timers`));
      await this.settle();
    }
    this.#monotonicMs = endMs;
  }

  /**
   * Ends one turn: runs the tasks deferred so far. What they defer anew waits for the next turn.
   *
   * @returns how many ran.
   */
  runDeferred(): number {
    const count = this.#deferred.length;
    for (let index = 0; index < count; index += 1) this.#runFirstDeferred();
    return count;
  }

  /**
   * Ends turns until nothing is deferred and no promise moves. Time stands still meanwhile. As in
   * Node, promises move before the first and after each deferred task.
   *
   * @throws {Error} when something defers itself for ever.
   */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS_MAX; turn += 1) {
      await realTurn();
      const count = this.#deferred.length;
      if (count === 0) return;
      for (let index = 0; index < count; index += 1) {
        this.#runFirstDeferred();
        await realTurn();
      }
    }
    throw new Error(this.#restless(`${TURNS_MAX} turns`));
  }

  /** Moves Unix time by `ms`, back as well, as an operator or NTP does. Timers don't notice. */
  stepUnix(ms: number): void {
    this.#anchorUnixMs = this.unixMs() + ms;
    this.#anchorMonotonicMs = this.#monotonicMs;
  }

  /** From now on Unix time gains so many milliseconds in a million; negative ones are lost. */
  setUnixDrift(partsPerMillion: number): void {
    this.stepUnix(0);
    this.#unixRate = 1 + partsPerMillion / 1_000_000;
  }

  #endAfter(ms: number): number {
    if (!(ms >= 0)) throw new RangeError(`time passes by 0 ms or more, got ${ms}`);
    if (this.#running) {
      throw new Error('time was moved from inside a task: move it from the test only');
    }
    return this.#monotonicMs + ms;
  }

  /** Runs the first timer if it is due by `endMs`. */
  #runNext(endMs: number): boolean {
    const alarm = this.#alarms[0];
    if (alarm === undefined || alarm.dueMs > endMs) return false;
    this.#alarms.shift();
    this.#monotonicMs = Math.max(this.#monotonicMs, alarm.dueMs);
    this.#run(alarm.task);
    return true;
  }

  #runFirstDeferred(): void {
    const task = this.#deferred.shift();
    if (task !== undefined) this.#run(task);
  }

  #run(task: () => void): void {
    this.#running = true;
    try {
      task();
    } finally {
      this.#running = false;
    }
  }

  #placeAfter(dueMs: number): number {
    let low = 0;
    let high = this.#alarms.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const alarm = this.#alarms[middle];
      if (alarm !== undefined && alarm.dueMs <= dueMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #remove(alarm: Alarm): void {
    const index = this.#alarms.indexOf(alarm);
    if (index >= 0) this.#alarms.splice(index, 1);
  }

  #restless(bound: string): string {
    return (
      `expected quiet within ${bound}, but ${this.#deferred.length} deferred tasks and ` +
      `${this.#alarms.length} timers are left: look for a task that always asks for another`
    );
  }
}

/** One turn of the real event loop, at whose end no promise is left that could move. */
function realTurn(): Promise<void> {
  return new Promise((resolve) => endOfRealTurn(resolve));
}
