/** History: what a channel keeps, page by page, backwards from the newest or forwards. */
import { CodedError, isOrigin, parsePosition } from '@trunkline/wire';
import type { Gap } from '@trunkline/wire';
import type { Frame } from '../encodings/encoding.ts';
import { toGap } from '../events.ts';
import type { ReceivedMessage } from '../events.ts';
import type { Features } from '../features.ts';
import type { Ask } from '../transports/transport.ts';
import { GapError } from './gap-error.ts';

/** Which part to read; of `after`, `before` and `last` at most one. Absent: the newest page. */
export interface HistoryOptions {
  /** Forwards from this position, or from `start`. */
  readonly after?: string | undefined;
  /** Backwards from this position, whose own message is not on the page. */
  readonly before?: string | undefined;
  /** Backwards from the newest; iterating ends after so many messages. */
  readonly last?: number | undefined;
  /** Messages on a page, at most 1,000; 100 when absent. */
  readonly limit?: number | undefined;
  /** Ends the reading: what is under way is rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A message whose payload the application knows the type of. */
export type HistoryMessage<T> = Omit<ReceivedMessage, 'data'> & { readonly data: T };

/**
 * Some of what a channel keeps. Iterating gives the messages of this page and of all that follow, in
 * the direction of the reading: with `after` in the order of their offsets, else the newest first.
 * It throws a {@link GapError} where messages are missing, before it gives what is behind the hole.
 */
export interface HistoryPage<T> extends AsyncIterable<HistoryMessage<T>> {
  /** In offset order, whatever the direction. */
  readonly messages: readonly HistoryMessage<T>[];
  /** After the messages: a subscription may go on from here. */
  readonly position: string;
  /** The oldest and newest message that is kept. */
  readonly oldest: string;
  readonly newest: string;
  /** There are more in the direction of the reading. */
  readonly more: boolean;
  /** Why the page does not begin at the place asked for. */
  readonly gap?: Gap;
  /** Reads on in the same direction; `undefined` when there is no more. @throws {CodedError} */
  next(): Promise<HistoryPage<T> | undefined>;
}

/** Asks over whatever the connection goes. */
export type Requester = (ask: Ask) => Promise<Frame>;

/** Messages on one page; the server refuses more. */
const LIMIT_MAX = 1000;

/**
 * Reads a page of a channel's history.
 *
 * @param convert makes of a message what the application is given, e.g. by checking its payload.
 * @throws {CodedError}
 */
export async function readHistory<T>(
  request: Requester,
  channel: string,
  options: HistoryOptions = {},
  convert: (message: ReceivedMessage) => HistoryMessage<T> | Promise<HistoryMessage<T>> = asIs,
): Promise<HistoryPage<T>> {
  const { after, before, last, signal } = options;
  const limit = options.limit ?? (last && Math.min(last, LIMIT_MAX));
  signal?.throwIfAborted();
  const query = { after, before, last, ...(limit !== 0 && { limit }) };
  const asked = request({ kind: 'history', channel, query });
  const { fields, messages: received = [] } = await unlessAborted(asked, signal);
  const { position, oldest, newest } = fields;
  if (typeof position !== 'string' || typeof oldest !== 'string' || typeof newest !== 'string') {
    throw new CodedError('internal', `expected a page of the history of ${channel}`);
  }
  const isForwards = after !== undefined;
  const gap = toGap(fields['gap']);
  const messages = await Promise.all(received.map(async (one) => convert(one)));
  const page: HistoryPage<T> = {
    ...{ messages, position, oldest, newest },
    more: fields['more'] === true,
    ...(gap && { gap }),
    async next() {
      if (!page.more) return undefined;
      const [first] = messages;
      const place = isForwards ? position : `${first?.epoch}:${first?.offset}`;
      if (!isFurther(place, after ?? before, isForwards, gap)) {
        throw new CodedError('internal', `the history of ${channel} stands still at ${place}`);
      }
      const further = { [isForwards ? 'after' : 'before']: place, limit, signal };
      return readHistory(request, channel, further, convert);
    },
    async *[Symbol.asyncIterator]() {
      let left = last ?? Infinity;
      for (let at: HistoryPage<T> | undefined = page; at && left > 0; at = await at.next()) {
        if (at.gap)
          throw new GapError({ kind: 'gap', channel, gap: at.gap, position: at.position });
        for (const message of isForwards ? at.messages : [...at.messages].reverse()) {
          yield message;
          left -= 1;
          if (left === 0) return;
        }
      }
    },
  };
  return page;
}

function asIs<T>(message: ReceivedMessage): HistoryMessage<T> {
  return message as HistoryMessage<T>;
}

/** True when a page that begins at `to` is another one, so that reading on comes to an end. */
function isFurther(to: string, from = '', isForwards: boolean, gap?: Gap): boolean {
  const next = parsePosition(to);
  const asked = parsePosition(from);
  if (next === undefined || to === from) return false;
  // Another life of the channel is no way on, unless the page said so.
  if (asked === undefined || isOrigin(asked) || gap) return true;
  return next.epoch === asked.epoch && next.offset > asked.offset === isForwards;
}

/** The promise, or what the signal says if that comes first. */
async function unlessAborted<R>(promise: Promise<R>, signal: AbortSignal | undefined): Promise<R> {
  if (signal === undefined) return promise;
  let abort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', abort);
  });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', abort));
}

/** The feature: `channel.history()`. */
export const history: NonNullable<Features['history']> = readHistory;
