/** Waiting polls, counted by address: one client can't hold all connections. [POLL-5] */
import { CodedError } from '@trunkline/wire';

/** What a refused poll is told to wait before it tries again. */
const RETRY_AFTER_MS = 1_000;

/** Counts the polls that wait, and refuses those over the limit. */
export class WaitingPolls {
  readonly #perAddressMax: number;
  readonly #byAddress = new Map<string, number>();

  constructor(perAddressMax: number) {
    this.#perAddressMax = perAddressMax;
  }

  /**
   * Counts one more poll of this address, until `leave`.
   *
   * @throws {CodedError} `rate_limited` when as many as allowed wait already.
   */
  enter(address: string): void {
    const count = this.#byAddress.get(address) ?? 0;
    if (count >= this.#perAddressMax) {
      const message = `at most ${this.#perAddressMax} polls of one address may wait at a time`;
      throw new CodedError('rate_limited', message, { retryAfter: RETRY_AFTER_MS });
    }
    this.#byAddress.set(address, count + 1);
  }

  /** One poll of this address that had entered waits no more. */
  leave(address: string): void {
    const count = this.#byAddress.get(address) ?? 0;
    if (count > 1) this.#byAddress.set(address, count - 1);
    else this.#byAddress.delete(address);
  }

  /** Polls that wait now, of all addresses. */
  get count(): number {
    let sum = 0;
    for (const count of this.#byAddress.values()) sum += count;
    return sum;
  }
}
