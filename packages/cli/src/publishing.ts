/**
 * Publishing: many lines into one channel, in order. One batch is under way at a time and carries
 * what has come meanwhile: a slow typist's line leaves at once, a fast pipe fills whole batches, and
 * no line can overtake another. Those behind a batch that failed are tried all the same.
 */
import type { Line, Payload, Published, PublishOptions } from '@trunkline/client';

/** Lines in one batch: as many as one request carries. */
const BATCH_COUNT_MAX = 500;
/** Characters in one batch: well below the server's bound for a body. */
const BATCH_LENGTH_MAX = 256 * 1024;
/** Lines that wait for a batch; over it nothing is read. */
const WAITING_MAX = 2 * BATCH_COUNT_MAX;

/** What is to be published, and where it stood. */
export interface PublishingItem {
  readonly line: number;
  readonly length: number;
  readonly data: Payload;
  readonly options: PublishOptions;
}

/** What publishes. */
export type Publisher = Pick<Line, 'publish'>;

/** What became of an item. */
export type Outcome = (item: PublishingItem, result: Published | Error) => void;

export class Publishing {
  readonly #line: Publisher;
  readonly #channel: string;
  readonly #onOutcome: Outcome;
  #waiting: PublishingItem[] = [];
  #running: Promise<void> | undefined;
  #wake: (() => void)[] = [];

  constructor(line: Publisher, channel: string, onOutcome: Outcome) {
    this.#line = line;
    this.#channel = channel;
    this.#onOutcome = onOutcome;
  }

  /** Takes an item; resolves when another one is welcome. */
  async add(item: PublishingItem): Promise<void> {
    this.#waiting.push(item);
    // Never rejects: a failure is an outcome of its item.
    this.#running ??= this.#run();
    while (this.#waiting.length >= WAITING_MAX) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Resolves when everything that was added has its outcome. */
  async finish(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // What the reader has at hand in this turn shares the first batch.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      for (const resolve of this.#wake.splice(0)) resolve();
      const results = await Promise.all(batch.map((item) => this.#publish(item)));
      for (const [index, item] of batch.entries()) {
        const result = results[index];
        if (result !== undefined) this.#onOutcome(item, result);
      }
    }
    this.#running = undefined;
  }

  #takeBatch(): PublishingItem[] {
    let count = 0;
    let length = 0;
    for (const item of this.#waiting) {
      length += item.length;
      if (count === BATCH_COUNT_MAX || (count > 0 && length > BATCH_LENGTH_MAX)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #publish({ data, options }: PublishingItem): Promise<Published | Error> {
    try {
      return await this.#line.publish(this.#channel, data, options);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}
