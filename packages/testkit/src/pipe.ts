/**
 * Pipe: one direction of a simulated network. What goes in comes out in the same order, one at a
 * time, after its delay and not while the pipe is blocked.
 */
import type { Clock, Timer } from '@trunkline/server/internal/clock.ts';

interface Underway<T> {
  readonly item: T;
  readonly dueMs: number;
}

/** Carries items from `put` to `out`. */
export class Pipe<T> {
  readonly #clock: Clock;
  readonly #out: (item: T) => void;
  #underway: Underway<T>[] = [];
  #lastDueMs = 0;
  #timer: Timer | undefined;
  #blocked = false;
  #pumping = false;

  constructor(clock: Clock, out: (item: T) => void) {
    this.#clock = clock;
    this.#out = out;
  }

  /** Sends an item on its way; without delay and with nothing before it, it comes out now. */
  put(item: T, delayMs: number): void {
    this.#lastDueMs = Math.max(this.#lastDueMs, this.#clock.monotonicMs() + delayMs);
    this.#underway.push({ item, dueMs: this.#lastDueMs });
    this.#pump();
  }

  /** While blocked nothing comes out. What waited comes out in a later turn. */
  setBlocked(blocked: boolean): void {
    if (blocked === this.#blocked) return;
    this.#blocked = blocked;
    if (!blocked) this.#clock.defer(() => this.#pump());
  }

  /** Loses what is under way. */
  clear(): void {
    this.#underway = [];
    this.#lastDueMs = 0;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #pump(): void {
    // What `out` causes to be put waits for the round that is running.
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (!this.#blocked) {
        const first = this.#underway[0];
        if (first === undefined) return;
        const waitMs = first.dueMs - this.#clock.monotonicMs();
        if (waitMs > 0) {
          this.#wakeAfter(waitMs);
          return;
        }
        this.#underway.shift();
        this.#out(first.item);
      }
    } finally {
      this.#pumping = false;
    }
  }

  #wakeAfter(waitMs: number): void {
    this.#timer ??= this.#clock.after(waitMs, () => {
      this.#timer = undefined;
      this.#pump();
    });
  }
}
