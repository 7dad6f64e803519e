/**
 * SelectionBatch: what one turn brought to a selection, on its way to many readers, encoded at most
 * once per encoding.
 */
import type { Message } from '@trunkline/wire';
import type { SharedBatch } from '../../link/shared-batch.ts';
import type { Encoding, Run } from '../hub-types.ts';
import type { MessageBatch } from '../message-batch.ts';
import type { SelectionCursor } from './selection-cursor.ts';

/** One encoding of a batch. */
interface Encoded {
  readonly encoding: Encoding;
  readonly mark: string | undefined;
  readonly batch: SharedBatch;
}

/** Messages of several channels, and the mark after them. */
export class SelectionBatch {
  /** Messages of all channels together. */
  readonly count: number;
  readonly #batches: readonly MessageBatch[];
  readonly #mark: string | undefined;
  readonly #nowMs: number;
  readonly #encoded: Encoded[] = [];
  #runs: readonly Run[] | undefined;

  constructor(batches: readonly MessageBatch[], mark: string | undefined, nowMs: number) {
    this.#batches = batches;
    this.#mark = mark;
    this.#nowMs = nowMs;
    this.count = batches.reduce((sum, { messages }) => sum + messages.length, 0);
  }

  /** What the reader is given of it; `undefined` when that is nothing. */
  for(cursor: SelectionCursor): SharedBatch | undefined {
    const { encoding } = cursor.subscriber;
    const mark = cursor.isMarked ? this.#mark : undefined;
    if (!this.#isPartFor(cursor)) return this.#whole(encoding, mark);
    const runs = this.#partFor(cursor);
    if (runs.length === 0) return undefined;
    return encoding.encode(runs, mark);
  }

  /** All of it in `encoding`, made at the first call. */
  #whole(encoding: Encoding, mark: string | undefined): SharedBatch | undefined {
    for (const known of this.#encoded) {
      if (known.encoding === encoding && known.mark === mark) return known.batch;
    }
    this.#runs ??= this.#batches.flatMap((batch) => batch.runs(this.#nowMs));
    if (this.#runs.length === 0) return undefined;
    const batch = encoding.encode(this.#runs, mark);
    this.#encoded.push({ encoding, mark, batch });
    return batch;
  }

  /** True when the reader does not want all of it. */
  #isPartFor(cursor: SelectionCursor): boolean {
    const { sharing, mutedSession } = cursor;
    if (sharing === undefined && mutedSession === undefined) return false;
    return this.#batches.some(
      ({ channel, messages }) =>
        cursor.omits(channel) || messages.some((message) => isFrom(message, mutedSession)),
    );
  }

  #partFor(cursor: SelectionCursor): Run[] {
    const runs: Run[] = [];
    for (const batch of this.#batches) {
      if (cursor.omits(batch.channel)) continue;
      for (const run of batch.runs(this.#nowMs)) {
        const messages = run.messages.filter((message) => !isFrom(message, cursor.mutedSession));
        if (messages.length > 0 || run.expired !== undefined) runs.push({ ...run, messages });
      }
    }
    return runs;
  }
}

/** True for a message that the session itself published. */
export function isFrom(message: Message, session: string | undefined): boolean {
  return session !== undefined && message.from?.session === session;
}
