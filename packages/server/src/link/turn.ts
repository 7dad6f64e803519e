/**
 * Turn: the end of one turn of the event loop, where everything that happened in it is encoded
 * once and written once per link.
 *
 * A turn ends after a second look at the sockets. While thousands of links are written, publishers
 * go on, and what they sent is seen in pieces; one more look joins them into one batch. Measured at
 * 1,000 subscribers and 16 messages under way: 16 instead of 13 messages a write and a third more
 * deliveries. When nothing else is ready the look takes microseconds.
 *
 * Work runs in two steps: first the preparations (the hub encodes what its channels received),
 * then the writes (each link that has something queued writes it). What a write queues anew waits
 * for the next turn.
 */
import type { Clock } from '../clock.ts';

/** Something that writes what it has queued, once a turn. */
export interface Flushable {
  /** Must not throw. */
  flush(): void;
}

export class Turn {
  readonly #clock: Clock;
  #preparations: (() => void)[] = [];
  #writers: Flushable[] = [];
  #spareWriters: Flushable[] = [];
  #scheduled = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs `task` once at the end of this turn, before the writes. */
  prepare(task: () => void): void {
    this.#preparations.push(task);
    this.#schedule();
  }

  /** Calls `writer.flush` once at the end of this turn. The caller sees to it that it asks once. */
  write(writer: Flushable): void {
    this.#writers.push(writer);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.defer(this.#lookAgain);
  }

  readonly #lookAgain = (): void => this.#clock.defer(this.#end);

  readonly #end = (): void => {
    const preparations = this.#preparations;
    if (preparations.length > 0) {
      this.#preparations = [];
      for (const task of preparations) task();
    }
    // From here on a new request belongs to the next turn, and so does what preparations asked for.
    this.#scheduled = false;
    if (this.#preparations.length > 0) this.#schedule();
    const writers = this.#writers;
    this.#writers = this.#spareWriters;
    for (const writer of writers) writer.flush();
    // The array is used again: a thousand dirty links a turn should not be garbage each time.
    writers.length = 0;
    this.#spareWriters = writers;
  };
}
