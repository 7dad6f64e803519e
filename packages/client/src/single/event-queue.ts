/** Event queue: what was received and not read yet, bounded, as an async iterator sees it. */
import type { CodedError } from '@trunkline/wire';
import type { SubscriptionEvent } from '../events.ts';

/** With more than so many events there is no room: transports that can wait do. */
const ROOM_COUNT = 256;
/** Over this many events, or payload characters, the queue is over and the connection is let go. */
const COUNT_MAX = 4096;
const LENGTH_MAX = 16 * 1024 * 1024;

type Result = IteratorResult<SubscriptionEvent, undefined>;

interface Reader {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export class EventQueue {
  #events: SubscriptionEvent[] = [];
  #length = 0;
  #readers: Reader[] = [];
  #waiting: (() => void)[] = [];
  #ended = false;
  #failure: CodedError | undefined;

  /** True when more is queued than a queue may hold. */
  get isOver(): boolean {
    return this.#events.length > COUNT_MAX || this.#length > LENGTH_MAX;
  }

  push(event: SubscriptionEvent): void {
    if (this.#ended) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: event });
      return;
    }
    this.#events.push(event);
    this.#length += lengthOf(event);
  }

  /** Resolves when there is room for more; at once if there is, or if nothing more will come. */
  room(): Promise<void> {
    if (this.#hasRoom()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** What is queued can still be read; then the iteration is over. */
  end(): void {
    this.#ended = true;
    this.#wake();
    if (this.#events.length > 0) return;
    for (const reader of this.#readers.splice(0)) this.#settle(reader);
  }

  /** As `end`, but the iteration ends by throwing `error`, once. */
  fail(error: CodedError): void {
    this.#failure = error;
    this.end();
  }

  /** Drops what is queued. */
  clear(): void {
    this.#events = [];
    this.#length = 0;
    this.#wake();
  }

  next(): Promise<Result> {
    const event = this.#events.shift();
    if (event !== undefined) {
      this.#length -= lengthOf(event);
      if (this.#hasRoom()) this.#wake();
      return Promise.resolve({ done: false, value: event });
    }
    return new Promise((resolve, reject) => {
      const reader = { resolve, reject };
      if (this.#ended) this.#settle(reader);
      else this.#readers.push(reader);
    });
  }

  #hasRoom(): boolean {
    const { length } = this.#events;
    return this.#ended || (length <= ROOM_COUNT && this.#length <= LENGTH_MAX / 2);
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #settle(reader: Reader): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(failure);
  }
}

function lengthOf(event: SubscriptionEvent): number {
  if (event.kind !== 'message') return 0;
  const text = event.source ?? (typeof event.data === 'string' ? event.data : '');
  return text.length + (event.bytes?.length ?? 0);
}
