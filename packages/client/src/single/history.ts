/** History: a page of what is stored. */
import { CodedError } from '@trunkline/wire';
import type { Gap } from '@trunkline/wire';
import { toMessages } from '../encodings/exact.ts';
import { parseObject, toGap } from '../events.ts';
import type { ReceivedMessage } from '../events.ts';
import { addressOf, currentToken, networkError, refusalOf, textOf, tokenHeaders } from '../http.ts';
import type { TokenSource } from '../http.ts';
import { platformOf } from '../platform.ts';
import type { Platform } from '../platform.ts';

/** Which part to read; of `after`, `before` and `last` at most one. */
export interface HistoryOptions extends Partial<Platform> {
  readonly url: string;
  readonly channel: string;
  readonly after?: string;
  readonly before?: string;
  readonly last?: number;
  /** Messages in the page at most. */
  readonly limit?: number;
  readonly token?: TokenSource;
  readonly signal?: AbortSignal;
}

/** Messages in offset order, and where to read on. */
export interface HistoryPage {
  readonly messages: readonly ReceivedMessage[];
  readonly position: string;
  readonly oldest: string;
  readonly newest: string;
  readonly more: boolean;
  readonly gap?: Gap;
}

/** Reads a page of a channel's history. @throws {CodedError} */
export async function history(options: HistoryOptions): Promise<HistoryPage> {
  const { url, channel, after, before, last, limit, signal } = options;
  const query = { channel, after, before, last, limit };
  const address = addressOf(url, 'http', 'history', query);
  const token = await currentToken(options.token);
  try {
    const response = await platformOf(options).fetch(address, {
      headers: { accept: 'application/json', ...tokenHeaders(token) },
      ...(signal === undefined ? {} : { signal }),
    });
    if (response.status !== 200) throw await refusalOf(response);
    return toPage(await textOf(response));
  } catch (error) {
    throw networkError(error);
  }
}

function toPage(text: string): HistoryPage {
  const body = parseObject(text);
  const { position, oldest, newest, more } = body ?? {};
  if (
    body === undefined ||
    typeof position !== 'string' ||
    typeof oldest !== 'string' ||
    typeof newest !== 'string'
  ) {
    throw new CodedError('internal', `expected a page of history, got ${text.slice(0, 60)}`);
  }
  const gap = toGap(body['gap']);
  return {
    messages: toMessages(text),
    position,
    oldest,
    newest,
    more: more === true,
    ...(gap === undefined ? {} : { gap }),
  };
}
