/**
 * Reading: hands the events of a subscription to somebody who may be slow, one after the other. What
 * comes meanwhile waits here, and when that is much it waits in the log of the server instead.
 */
import type { MarkEvent } from '../events.ts';
import { Subscription } from './subscription.ts';
import type { ReadingEvent, ReadingOptions } from './subscription.ts';
import type { Subscriptions } from './subscriptions.ts';

/** With more events than this waiting nothing more is read. */
const WAITING_MAX = 256;
/** And with so few it is read on. */
const WAITING_MIN = 64;

/** What is told, in order. */
export type TakenEvent = ReadingEvent | MarkEvent;

/** Who takes the events. */
export interface Taker {
  /** Until what is returned has resolved nothing more is told. A failure ends the reading. */
  take(event: TakenEvent): void | PromiseLike<void>;
  /** Nothing more will come, and why. Not called after `end`. */
  onEnd(error: unknown): void;
}

export class Reading {
  readonly #subscriptions: Subscriptions;
  readonly #subscription: Subscription;
  readonly #taker: Taker;
  readonly #waiting: TakenEvent[] = [];
  #isBusy = false;
  #hasEnded = false;
  /** Why it is over when what waits has been told. */
  #last: { readonly error: Error } | undefined;

  constructor(subscriptions: Subscriptions, filter: string, options: ReadingOptions, taker: Taker) {
    this.#subscriptions = subscriptions;
    this.#taker = taker;
    this.#subscription = new Subscription(filter, options, {
      onEvent: (event) => this.#onEvent(event),
      onMark: (mark) => {
        // One that waits is of no use any more.
        if (this.#waiting.at(-1)?.kind === 'mark') this.#waiting.pop();
        this.#onEvent({ kind: 'mark', channel: filter, mark });
      },
      onEnd: (error) => {
        this.#last = { error };
        this.#tellOn();
      },
    });
    subscriptions.add(this.#subscription);
  }

  /** Where it stands: everything up to here was told or waits to be. */
  get after(): string | undefined {
    return this.#subscription.place.after;
  }

  /** Reads no more and tells no more. Idempotent. */
  end(): void {
    this.#hasEnded = true;
    this.#waiting.length = 0;
    this.#subscriptions.remove(this.#subscription);
  }

  #onEvent(event: TakenEvent): void {
    this.#waiting.push(event);
    this.#tellOn();
    if (this.#waiting.length > WAITING_MAX && !this.#subscription.isPaused) {
      this.#subscriptions.pause(this.#subscription);
    }
  }

  #tellOn(): void {
    while (!this.#isBusy && !this.#hasEnded) {
      const event = this.#waiting.shift();
      if (event !== undefined) this.#tell(event);
      else if (this.#last === undefined) break;
      else this.#fail(this.#last.error);
      if (this.#subscription.isPaused && this.#waiting.length < WAITING_MIN) {
        this.#subscriptions.resume(this.#subscription);
      }
    }
  }

  #tell(event: TakenEvent): void {
    try {
      const taken = this.#taker.take(event) as PromiseLike<void> | undefined;
      // A listener may return what it happens to have, as of `push`.
      if (typeof taken?.then !== 'function') return;
      this.#isBusy = true;
      taken.then(
        () => {
          this.#isBusy = false;
          this.#tellOn();
        },
        (error: unknown) => this.#fail(error),
      );
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#hasEnded) return;
    this.end();
    this.#taker.onEnd(error);
  }
}
