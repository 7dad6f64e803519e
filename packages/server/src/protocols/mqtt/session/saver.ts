/**
 * Saver: stores what one session keeps, as often as needed and no more. While one write is under way
 * those who ask wait for the next one together.
 */
import type { Clock } from '../../../clock.ts';

/** What a saver is built from. */
export interface SaverParts {
  /** Writes what is kept at the moment of the call. */
  readonly write: () => Promise<void>;
  readonly clock: Clock;
  /** How long what need not be stored at once waits for more. */
  readonly delayMs: number;
  /** A write failed; it is tried again. */
  readonly onFailed: (error: unknown) => void;
}

/** How long after a failed write the next one is tried. */
const RETRY_MS = 1000;

export class Saver {
  readonly #parts: SaverParts;
  #writing = false;
  /** Those who wait for a write that begins after the one under way. */
  #next: PromiseWithResolvers<void> | undefined;
  /** The last write; never rejects. */
  #underWay: Promise<void> = Promise.resolve();
  #isDue = false;
  #ended = false;

  constructor(parts: SaverParts) {
    this.#parts = parts;
  }

  /** Resolves when all that is kept by now is stored; never when that can't be done any more. */
  save(): Promise<void> {
    this.#next ??= Promise.withResolvers<void>();
    const { promise } = this.#next;
    // At the end of the turn: what else it brings goes into the same write.
    if (!this.#writing) {
      this.#writing = true;
      this.#parts.clock.defer(this.#write);
    }
    return promise;
  }

  /** Stores what is kept within the delay. */
  saveSoon(): void {
    if (this.#isDue || this.#next !== undefined || this.#ended) return;
    this.#isDue = true;
    this.#parts.clock.after(this.#parts.delayMs, () => {
      this.#isDue = false;
      if (!this.#ended) void this.save();
    });
  }

  /**
   * Nothing is begun to be written any more. Resolves when nothing is under way either: what is written
   * after that is not overtaken.
   */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#underWay;
  }

  readonly #write = (): void => {
    const next = this.#next;
    this.#next = undefined;
    if (this.#ended || next === undefined) {
      this.#writing = false;
      return;
    }
    this.#underWay = this.#writeFor(next);
  };

  /** Never rejects. */
  async #writeFor(next: PromiseWithResolvers<void>): Promise<void> {
    try {
      await this.#parts.write();
    } catch (error) {
      this.#parts.onFailed(error);
      // Who waited waits on, with those who came meanwhile.
      void this.#next?.promise.then(next.resolve);
      this.#next ??= next;
      this.#parts.clock.after(RETRY_MS, this.#write);
      return;
    }
    next.resolve();
    this.#write();
  }
}
