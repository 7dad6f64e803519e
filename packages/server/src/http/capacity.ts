/**
 * Capacity: how many connections a server has room for, in all and of each address, whichever of
 * its listeners they came to.
 */
import type { Log } from '../observe/log.ts';
import { Tally } from './tally.ts';

/** How many connections there may be. */
export interface CapacityLimits {
  /** Open connections; more are refused. */
  readonly connectionsMax: number;
  /** Open connections of one remote address; more are refused. */
  readonly connectionsPerAddressMax: number;
}

/** What is full: the server, or what one address may have of it. */
export type Full = 'server' | 'address';

/** Below this part of the limit there is room again: a count that swings is one line in the log. */
const ROOM_AGAIN = 0.9;

/** Counts connections, and says when there is no room. */
export class Capacity {
  readonly #limits: CapacityLimits;
  readonly #log: Log;
  readonly #ofAddress = new Tally();
  #count = 0;
  #warned = false;

  constructor(limits: CapacityLimits, log: Log) {
    this.#limits = limits;
    this.#log = log;
  }

  /** Connections of all listeners. */
  get count(): number {
    return this.#count;
  }

  /** Takes a connection in. @returns what is full instead, and then nothing was counted. */
  enter(address: string): Full | undefined {
    const { connectionsMax, connectionsPerAddressMax } = this.#limits;
    if (this.#count >= connectionsMax) {
      this.#warn();
      return 'server';
    }
    if (this.#count < connectionsMax * ROOM_AGAIN) this.#warned = false;
    if (this.#ofAddress.of(address) >= connectionsPerAddressMax) {
      const limit = connectionsPerAddressMax;
      this.#log.debug({ address, limit }, 'a connection was refused: too many of its address');
      return 'address';
    }
    this.#count += 1;
    this.#ofAddress.add(address);
    return undefined;
  }

  /** A connection that was taken in is gone; called once for each. */
  leave(address: string): void {
    this.#count -= 1;
    this.#ofAddress.remove(address);
  }

  #warn(): void {
    if (this.#warned) return;
    this.#warned = true;
    const limit = this.#limits.connectionsMax;
    this.#log.warn({ limit }, 'new connections are refused: the limit of connections is reached');
  }
}
