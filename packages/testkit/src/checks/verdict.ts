/** Verdict: what a resume must be answered, as a function of the position and the log alone. */
import { isOrigin, ORIGIN, parseAfter } from '@trunkline/wire';
import type { StreamState } from '../history.ts';

/** `recovered`, or the reason of the gap. */
export type ExpectedVerdict = 'recovered' | 'epoch' | 'trimmed' | 'ahead' | 'unknown';

/** `undefined` where a position is not all that decides (marks, `start`). */
export function expectedVerdict(text: string, stream: StreamState): ExpectedVerdict | undefined {
  const after = parseAfter(text);
  if (after.kind === 'unknown') return 'unknown';
  if (after.kind !== 'position') return undefined;
  const { epoch, offset } = after.position;
  if (!isOrigin(after.position)) {
    // Between two lives a node may still go by the one that ended: there is nothing to miss yet.
    if (stream.epoch === ORIGIN.epoch) return undefined;
    if (epoch !== stream.epoch) return 'epoch';
    if (offset > stream.top) return 'ahead';
  }
  return offset < stream.oldest - 1 ? 'trimmed' : 'recovered';
}
