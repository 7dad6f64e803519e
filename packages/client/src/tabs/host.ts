/**
 * Tab host: serves any number of tabs over one connection. Each tab reads from its own places, so
 * that one that comes back, to this host or to the next, misses nothing and gets nothing twice.
 */
import type { Ending } from '../ending.ts';
import type { Clock } from '../platform.ts';
import type { Locks } from './election.ts';
import { Guest } from './guest.ts';
import type { Port } from './port.ts';
import { TokenDesk } from './token-desk.ts';
import type { Upstream } from './upstream.ts';

/** Tabs, those that died unnoticed included; over it, the next ones connect by themselves. */
export const GUESTS_MAX = 256;

/** What a host needs beside its connection. */
export interface TabHostOptions {
  /** Another one for every host. */
  readonly id: string;
  /** Whom it serves: `groupOf`. */
  readonly group: string;
  readonly clock: Clock;
  /** Absent where there are none: then tabs are known to be dead by their silence. */
  readonly locks?: Locks;
  /** Where its connection takes its tokens from. */
  readonly tokens?: TokenDesk;
  /** It serves nobody any more: closed, or its connection will not come back. Exactly once. */
  readonly onClose?: () => void;
  /** How many tabs there are now. */
  readonly onGuests?: (count: number) => void;
}

export class TabHost {
  readonly #upstream: Upstream;
  readonly #options: TabHostOptions;
  readonly #tokens: TokenDesk;
  readonly #guests = new Set<Guest>();
  #isClosed = false;

  constructor(upstream: Upstream, options: TabHostOptions) {
    this.#upstream = upstream;
    this.#options = options;
    this.#tokens = options.tokens ?? new TokenDesk();
    upstream.onState(() => this.#onState());
  }

  /** Serves a tab, as soon as it says who it is. */
  accept(port: Port): void {
    const { id, group, clock, locks, onGuests } = this.#options;
    const guest: Guest = new Guest(port, {
      ...{ id, group, clock, locks, host: id },
      upstream: this.#upstream,
      tokens: this.#tokens,
      onGone: () => {
        this.#guests.delete(guest);
        onGuests?.(this.#guests.size);
      },
    });
    if (this.#isClosed) {
      guest.end(LEAVING);
    } else if (this.#guests.size >= GUESTS_MAX) {
      guest.end({ kind: 'lost', reason: `one connection serves at most ${GUESTS_MAX} tabs` });
    } else {
      this.#guests.add(guest);
      onGuests?.(this.#guests.size);
    }
  }

  /** Sends all tabs to another host, and closes the connection. Idempotent. */
  close(): void {
    this.#end(LEAVING);
  }

  #onState(): void {
    const { state } = this.#upstream;
    if (state.kind === 'ended') this.#end(state.ending);
    // A guest that is sent away may bring about that others are.
    else for (const guest of [...this.#guests]) if (guest.isKnown) guest.onState(state);
  }

  #end(ending: Ending): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const guest of [...this.#guests]) guest.end(ending);
    this.#upstream.close();
    this.#options.onClose?.();
  }
}

/** Tabs come back at once: another host is being found. */
const LEAVING: Ending = {
  kind: 'lost',
  reason: 'the tab that had the connection leaves',
  hint: { withinMs: 0 },
};
