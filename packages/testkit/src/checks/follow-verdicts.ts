/** Verdicts of subscriptions to several channels: is what was said of a resume true? */
import { formatPosition, isMark, isWildcard, parsePosition } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { ChannelHead, FollowingEvent, FollowVerdict } from '../follow-history.ts';
import type { BrokenPromise } from '../history.ts';
import type { Following } from './session-state.ts';
import type { MarkEntry } from './marks.ts';
import { isFor } from './session-state.ts';
import type { EntryOf } from './starts.ts';
import type { Skip } from './skips.ts';
import { expectedVerdict } from './verdict.ts';
import type { ExpectedVerdict } from './verdict.ts';
import { exactly, isSameLife, positionIn, wordsFor } from './whereabouts.ts';
import type { Whereabouts } from './whereabouts.ts';

type Fail = (promise: BrokenPromise, text: string) => void;

/** An answer, and what is known beside it. */
export interface AnsweredSubscription {
  readonly following: Following;
  readonly event: FollowingEvent;
  readonly entryOf: EntryOf;
  readonly failer: (channel: string) => Fail;
  readonly purgesOf: (channel: string) => number;
  /** Offsets were passed over. */
  readonly onSkip: (skip: Skip) => void;
}

/** Checks what was said of each channel and pattern, against the log of each channel. */
export function checkVerdicts(answered: AnsweredSubscription): void {
  const { following, event, failer } = answered;
  for (const [filter, { after }] of following.starts) {
    const verdict = event.verdicts.get(filter) ?? {};
    const fail = failer(filter);
    const told = `resumed after ${after}`;
    // Where nothing is kept a place has no effect [VOL-1].
    const isVolatile = !isWildcard(filter) && !event.heads.has(filter);
    if (after === undefined || isVolatile) continue;
    const { recovered, gap } = verdict;
    if (recovered === undefined) fail(2, `${told} and was not told whether it recovered`);
    else if (!recovered && gap === undefined)
      fail(2, `${told}, lost something, and no gap says why`);
    else checkTruth(answered, filter, after, verdict);
  }
}

function checkTruth(
  { event, entryOf, failer, purgesOf, onSkip }: AnsweredSubscription,
  filter: string,
  after: string,
  { recovered, gap, position }: FollowVerdict,
): void {
  let isOwn = false;
  let isDoubtful = false;
  let mayLose = false;
  for (const [channel, head] of event.heads) {
    if (!isFor(filter, channel)) continue;
    const entry = isMark(after) ? entryOf(filter, after, channel) : undefined;
    isOwn ||= entry !== undefined;
    const asked = parsePosition(after);
    const where = asked === undefined ? entry?.where : exactly(asked);
    const fail = failer(channel);
    if (position !== undefined && recovered === true && where !== undefined) {
      const mutes = entry?.mutes ?? [];
      checkPlace({ where, life: entry?.life }, position, fail, (epoch, from, to) => {
        const skipped = { channel, epoch, from, to, mutes, sentMs: Infinity };
        onSkip({ ...skipped, asExpired: false, fail });
      });
    }
    const expected = isOfLife(entry, head) ? undefined : expectedOf(where, head);
    // A log may tell of a life that ended before the mark when the next one begins after it.
    const wasPurged = purgesOf(channel) > 0;
    if (expected === undefined || wasPurged) isDoubtful = true;
    else if (expected !== 'recovered') mayLose = true;
    // What the log has trimmed a node's memory may still have; the deliveries will show it.
    if (recovered === true && (expected === 'epoch' || expected === 'ahead')) {
      fail(2, `resumed at ${wordsFor(where)}: expected gap ${expected}, got recovered`);
    }
  }
  if (recovered !== false || gap?.reason === 'limit') return;
  if (isMark(after) && isOwn && gap?.reason === 'unknown') {
    failer(filter)(4, `a mark of this server is not known: ${after}`);
  } else if (!isDoubtful && !mayLose && (isOwn || parsePosition(after) !== undefined)) {
    failer(filter)(4, `resumed after ${after}, lost nothing, and was told gap ${gap?.reason}`);
  }
}

/**
 * A mark was turned into this position. One that may be from the beginning of a later life than its
 * reader was told of goes on there, if nothing is missing of either.
 */
function checkPlace(
  { where, life }: { readonly where: Whereabouts; readonly life: string | undefined },
  { epoch, offset }: Position,
  fail: Fail,
  onSkip: (epoch: string, from: number, to: number) => void,
): void {
  const told = `stood at ${wordsFor(where)} and goes on at ${formatPosition({ epoch, offset })}`;
  if (isSameLife(where, epoch)) {
    if (offset > where.to) onSkip(epoch, where.to + 1, offset);
    else if (offset < where.from) fail(3, told);
  } else if (life === epoch) {
    onSkip(where.epoch, where.to + 1, Infinity);
    onSkip(epoch, 1, offset);
  } else fail(2, told);
}

/** True for a mark that may be from the beginning of the life that the log still has. */
function isOfLife(entry: MarkEntry | undefined, { asked }: ChannelHead): boolean {
  const { life, where } = entry ?? {};
  return life === asked.epoch && where !== undefined && !isSameLife(where, life);
}

/** What a resume must be told, where the log says the same before and after. */
function expectedOf(
  where: Whereabouts | undefined,
  { asked, answered, comparable }: ChannelHead,
): ExpectedVerdict | undefined {
  const position = positionIn(where);
  if (position === undefined || !comparable || asked.epoch !== answered.epoch) return undefined;
  const text = formatPosition(position);
  const expected = expectedVerdict(text, asked);
  return expected === expectedVerdict(text, answered) ? expected : undefined;
}

/** A gap says where it goes on, and covers exactly what lies between. */
export function checkLoss(
  cursor: Whereabouts | undefined,
  gap: Gap,
  position: Position,
  fail: Fail,
): void {
  if (cursor === undefined) return;
  const told = `gap ${gap.reason} to ${formatPosition(position)} at ${wordsFor(cursor)}`;
  if (!isSameLife(cursor, position.epoch)) {
    // Who stands before the first message stands there in every life. And what lost all of another
    // one from its first message on says by itself which that is, as a message does.
    if (gap.reason !== 'epoch' && cursor.from > 0 && gap.from !== 1) {
      fail(2, `${told}: the epoch changed and the gap does not say so`);
    }
    return;
  }
  if (cursor.epoch !== position.epoch) return;
  if (position.offset < cursor.from) fail(3, `${told}: what was delivered would come again`);
  if (gap.to !== undefined && gap.to < position.offset) {
    fail(2, `${told}: it ends at ${gap.to} and leaves out what is after`);
  }
}
