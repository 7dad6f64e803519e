/**
 * SelectionBatch: what one turn brought to a selection, on its way to many readers, encoded at most
 * once per encoding.
 */
import type { Message } from '@trunkline/wire';
import { SharedBatch } from '../../link/shared-batch.ts';
import type { Encoding, Run } from '../hub-types.ts';
import type { MessageBatch } from '../message-batch.ts';
import type { SelectionCursor } from './selection-cursor.ts';

/** Messages of several channels, and the mark after them. */
export class SelectionBatch {
  /** Messages of all channels together. */
  readonly count: number;
  readonly #batches: readonly MessageBatch[];
  readonly #mark: string | undefined;
  readonly #nowMs: number;
  readonly #encoded: { readonly encoding: Encoding; readonly batch: SharedBatch }[] = [];

  constructor(batches: readonly MessageBatch[], mark: string | undefined, nowMs: number) {
    this.#batches = batches;
    this.#mark = mark;
    this.#nowMs = nowMs;
    this.count = batches.reduce((sum, { messages }) => sum + messages.length, 0);
  }

  /** These messages in `encoding`, made at the first call; `undefined` when all have expired. */
  encoded(encoding: Encoding): SharedBatch | undefined {
    for (const known of this.#encoded) if (known.encoding === encoding) return known.batch;
    const runs = this.#batches.flatMap((batch) => batch.runs(this.#nowMs));
    if (runs.length === 0) return undefined;
    const batch = new SharedBatch(encoding.encode(runs, this.#mark), encoding.text);
    this.#encoded.push({ encoding, batch });
    return batch;
  }

  /** True when the reader does not want all of it. */
  isPartFor({ omits, mutedSession }: SelectionCursor): boolean {
    if (omits === undefined && mutedSession === undefined) return false;
    return this.#batches.some(
      ({ channel, messages }) =>
        omits?.(channel) === true || messages.some((message) => isFrom(message, mutedSession)),
    );
  }

  /** What the reader wants of it; `undefined` when that is nothing. */
  partFor({ subscriber, omits, mutedSession }: SelectionCursor): SharedBatch | undefined {
    const runs: Run[] = [];
    for (const batch of this.#batches) {
      if (omits?.(batch.channel) === true) continue;
      for (const run of batch.runs(this.#nowMs)) {
        const messages = run.messages.filter((message) => !isFrom(message, mutedSession));
        if (messages.length > 0 || run.expired !== undefined) runs.push({ ...run, messages });
      }
    }
    if (runs.length === 0) return undefined;
    const { encoding } = subscriber;
    return new SharedBatch(encoding.encode(runs, this.#mark), encoding.text);
  }
}

/** True for a message that the session itself published. */
export function isFrom(message: Message, session: string | undefined): boolean {
  return session !== undefined && message.from?.session === session;
}
