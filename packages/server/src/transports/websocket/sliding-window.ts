/** SlidingWindow: the newest bytes of all that was said, which deflated data may refer to. */

const EMPTY = Buffer.alloc(0);

/** Keeps the last bytes, up to a size; takes no memory before the first ones. */
export class SlidingWindow {
  readonly #sizeMax: number;
  #buffer = EMPTY;
  #size = 0;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  /** The bytes kept, the newest last; valid until the next call. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  /** Adds bytes, a copy of them. */
  push(bytes: Uint8Array): void {
    if (this.#buffer.length === 0) this.#buffer = Buffer.allocUnsafeSlow(this.#sizeMax);
    const added = bytes.subarray(Math.max(0, bytes.length - this.#sizeMax));
    const kept = Math.min(this.#size, this.#sizeMax - added.length);
    this.#buffer.copyWithin(0, this.#size - kept, this.#size);
    this.#buffer.set(added, kept);
    this.#size = kept + added.length;
  }

  /** Forgets all and gives the memory back. */
  clear(): void {
    this.#buffer = EMPTY;
    this.#size = 0;
  }
}
