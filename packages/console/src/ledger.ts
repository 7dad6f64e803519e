/**
 * Ledger: counts what a reader received and proves, offset by offset in every channel, that nothing
 * was missed and nothing came twice. Loss that the server announced is counted apart: it is told,
 * not silent. So is what expired, which its publisher wanted.
 */
import { isOrigin } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';

/** Channels whose place is known; of one that is forgotten the next message proves nothing. */
const CHANNELS_MAX = 10_000;

/** Offsets between two messages of a channel that never came. */
export interface Hole {
  readonly channel: string;
  readonly epoch: string;
  /** The first and the last of them. */
  readonly from: number;
  readonly to: number;
}

/** The counts of one reader, over all its connections. */
export class Ledger {
  received = 0;
  /** Messages that never came and that nobody spoke of. Must stay 0. */
  missed = 0;
  /** Messages whose offset did not rise. Must stay 0. */
  doubled = 0;
  /** Gaps the server announced. */
  gaps = 0;
  /** Messages that were not delivered because their time was over. */
  expired = 0;
  /** Everything up to here is counted, by channel. */
  readonly #at: Map<string, Position>;

  /** @param from is copied: a ledger that is handed on must not count for two. */
  constructor(from?: Ledger) {
    this.#at = new Map(from === undefined ? [] : from.#at);
    if (from === undefined) return;
    const { received, missed, doubled, gaps, expired } = from;
    Object.assign(this, { received, missed, doubled, gaps, expired });
  }

  /** The channels that something is known of, those heard of last at the end. */
  get channels(): string[] {
    return [...this.#at.keys()];
  }

  /** How far a channel is counted. */
  at(channel: string): Position | undefined {
    return this.#at.get(channel);
  }

  /**
   * Counts one message.
   *
   * @param next absent in volatile channels, which prove nothing.
   * @returns offsets before it that never came: whether they are missed is for `miss` to say.
   */
  message(channel: string, next: Position | undefined): Hole | undefined {
    this.received += 1;
    const last = this.#at.get(channel);
    if (next === undefined) return undefined;
    if (last !== undefined && last.epoch === next.epoch && next.offset <= last.offset) {
      this.doubled += 1;
      return undefined;
    }
    this.#move(channel, next);
    if (last === undefined) return undefined;
    if (last.epoch !== next.epoch && !isOrigin(last)) {
      // Another life of the stream that was not announced is itself a loss.
      this.missed += Math.max(1, next.offset - 1);
      return undefined;
    }
    const { epoch, offset } = next;
    if (offset === last.offset + 1) return undefined;
    return { channel, epoch, from: last.offset + 1, to: offset - 1 };
  }

  /** Counts a hole: `kept` of its messages are in the log and never came, the others expired. */
  miss({ from, to }: Hole, kept = to - from + 1): void {
    this.missed += kept;
    this.expired += to - from + 1 - kept;
  }

  /** Counts messages that the server said had expired. */
  expire(channel: string, epoch: string, from: number, to: number): Hole | undefined {
    const last = this.#at.get(channel);
    if (last?.epoch === epoch && to <= last.offset) return undefined;
    this.#move(channel, { epoch, offset: to });
    this.expired += to - from + 1;
    const follows = last === undefined || isOrigin(last) || last.epoch === epoch;
    if (!follows || last === undefined || from <= last.offset + 1) return undefined;
    return { channel, epoch, from: last.offset + 1, to: from - 1 };
  }

  /** Counts an announced gap: the next message follows `at`, or anything when it is not known. */
  gap(channel: string, at: Position | undefined): void {
    this.gaps += 1;
    if (at === undefined) this.#at.delete(channel);
    else this.#move(channel, at);
  }

  /** A gap without channels: of those that `isLost` tells nothing is known any more. */
  lose(isLost: (channel: string) => boolean): void {
    this.gaps += 1;
    for (const channel of this.channels) if (isLost(channel)) this.#at.delete(channel);
  }

  /** Begins at a place without counting anything; keeps a place that is known already. */
  begin(channel: string, at: Position): void {
    if (!this.#at.has(channel)) this.#move(channel, at);
  }

  #move(channel: string, at: Position): void {
    this.#at.delete(channel);
    this.#at.set(channel, at);
    if (this.#at.size <= CHANNELS_MAX) return;
    const oldest = this.#at.keys().next();
    if (!oldest.done) this.#at.delete(oldest.value);
  }
}
