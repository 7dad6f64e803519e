/**
 * History: a page of what is stored. Each page is one read, so that its messages, its bounds and
 * its verdict are of one moment and one life of the stream. What has expired is left out, and the
 * page's position is after it [MSG-6].
 */
import type { After, Position } from '@trunkline/wire';
import type { Broker, ReadRange, StreamSlice } from '../broker/broker.ts';
import type { HistoryPage, HistoryRequest, Verdict } from './hub-types.ts';
import { withoutExpired } from './reading/expiry.ts';
import { judge } from './recovery.ts';

/** Payload bytes of one page; more is said by `more`. */
const PAGE_SIZE_MAX = 1024 * 1024;

/** No offset is as high. */
const EVERYTHING = Number.MAX_SAFE_INTEGER;

/** Reads of a page that goes back over messages that have all expired, and messages of each. */
const EXPIRED_READS_MAX = 16;
const EXPIRED_COUNT_MAX = 1_000;

/** Reads the page that was asked for. @throws {BrokerError} when the log can't be read. */
export async function readHistory(
  broker: Broker,
  channel: string,
  request: HistoryRequest,
  clock: { unixMs(): number },
): Promise<HistoryPage> {
  let page = await readPage(broker, channel, request);
  let messages = withoutExpired(page.messages, clock.unixMs());
  const { position } = page;
  // Who goes back goes on from the first message of a page: one without a message is no way back.
  for (let reads = 0; reads < EXPIRED_READS_MAX; reads += 1) {
    const [first] = page.messages;
    if (request.after !== undefined || messages.length > 0 || !page.more) break;
    if (first === undefined || page.epoch !== position.epoch) break;
    const before = { epoch: page.epoch, offset: first.offset };
    const further = { before: { kind: 'position', position: before } } as const;
    page = await readPage(broker, channel, { ...further, countMax: EXPIRED_COUNT_MAX });
    messages = withoutExpired(page.messages, clock.unixMs());
  }
  const { countMax, last = countMax } = request;
  const kept = messages.slice(-Math.min(countMax, last));
  if (kept.length === messages.length) return { ...page, messages, position };
  return { ...page, messages: kept, position, more: true };
}

async function readPage(
  broker: Broker,
  channel: string,
  request: HistoryRequest,
): Promise<HistoryPage> {
  const { after, before, last = EVERYTHING } = request;
  const limits = {
    countMax: Math.min(last, request.countMax),
    sizeMax: Math.min(request.sizeMax ?? PAGE_SIZE_MAX, PAGE_SIZE_MAX),
  };
  const read = (range: Pick<ReadRange, 'after' | 'before'>): Promise<StreamSlice> =>
    broker.read(channel, { ...limits, ...range });
  if (after !== undefined) return forwards(after, await read({ after: offsetOf(after) }));
  if (before === undefined) {
    const slice = await read({ after: 0, before: EVERYTHING });
    return backwards(slice, slice.top);
  }
  const slice = await read({ after: 0, before: offsetOf(before) });
  const verdict = judge({ after: before, partial: true }, slice);
  // What retention took was of this stream all the same: it has nothing before it.
  if (verdict.gap === undefined || verdict.gap.reason === 'trimmed') {
    const isPosition = before.kind === 'position';
    return backwards(slice, isPosition ? before.position.offset - 1 : verdict.position.offset);
  }
  return toPage({ ...slice, messages: [] }, verdict.position, false, verdict);
}

/** A page that begins after a place. */
function forwards(after: After, slice: StreamSlice): HistoryPage {
  const verdict = judge({ after, partial: true }, slice);
  // After a place of another life, or beyond the stream, there is nothing.
  const messages = slice.messages.filter(({ offset }) => offset > verdict.position.offset);
  const offset = messages.at(-1)?.offset ?? verdict.position.offset;
  const position = { epoch: slice.epoch, offset };
  return toPage({ ...slice, messages }, position, offset < slice.top, verdict);
}

/** A page that ends at `last`, its messages being the newest up to there. */
function backwards(slice: StreamSlice, last: number): HistoryPage {
  const first = slice.messages[0]?.offset ?? slice.oldest;
  const offset = slice.messages.at(-1)?.offset ?? Math.max(0, Math.min(last, slice.top));
  return toPage(slice, { epoch: slice.epoch, offset }, first > slice.oldest);
}

function toPage(
  { epoch, oldest, top, messages }: StreamSlice,
  position: Position,
  more: boolean,
  verdict?: Verdict,
): HistoryPage {
  return {
    messages,
    epoch,
    position,
    oldest: { epoch, offset: Math.min(oldest, top) },
    newest: { epoch, offset: top },
    more,
    ...(verdict?.gap === undefined ? {} : { gap: verdict.gap }),
  };
}

/** Where to read for a place, before it is known whether it is of this stream. */
function offsetOf(place: After): number {
  return place.kind === 'position' ? place.position.offset : 0;
}
