/**
 * Ledger: counts what a reader received and proves, offset by offset, that nothing was missed and
 * nothing came twice. Loss that the server announced is counted apart: it is told, not silent.
 */
import { isOrigin } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';

/** The counts of one reader, over all its connections. */
export interface Ledger {
  readonly received: number;
  /** Messages between two offsets that never came and that nobody spoke of. Must stay 0. */
  readonly missed: number;
  /** Messages whose offset did not rise. Must stay 0. */
  readonly doubled: number;
  /** Gaps the server announced. */
  readonly gaps: number;
  /** Everything up to here is counted; absent until the first place is known. */
  readonly at: Position | undefined;
}

/** Nothing counted yet. */
export const EMPTY_LEDGER: Ledger = { received: 0, missed: 0, doubled: 0, gaps: 0, at: undefined };

/** What one message more says about the messages between it and the last one. */
export function step(
  last: Position,
  next: Position,
): { readonly missed: number; readonly doubled: boolean } {
  if (isOrigin(last)) return { missed: Math.max(0, next.offset - 1), doubled: false };
  // Another life of the stream that was not announced is itself a loss, of at least one message.
  if (last.epoch !== next.epoch) return { missed: Math.max(1, next.offset - 1), doubled: false };
  if (next.offset <= last.offset) return { missed: 0, doubled: true };
  return { missed: next.offset - last.offset - 1, doubled: false };
}

/** Counts one message. */
export function countMessage(ledger: Ledger, position: Position): Ledger {
  const { missed, doubled } =
    ledger.at === undefined ? { missed: 0, doubled: false } : step(ledger.at, position);
  return {
    ...ledger,
    received: ledger.received + 1,
    missed: ledger.missed + missed,
    doubled: ledger.doubled + (doubled ? 1 : 0),
    at: doubled ? ledger.at : position,
  };
}

/** Counts an announced gap: the next message follows `at`, or anything when it is not known. */
export function countGap(ledger: Ledger, at: Position | undefined): Ledger {
  return { ...ledger, gaps: ledger.gaps + 1, at };
}

/** Begins at a place without counting anything; keeps a place that is known already. */
export function beginAt(ledger: Ledger, at: Position): Ledger {
  return ledger.at === undefined ? { ...ledger, at } : ledger;
}
