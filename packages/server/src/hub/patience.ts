/** Patience: how long a read waits for news, and what may end its wait. */
import type { Alarm, AlarmMarks, Wheel } from '../wheel.ts';
import type { Waiter } from './channel.ts';
import type { ReadRequest } from './hub-types.ts';

/** The reads that wait now, so that a drain can answer them. */
export class Waits {
  readonly #waiting = new Set<Alarm>();
  #ended = false;

  /** How many wait. */
  get count(): number {
    return this.#waiting.size;
  }

  /** True once nobody is to wait any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** One more waits, until `remove`. */
  add(wait: Alarm): void {
    this.#waiting.add(wait);
  }

  /** One waits no more. Idempotent. */
  remove(wait: Alarm): void {
    this.#waiting.delete(wait);
  }

  /** All who wait are called as if their time were over, and later ones do not wait at all. */
  end(): void {
    this.#ended = true;
    for (const wait of [...this.#waiting]) wait.onAlarm();
  }
}

/** What a read may wait for: a channel, or several together. */
export interface NewsSource {
  /** Calls `waiter` at the next news, unless it is removed before. */
  addWaiter(waiter: Waiter): void;
  removeWaiter(waiter: Waiter): void;
}

/** The patience of one read. */
export class Patience implements Alarm, Waiter {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly #wheel: Wheel;
  readonly #waits: Waits;
  #over: boolean;
  #resume: (() => void) | undefined;

  /** Time begins to run; `end` must be called. */
  constructor(wheel: Wheel, waits: Waits, request: Pick<ReadRequest, 'waitMs' | 'onWait'>) {
    this.#wheel = wheel;
    this.#waits = waits;
    this.#over = request.waitMs <= 0 || waits.ended;
    if (this.#over) return;
    wheel.arm(this, request.waitMs);
    waits.add(this);
    request.onWait?.(() => this.onAlarm());
  }

  /** True when the read is to answer with what it has. */
  get isOver(): boolean {
    return this.#over;
  }

  /** Resolves at the first news of one of the sources, or when the patience is over. */
  async news(sources: readonly NewsSource[]): Promise<void> {
    if (this.#over) return;
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
      for (const source of sources) source.addWaiter(this);
    });
    for (const source of sources) source.removeWaiter(this);
  }

  onNews(): void {
    this.#resume?.();
    this.#resume = undefined;
  }

  onAlarm(): void {
    this.#over = true;
    this.onNews();
  }

  /** The read is over. */
  end(): void {
    this.#wheel.cancel(this);
    this.#waits.remove(this);
  }
}
