/** Queue: what has come and was not asked for yet, and who waits for what has not come. */

/** Milliseconds after which something that did not come fails its test. */
const WAIT_MS_MAX = 30_000;

interface Waiting<T> {
  resolve(item: T): void;
  reject(reason: Error): void;
}

/** Items in the order they came; whoever asks first gets the first. */
export class Queue<T> {
  readonly #items: T[] = [];
  readonly #waiting: Waiting<T>[] = [];
  readonly #what: string;
  #end: Error | undefined;

  /** @param what is named when it does not come. */
  constructor(what: string) {
    this.#what = what;
  }

  /** Items that nobody asked for yet. */
  get size(): number {
    return this.#items.length;
  }

  push(item: T): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#items.push(item);
    else waiting.resolve(item);
  }

  /** Nothing more comes: who asks for more than there is fails. */
  end(reason: Error): void {
    this.#end ??= reason;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#end);
  }

  /** The next item, as soon as it is there. @throws when it does not come. */
  next(): Promise<T> {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift() as T);
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return within(
      new Promise<T>((resolve, reject) => this.#waiting.push({ resolve, reject })),
      this.#what,
    );
  }
}

/** Fails when `promise` takes longer than anything in a test may. */
export async function within<T>(
  promise: Promise<T>,
  what: string,
  msMax: number = WAIT_MS_MAX,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${msMax} ms`)), msMax);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
