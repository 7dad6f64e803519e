/** Poll answer: what it says, told to whoever reads. [POLL-3] */
import { isWildcard, parsePosition } from '@trunkline/wire';
import type { Frame } from '../encodings/encoding.ts';
import { asObject, toGap, toSnapshot } from '../events.ts';
import type { Read } from './http-reading.ts';
import { openingOf, tellGaps } from './opening.ts';
import type { AttemptSink } from './transport.ts';

/**
 * Tells an answer in order: what opens anew, what was lost, snapshots, messages, and where that
 * leads. A filter that lost something opens anew.
 *
 * @param isFirst true when everything opens with it.
 * @returns where to go on: the position of one channel alone; else a mark, where one can say it.
 * @throws {CodedError} when it is no such answer.
 */
export function tellAnswer(
  sink: AttemptSink,
  { wishes, keys, only, signal, places }: Read,
  { fields, messages = [], snapshotSources }: Frame,
  isFirst: boolean,
): string | undefined {
  const of = (member: string) => asObject(fields[member]) ?? {};
  const [positions, gaps] = [of('positions'), of('gaps')];
  const { mark } = fields;
  // Where each channel stands before its messages.
  const before = new Map(Object.entries(positions));
  for (const { channel, epoch, offset = 1 } of messages.toReversed()) {
    if (epoch !== undefined) before.set(channel, `${epoch}:${offset - 1}`);
  }
  // A name that is read from further back for a pattern begins later itself [POLL-10].
  const starts = new Map(Object.entries(of('starts')));
  for (const { key, filter } of wishes) {
    if (signal.aborted) return undefined;
    if (!isFirst && toGap(gaps[filter]) === undefined) continue;
    // A mark is where the messages lead: with some, patterns still stand where they did.
    const place = messages.length > 0 ? undefined : mark;
    const begin = starts.get(filter) ?? before.get(filter);
    const opening = openingOf(filter, fields, begin, place ?? places.get(filter));
    const { position, gap } = opening;
    // Whoever asked from a place still stands there: what is between was over.
    const isNew = gap !== undefined || parsePosition(places.get(filter) ?? '') === undefined;
    if (position !== undefined && isNew) places.set(filter, position);
    sink.onOpen(opening, key);
  }
  const begun = wishes.filter(({ after }) => !isFirst || after !== undefined);
  tellGaps(sink, gaps, before, begun, signal);
  for (const [channel, value] of Object.entries(of('snapshots'))) {
    const source = snapshotSources?.get(channel);
    const snapshot = toSnapshot({ ...asObject(value), channel }, source);
    if (snapshot !== undefined && !signal.aborted) sink.onSnapshot(snapshot);
  }
  for (const message of messages) {
    if (signal.aborted) return undefined;
    const { channel, epoch, offset } = message;
    if (epoch !== undefined && places.has(channel)) places.set(channel, `${epoch}:${offset}`);
    sink.onMessage(message, keys);
  }
  for (const { filter } of wishes) {
    const position = positions[filter];
    if (signal.aborted) return undefined;
    if (typeof position !== 'string' || places.get(filter) === position) continue;
    places.set(filter, position);
    sink.onExpired(filter, position); // [MSG-6]
  }
  const place = only === undefined ? mark : positions[only];
  if (typeof place !== 'string' || signal.aborted) return undefined;
  if (only === undefined) {
    for (const { filter } of wishes) if (isWildcard(filter)) places.set(filter, place);
    sink.onMark(keys, place);
  }
  return place;
}
