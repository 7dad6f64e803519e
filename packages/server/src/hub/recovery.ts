/**
 * Recovery: the honest answer to "I have everything up to here" (promise 2).
 *
 * What the stream can't prove is a gap with a reason, never silence: an unknown, foreign, trimmed
 * or future position is not "caught up". This file is pure: no clock, no I/O.
 */
import { isOrigin } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { Start, Verdict } from './hub-types.ts';

/** What a verdict needs to know of a stream. */
export interface StreamBounds {
  /** `'0'` when there is no stream. */
  readonly epoch: string;
  /** Oldest retained offset; `top + 1` when none is. */
  readonly oldest: number;
  /** Newest offset ever given. */
  readonly top: number;
}

/**
 * Judges where a subscription or read begins. A mark must have become a position before.
 *
 * @param resumeCountMax the most messages one resume may carry; more is a gap `limit`.
 */
export function judge(start: Start, stream: StreamBounds, resumeCountMax = Infinity): Verdict {
  const { after } = start;
  const top = at(stream, stream.top);
  if (after === undefined) {
    if (start.last === undefined) return { position: top };
    const from = Math.max(stream.oldest - 1, stream.top - Math.min(start.last, resumeCountMax));
    return { position: at(stream, Math.min(from, stream.top)) };
  }
  if (after.kind === 'start') {
    const oldest = { epoch: stream.epoch, offset: stream.oldest - 1 };
    return judgePosition(oldest, stream, start.partial === true, resumeCountMax);
  }
  if (after.kind !== 'position') return lost({ reason: 'unknown' }, top);
  const asked = isOrigin(after.position) ? { epoch: stream.epoch, offset: 0 } : after.position;
  return judgePosition(asked, stream, start.partial === true, resumeCountMax);
}

/**
 * What a start is to be judged by that was found out with the help of the log: what the log had
 * removed by then is lost, though memory may still have it. A place that it does not know any more
 * is told as one from before that, and what the reader has might be given again.
 *
 * @param known what the log had when it was asked.
 */
export function boundedBy(bounds: StreamBounds, known: StreamBounds | undefined): StreamBounds {
  if (known?.epoch !== bounds.epoch) return bounds;
  const oldest = Math.min(known.oldest, bounds.top + 1);
  return oldest > bounds.oldest ? { ...bounds, oldest } : bounds;
}

function judgePosition(
  asked: Position,
  stream: StreamBounds,
  partial: boolean,
  resumeCountMax: number,
): Verdict {
  const top = at(stream, stream.top);
  if (asked.epoch !== stream.epoch) return lost({ reason: 'epoch' }, top);
  if (asked.offset > stream.top) return lost({ reason: 'ahead' }, top);
  const from = asked.offset + 1;
  if (from < stream.oldest) {
    const goOn = partial ? stream.oldest - 1 : stream.top;
    return lost({ reason: 'trimmed', from, to: goOn }, at(stream, goOn));
  }
  if (stream.top - asked.offset > resumeCountMax) {
    const goOn = partial ? stream.top - resumeCountMax : stream.top;
    return lost({ reason: 'limit', from, to: goOn }, at(stream, goOn));
  }
  return { position: asked, recovered: true };
}

function lost(gap: Gap, position: Position): Verdict {
  return { position, recovered: false, gap };
}

function at(stream: StreamBounds, offset: number): Position {
  return { epoch: stream.epoch, offset };
}

/**
 * What a cursor that is already subscribed lost, if the stream no longer continues after its
 * position: it goes on at the oldest retained message. `undefined` when nothing is lost.
 */
export function lossOf(cursor: Position, stream: StreamBounds): Loss | undefined {
  if (isOrigin(cursor) || cursor.epoch === stream.epoch) {
    if (cursor.offset > stream.top)
      return { gap: { reason: 'ahead' }, position: at(stream, stream.top) };
    if (cursor.offset + 1 >= stream.oldest) return undefined;
    const goOn = stream.oldest - 1;
    const gap: Gap = { reason: 'trimmed', from: cursor.offset + 1, to: goOn };
    return { gap, position: at(stream, goOn) };
  }
  return { gap: { reason: 'epoch' }, position: at(stream, stream.oldest - 1) };
}

/** What a live subscription is told when it lost messages. */
export interface Loss {
  readonly gap: Gap;
  /** Where it goes on. */
  readonly position: Position;
}
