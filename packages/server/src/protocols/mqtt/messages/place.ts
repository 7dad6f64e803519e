/** Place: where a message stands in its channel, and up to where a reader has everything. */
import type { Position } from '@trunkline/wire';
import type { Run } from '../../../hub/hub-types.ts';

/** Where a message of a channel stands. Of a volatile channel the epoch is empty. */
export interface Place extends Position {
  readonly channel: string;
  /** Set where it is told because it was retained, so that it is told so again. */
  readonly isRetained?: true;
  /** The client is done with the message; only where somebody waits for that. */
  onDone?(): void;
}

/** Up to where the reader of a batch has everything. */
export interface BatchEnd {
  /** For who reads several channels, where that can be said at once. */
  readonly mark: string | undefined;
  /** By channel, the last place in it; none of a volatile channel. */
  readonly places: readonly Place[];
}

/** The end of a batch that moves no reader on. */
export const NO_END: BatchEnd = { mark: undefined, places: [] };

/** The end of a batch of these runs. */
export function endOf(runs: readonly Run[], mark: string | undefined): BatchEnd {
  const places = runs.flatMap(({ channel, epoch, messages, expired }): Place[] => {
    const offset = messages.at(-1)?.offset ?? expired?.to ?? 0;
    return epoch === '' ? [] : [{ channel, epoch, offset }];
  });
  return { mark, places };
}
