/**
 * News: the answer to a poll from what one turn brought while it waited. Nothing is read for it,
 * and all who waited for the same are given the same arrays.
 */
import type { Position } from '@trunkline/wire';
import type { ChannelRead } from '../hub-types.ts';
import type { ChannelNews, SelectionNews } from '../selection/selection-news.ts';
import { emptyRoom, isFull, take } from './room.ts';
import { placeAfter } from './sweep.ts';
import type { Cut, Sweep } from './sweep.ts';
import type { ReadState, Round } from './types.ts';

/**
 * What a reader that has everything up to the place of its last round is told.
 *
 * @returns `undefined` where only the log can tell, or where there is nothing to tell.
 */
export function answerNews(
  { countMax }: ReadState,
  last: Round,
  news: SelectionNews,
  nowMs: number,
): Round | undefined {
  const { channels: brought, place } = news;
  if (brought === undefined || !isPlain(last.place) || !isPlain(place)) return undefined;
  const ends = new Map(last.channels.map(({ channel, end }) => [channel, end]));
  if (!brought.every((one) => isNext(one, ends.get(one.channel)))) return undefined;
  const room = emptyRoom(countMax);
  const reads = new Map<string, ChannelRead>();
  const names = brought.map(({ channel }) => channel);
  let cut: Cut | undefined;
  for (const [index, { channel, before, messages, size }] of brought.entries()) {
    const done = names[index - 1] ?? '';
    if (isFull(room)) {
      cut = { done, left: names.slice(index) };
      break;
    }
    const top = before.offset + messages.length;
    const taken = take({ messages, last: top, size }, room, nowMs);
    const end: Position = { epoch: before.epoch, offset: taken.end };
    reads.set(channel, { channel, position: before, messages: taken.messages, end, more: false });
    if (taken.end < top) {
      cut = { done, partly: { channel, position: end }, left: names.slice(index + 1) };
      break;
    }
  }
  const isEmpty = [...reads.values()].every(({ messages }) => messages.length === 0);
  if (isEmpty && brought.length > 0) return undefined;
  const sweep: Sweep = {
    from: { kind: 'mark', mark: last.place.mark },
    after: '',
    behind: new Map(),
  };
  return {
    channels: withNames(last, reads, cut),
    patterns: last.patterns,
    place: placeAfter(place.mark, new Map(), sweep, cut),
    isLate: false,
    isCut: cut !== undefined,
  };
}

/** The names of the last round with what they brought, then what was found. */
function withNames(
  { channels }: Round,
  reads: Map<string, ChannelRead>,
  cut: Cut | undefined,
): readonly ChannelRead[] {
  const left = new Set([...(cut?.left ?? []), cut?.partly?.channel]);
  const named = channels.map((before): ChannelRead => {
    const { channel } = before;
    const read = reads.get(channel);
    reads.delete(channel);
    return { ...before, ...read, more: left.has(channel) };
  });
  const found = [...reads.values()].filter(({ messages }) => messages.length > 0);
  return [...named, ...found.map((read): ChannelRead => ({ ...read, isFound: true }))];
}

/** True for what follows where a name stands; of what patterns found nothing was said. */
function isNext({ before }: ChannelNews, end: Position | undefined): boolean {
  if (end === undefined || (end.epoch === '0' && end.offset === 0 && before.offset === 0))
    return true;
  return end.epoch === before.epoch && end.offset === before.offset;
}

function isPlain({ behind, rest }: Round['place']): boolean {
  return behind.size === 0 && rest === undefined;
}
