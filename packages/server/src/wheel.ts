/**
 * Wheel: one timer for all the deadlines of thousands of links.
 *
 * Time is cut into ticks, and each tick has a slot with a ring of the alarms due in it, or in a
 * later round. An alarm is an object that is linked into its slot by fields of its own, so that
 * arming and cancelling are a few assignments and allocate nothing.
 */
import type { Clock, Timer } from './clock.ts';

/** Slots of a wheel. A delay beyond one round of them costs one look a round. */
const SLOTS = 512;

/** How exact a wheel is when its maker does not say. */
const RESOLUTION_MS = 250;

/** The wheel's own marks on an alarm; nobody else reads or writes them. */
export interface AlarmMarks {
  /** The tick in which the alarm is due. */
  alarmTick: number;
  /** Neighbours in the ring; both `undefined` while the alarm is not armed. */
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
}

/** Something that wants to be called later. It has one delay at a time. */
export interface Alarm extends AlarmMarks {
  /** The delay is over. The alarm is not armed any more and may be armed anew. */
  onAlarm(): void;
}

/** The head of a ring, which is empty when it points at itself. */
class Ring implements AlarmMarks {
  alarmTick = 0;
  alarmBefore: AlarmMarks = this;
  alarmAfter: AlarmMarks = this;
}

/** Calls alarms when their delays are over, by one timer of the clock. */
export class Wheel {
  readonly #clock: Clock;
  readonly #resolutionMs: number;
  readonly #startMs: number;
  readonly #slots: readonly Ring[] = Array.from({ length: SLOTS }, () => new Ring());
  /** Alarms of past ticks that are still to be called. */
  readonly #due = new Ring();
  /** The last tick that was handled. */
  #tick = 0;
  #armedCount = 0;
  #timer: Timer | undefined;
  #closed = false;

  /** @param resolutionMs how much later than asked an alarm may be called. */
  constructor(clock: Clock, resolutionMs: number = RESOLUTION_MS) {
    if (!(resolutionMs > 0)) {
      throw new RangeError(`a wheel's resolution must be > 0 ms, got ${resolutionMs}`);
    }
    this.#clock = clock;
    this.#resolutionMs = resolutionMs;
    this.#startMs = clock.monotonicMs();
  }

  /** How many alarms are armed. */
  get armedCount(): number {
    return this.#armedCount;
  }

  /**
   * Calls the alarm once, no earlier than `delayMs` from now and about a resolution later at most,
   * in a later task. Replaces the delay the alarm had. After `close` it does nothing.
   */
  arm(alarm: Alarm, delayMs: number): void {
    if (this.#closed) return;
    this.cancel(alarm);
    const nowTicks = this.#ticks();
    // While nothing was armed the ticks went by unhandled.
    if (this.#armedCount === 0) this.#tick = Math.floor(nowTicks);
    const tick = Math.ceil(nowTicks + delayMs / this.#resolutionMs);
    alarm.alarmTick = Math.max(tick, this.#tick + 1);
    this.#link(alarm, this.#slot(alarm.alarmTick));
    this.#armedCount += 1;
    this.#schedule();
  }

  /** The alarm will not be called any more. Idempotent. */
  cancel(alarm: Alarm): void {
    const { alarmBefore, alarmAfter } = alarm;
    if (alarmBefore === undefined || alarmAfter === undefined) return;
    unlink(alarm, alarmBefore, alarmAfter);
    this.#armedCount -= 1;
  }

  /** Stops for good: no alarm is called from now on. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #ticks(): number {
    return (this.#clock.monotonicMs() - this.#startMs) / this.#resolutionMs;
  }

  #slot(tick: number): Ring {
    // The index is always within the array; the checker can't know.
    return this.#slots[tick % SLOTS] ?? this.#due;
  }

  #link(alarm: AlarmMarks, ring: Ring): void {
    const last = ring.alarmBefore;
    alarm.alarmBefore = last;
    alarm.alarmAfter = ring;
    last.alarmAfter = alarm;
    ring.alarmBefore = alarm;
  }

  /** Sets the timer for the end of the next tick that is not handled yet. */
  #schedule(): void {
    if (this.#timer !== undefined || this.#armedCount === 0 || this.#closed) return;
    const delayMs = (this.#tick + 1 - this.#ticks()) * this.#resolutionMs;
    this.#timer = this.#clock.after(Math.max(0, delayMs), this.#turn);
  }

  readonly #turn = (): void => {
    this.#timer = undefined;
    const now = Math.floor(this.#ticks());
    // After a long standstill every slot is looked at once, not once for each tick missed.
    const from = Math.max(this.#tick, now - SLOTS);
    for (let tick = from + 1; tick <= now; tick += 1) this.#collect(this.#slot(tick), now);
    this.#tick = Math.max(this.#tick, now);
    try {
      this.#call();
    } finally {
      // Also after an alarm that threw: the others are called with the next tick.
      this.#schedule();
    }
  };

  /** Moves what is due from a slot to the ring of those to be called. */
  #collect(ring: Ring, now: number): void {
    let alarm = ring.alarmAfter;
    while (alarm !== ring) {
      const { alarmBefore, alarmAfter } = alarm;
      if (alarmBefore === undefined || alarmAfter === undefined) return;
      if (alarm.alarmTick <= now) {
        unlink(alarm, alarmBefore, alarmAfter);
        this.#link(alarm, this.#due);
      }
      alarm = alarmAfter;
    }
  }

  /** An alarm may arm and cancel any alarm, those that are due with it included. */
  #call(): void {
    while (!this.#closed && this.#due.alarmAfter !== this.#due) {
      const alarm = this.#due.alarmAfter as Alarm;
      this.cancel(alarm);
      alarm.onAlarm();
    }
  }
}

function unlink(alarm: AlarmMarks, before: AlarmMarks, after: AlarmMarks): void {
  before.alarmAfter = after;
  after.alarmBefore = before;
  alarm.alarmBefore = undefined;
  alarm.alarmAfter = undefined;
}
