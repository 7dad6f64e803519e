/**
 * DelayQueue: things that all wait equally long, so that the first to come is the first to be due.
 *
 * One alarm for all of them, and no allocation for any: a thing is linked by fields of its own.
 * When very many are due at once they are handled over several turns, so that nobody else waits.
 */
import type { Clock } from '../../clock.ts';
import type { Turn } from '../../link/turn.ts';
import type { Alarm, AlarmMarks, Wheel } from '../../wheel.ts';
import { SWEEP_COUNT_MAX } from './config.ts';

/** The queue's own marks on a thing; nobody else writes them. */
export interface Delayed<T> {
  /** On the monotonic clock, in whole milliseconds; 0 while it does not wait. */
  dueMs: number;
  earlier: T | undefined;
  later: T | undefined;
}

/** What queues stand on. */
export interface DelayParts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly wheel: Wheel;
  readonly turn: Pick<Turn, 'prepare'>;
}

/** A queue with one delay. */
export class DelayQueue<T extends Delayed<T>> implements Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly #parts: DelayParts;
  readonly #delayMs: number;
  readonly #onDue: (item: T) => void;
  #first: T | undefined;
  #last: T | undefined;
  /** True while the alarm is armed or a sweep goes on in the next turn. */
  #awake = false;

  /** @param onDue called once for each thing that was not removed before; must not throw. */
  constructor(parts: DelayParts, delayMs: number, onDue: (item: T) => void) {
    this.#parts = parts;
    this.#delayMs = delayMs;
    this.#onDue = onDue;
  }

  /** The thing, which must not wait already, is due after the delay. */
  add(item: T): void {
    const nowMs = this.#parts.clock.monotonicMs();
    // Whole, and not 0: small numbers are kept without a box of their own.
    item.dueMs = Math.max(1, Math.ceil(nowMs + this.#delayMs));
    item.earlier = this.#last;
    if (this.#last === undefined) this.#first = item;
    else this.#last.later = item;
    this.#last = item;
    if (!this.#awake) this.#arm(item, nowMs);
  }

  /** The thing waits no more. Idempotent. */
  remove(item: T): void {
    if (item.dueMs === 0) return;
    const { earlier, later } = item;
    if (earlier === undefined) this.#first = later;
    else earlier.later = later;
    if (later === undefined) this.#last = earlier;
    else later.earlier = earlier;
    item.dueMs = 0;
    item.earlier = undefined;
    item.later = undefined;
  }

  /** Nothing waits any more. */
  clear(): void {
    this.#parts.wheel.cancel(this);
    this.#awake = false;
    for (let item = this.#first; item !== undefined; item = this.#first) this.remove(item);
  }

  onAlarm(): void {
    this.#sweep();
  }

  #arm(item: T, nowMs: number): void {
    this.#awake = true;
    this.#parts.wheel.arm(this, item.dueMs - nowMs);
  }

  readonly #sweep = (): void => {
    const nowMs = this.#parts.clock.monotonicMs();
    this.#awake = true; // What is added meanwhile is seen to at the end.
    for (let count = 0; count < SWEEP_COUNT_MAX; count += 1) {
      const item = this.#first;
      if (item === undefined || item.dueMs > nowMs) break;
      this.remove(item);
      this.#onDue(item);
    }
    const first = this.#first;
    if (first === undefined) this.#awake = false;
    else if (first.dueMs > nowMs) this.#arm(first, nowMs);
    else this.#parts.turn.prepare(this.#sweep);
  };
}
