/** Pull: what is told to a listener, for somebody who asks for one after the other. */

type Result<Value> = IteratorResult<Value, undefined>;

interface Asker<Value> {
  readonly resolve: (result: Result<Value>) => void;
  readonly reject: (error: unknown) => void;
}

/** Holds one value until it is asked for; whoever gives it waits meanwhile. */
export class Pull<Value> implements AsyncIterableIterator<Value, undefined> {
  readonly #askers: Asker<Value>[] = [];
  readonly #stop: () => void;
  #held: { readonly value: Value; readonly taken: () => void } | undefined;
  #failure: { readonly error: unknown } | undefined;
  #hasEnded = false;

  /** @param start begins to give; what it returns ends that. */
  constructor(start: (pull: Pull<Value>) => () => void) {
    this.#stop = start(this);
  }

  /** Resolves when the next value is welcome. */
  give(value: Value): void | Promise<void> {
    const asker = this.#askers.shift();
    if (asker !== undefined) {
      asker.resolve({ done: false, value });
      if (this.#askers.length > 0) return undefined;
      // Whoever asks on does so when this value has reached it.
      return Promise.resolve();
    }
    return new Promise<void>((resolve) => (this.#held = { value, taken: resolve }));
  }

  /** Nothing more will come: whoever asks next hears why, once. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#hasEnded = true;
    const asker = this.#askers.shift();
    if (asker !== undefined) this.#settle(asker);
    for (const other of this.#askers.splice(0)) this.#settle(other);
  }

  next(): Promise<Result<Value>> {
    const held = this.#held;
    if (held !== undefined) {
      this.#held = undefined;
      held.taken();
      return Promise.resolve({ done: false, value: held.value });
    }
    return new Promise((resolve, reject) => {
      const asker = { resolve, reject };
      if (this.#hasEnded) this.#settle(asker);
      else this.#askers.push(asker);
    });
  }

  /** Ends the reading. Idempotent. */
  return(): Promise<Result<Value>> {
    this.#hasEnded = true;
    this.#held = undefined;
    this.#stop();
    for (const asker of this.#askers.splice(0)) this.#settle(asker);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #settle({ resolve, reject }: Asker<Value>): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure === undefined) resolve({ done: true, value: undefined });
    else reject(failure.error);
  }
}
