/** One question to `/v1/poll`. */
import { BINARY_MEDIA_TYPE, decodeServerRecords, isWildcard } from '@trunkline/wire';
import type { Gap, WireMessage } from '@trunkline/wire';
import { isMany } from '../filters.ts';
import type { Attempt, Beginning, Carrier, LineMessage, LineSnapshot } from './line.ts';
import {
  beginningOf,
  entryOf,
  fromBinary,
  gapOf,
  parseJson,
  toLineMessage,
  toSnapshot,
} from './read.ts';
import { refusalOf, UNREACHABLE } from './refusal.ts';
import type { Refusal } from './refusal.ts';

/** What is allowed beyond the time that the server may wait. */
const ANSWER_MS_MAX = 10_000;

/** One question. */
export interface Question {
  /** How long the server may wait for something to tell; 0 for a short poll. */
  readonly waitSeconds: number;
  /** Sent as `If-None-Match`, so that an answer without news is a 304 without a body. */
  readonly etag?: string | undefined;
  /** Asks for the snapshots of channels that are named, where a resume needs them [POLL-8]. */
  readonly isFirst: boolean;
  /** The word under which presence lists this reader [PRES-11]. */
  readonly session?: string | undefined;
  readonly signal: AbortSignal;
}

/** What the server has to tell. */
export interface News {
  readonly kind: 'news';
  readonly messages: readonly LineMessage[];
  readonly snapshots: readonly LineSnapshot[];
  /** For each filter where it stood before the messages, and what was lost. */
  readonly beginnings: readonly Beginning[];
  /** What was lost in channels that a pattern brought. */
  readonly losses: readonly {
    readonly channel: string;
    readonly gap: Gap;
    readonly position: string;
  }[];
  /** For each channel that was named: the position after the messages. */
  readonly positions: ReadonlyMap<string, string>;
  /** After the messages of all channels. */
  readonly mark: string | undefined;
  readonly more: boolean;
  readonly etag: string | undefined;
  readonly session: string | undefined;
  readonly size: number;
  readonly carrier: Carrier;
}

/** What came of a question. */
export type Answer = News | { readonly kind: 'unchanged' } | Refusal;

/** What of an attempt a question needs. */
export type Asking = Pick<
  Attempt,
  'server' | 'filters' | 'token' | 'encoding' | 'takesPart' | 'after'
>;

/** Asks once. Never rejects: an abort is `lost` too, and nobody listens to that any more. */
export async function ask(attempt: Asking, question: Question): Promise<Answer> {
  const { waitSeconds, signal } = question;
  const deadline = AbortSignal.timeout(waitSeconds * 1_000 + ANSWER_MS_MAX);
  try {
    const response = await fetch(urlOf(attempt, question), {
      headers: headersOf(attempt, question),
      // The browser's own cache would answer a 304 as a 200 and hide what polling costs.
      cache: 'no-store',
      signal: AbortSignal.any([signal, deadline]),
    });
    if (response.status === 304) return { kind: 'unchanged' };
    return response.ok ? await read(attempt.filters, response) : await refusalOf(response);
  } catch {
    return UNREACHABLE;
  }
}

function urlOf(attempt: Asking, { waitSeconds, session, isFirst }: Question): URL {
  const url = new URL('/v1/poll', attempt.server);
  const { searchParams } = url;
  for (const filter of attempt.filters) searchParams.append('channel', filter);
  const after = attempt.after();
  if (after !== undefined) searchParams.set('after', after);
  if (isFirst) searchParams.set('snapshot', '1');
  if (waitSeconds > 0) searchParams.set('wait', String(waitSeconds));
  if (attempt.takesPart) searchParams.set('presence', '1');
  if (attempt.takesPart && session !== undefined) searchParams.set('session', session);
  return url;
}

function headersOf({ token, encoding }: Asking, { etag }: Question): Headers {
  const headers = new Headers();
  if (encoding === 'binary') headers.set('accept', `${BINARY_MEDIA_TYPE}, application/json;q=0.5`);
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
  if (etag !== undefined) headers.set('if-none-match', etag);
  return headers;
}

async function read(filters: readonly string[], response: Response): Promise<Answer> {
  const body = new Uint8Array(await response.arrayBuffer());
  const isBinary = response.headers.get('content-type')?.startsWith(BINARY_MEDIA_TYPE) ?? false;
  const { told, messages } = isBinary ? readBinary(body) : readText(body);
  if (typeof told !== 'object' || told === null) {
    return { kind: 'lost', reason: 'the answer to the poll cannot be read', retryAfterMs: 0 };
  }
  const mark = textIn(told, 'mark');
  const positions = new Map<string, string>();
  for (const filter of filters) {
    const position = textIn(entryOf(told, 'positions'), filter);
    if (position !== undefined) positions.set(filter, position);
  }
  return {
    kind: 'news',
    messages,
    snapshots: snapshotsIn(told),
    beginnings: filters.map((filter) =>
      beginningOf(filter, told, before(filter, messages, positions.get(filter), mark)),
    ),
    losses: lossesIn(told, filters, messages),
    positions,
    mark: isMany(filters) ? mark : undefined,
    more: entryOf(told, 'more') === true,
    etag: response.headers.get('etag') ?? undefined,
    session: textIn(told, 'session'),
    size: body.length,
    carrier: {
      encoding: isBinary ? 'binary' : 'json',
      compression: response.headers.get('content-encoding') ?? '',
    },
  };
}

function readText(body: Uint8Array): { told: unknown; messages: readonly LineMessage[] } {
  const told = parseJson(new TextDecoder().decode(body));
  const messages = entryOf(told, 'messages');
  return { told, messages: Array.isArray(messages) ? messages.map(toMessage) : [] };
}

function toMessage(message: WireMessage): LineMessage {
  return toLineMessage(message);
}

function readBinary(body: Uint8Array): { told: unknown; messages: readonly LineMessage[] } {
  const [page] = decodeServerRecords(body);
  if (page?.kind !== 'page') return { told: undefined, messages: [] };
  return { told: parseJson(page.json), messages: page.messages.map(fromBinary) };
}

/** A poll tells the place after its messages; a beginning speaks of the one before them. */
function before(
  filter: string,
  messages: readonly LineMessage[],
  position: string | undefined,
  mark: string | undefined,
): string | undefined {
  if (isWildcard(filter)) return mark;
  const first = messages.find(({ channel }) => channel === filter)?.position;
  return first === undefined ? position : `${first.epoch}:${String(first.offset - 1)}`;
}

function snapshotsIn(told: object): LineSnapshot[] {
  const snapshots = entryOf(told, 'snapshots');
  if (typeof snapshots !== 'object' || snapshots === null) return [];
  return Object.entries(snapshots).map(([channel, one]) => toSnapshot(channel, one));
}

function lossesIn(
  told: object,
  filters: readonly string[],
  messages: readonly LineMessage[],
): News['losses'] {
  const gaps = entryOf(told, 'gaps');
  if (typeof gaps !== 'object' || gaps === null) return [];
  return Object.entries(gaps).flatMap(([channel, value]) => {
    const gap = gapOf(value);
    if (gap === undefined || filters.includes(channel)) return [];
    const end = textIn(entryOf(told, 'positions'), channel);
    return [{ channel, gap, position: before(channel, messages, end, undefined) ?? '' }];
  });
}

function textIn(record: unknown, name: string): string | undefined {
  const value = entryOf(record, name);
  return typeof value === 'string' ? value : undefined;
}
