/** The calls of the HTTP API that the page makes. None rejects: what went wrong is an answer. */
import { parsePosition } from '@trunkline/wire';
import type { HistoryFields, MemberPage, Position, WireMessage } from '@trunkline/wire';
import type { Hole } from './ledger.ts';
import { entryOf } from './lines/read.ts';

/** How long an answer may take. */
const ANSWER_MS_MAX = 10_000;

/** Messages that one page of history has at most [HIST-1]. */
const HISTORY_MAX = 1_000;

/** An answer, or why there is none, in words for people. */
export type Result<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: string };

/** What to publish, as it was typed. */
export interface Publication {
  readonly channel: string;
  readonly payload: string;
  /** The payload of `bytes` is typed as base64. */
  readonly kind: 'json' | 'text' | 'bytes';
  readonly event?: string;
  readonly key?: string;
  readonly slot?: string;
  /** Milliseconds. */
  readonly ttl?: number;
  readonly retain?: boolean;
}

/** A page of history. */
export interface HistoryPage {
  /** Oldest first. */
  readonly messages: readonly WireMessage[];
  readonly oldest: Position | undefined;
  readonly newest: Position | undefined;
}

/** What is retained in the channels of a pattern, as far as one page goes. */
export interface RetainedPage {
  readonly messages: readonly WireMessage[];
  readonly more: boolean;
}

/**
 * The body of `POST /v1/publish`. JSON is embedded as typed, not parsed and written again, so that
 * large numbers stay what they are.
 *
 * @throws {SyntaxError} when the payload should be JSON and is not.
 */
export function publishBody(publication: Publication): string {
  const { channel, payload, kind, event, key, slot, ttl, retain } = publication;
  if (kind === 'json') JSON.parse(payload);
  const rest = JSON.stringify({
    channel,
    ...(kind === 'text' ? { data: payload, contentType: 'text/plain' } : {}),
    ...(kind === 'bytes' ? { bytes: payload } : {}),
    ...{ event, key, slot, ttl, retain },
  });
  return kind === 'json' ? `${rest.slice(0, -1)},"data":${payload}}` : rest;
}

/** Publishes one message; answers the position it got, or none where nothing is kept. */
export async function publish(
  publication: Publication,
  token: string | undefined,
): Promise<Result<string | undefined>> {
  let body: string;
  try {
    body = publishBody(publication);
  } catch (error) {
    const detail = error instanceof Error ? error.message : 'no JSON';
    return { ok: false, reason: `The payload is not JSON: ${detail}` };
  }
  const answer = await call('/v1/publish', token, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  if (!answer.ok) return answer;
  const position = entryOf(answer.value, 'position');
  if (typeof position === 'string') return { ok: true, value: position };
  if (entryOf(answer.value, 'volatile') === true) return { ok: true, value: undefined };
  return { ok: false, reason: 'The server answered without a position' };
}

/** Reads the newest messages of a channel, or those before a position. */
export async function history(
  channel: string,
  before: Position | undefined,
  limit: number,
  token: string | undefined,
): Promise<Result<HistoryPage>> {
  const query = new URLSearchParams({ channel, limit: String(limit) });
  if (before === undefined) query.set('last', String(limit));
  else query.set('before', `${before.epoch}:${String(before.offset)}`);
  const answer = await call(`/v1/history?${query.toString()}`, token);
  if (!answer.ok) return answer;
  const fields = answer.value as Partial<HistoryFields>;
  return {
    ok: true,
    value: {
      messages: fields.messages ?? [],
      oldest: parsePosition(String(fields.oldest)),
      newest: parsePosition(String(fields.newest)),
    },
  };
}

/** How many messages of a hole the log has; `undefined` when it can't be told now. */
export async function keptOf(hole: Hole, token: string | undefined): Promise<number | undefined> {
  const { channel, epoch, from, to } = hole;
  const size = to - from + 1;
  if (size > HISTORY_MAX) return size; // More than a page: counted, not looked for.
  const after = `${epoch}:${String(from - 1)}`;
  const query = new URLSearchParams({ channel, after, limit: String(size) });
  const answer = await call(`/v1/history?${query.toString()}`, token);
  if (!answer.ok) return undefined;
  const { messages = [], gap } = answer.value as Partial<HistoryFields>;
  if (gap !== undefined) return size; // Nothing proves that they had expired.
  return messages.filter(({ offset = 0 }) => offset <= to).length;
}

/** The retained messages of the channels that a pattern matches, in the order of their names. */
export async function retained(
  filter: string,
  limit: number,
  token: string | undefined,
): Promise<Result<RetainedPage>> {
  const query = new URLSearchParams({ channel: filter, limit: String(limit) });
  const answer = await call(`/v1/retained?${query.toString()}`, token);
  if (!answer.ok) return answer;
  const { messages = [], more } = answer.value as {
    readonly messages?: readonly WireMessage[];
    readonly more?: unknown;
  };
  return { ok: true, value: { messages, more: more === true } };
}

/** A page of who is in a channel. */
export async function members(
  channel: string,
  after: string | undefined,
  limit: number,
  token: string | undefined,
): Promise<Result<MemberPage>> {
  const query = new URLSearchParams({ channel, limit: String(limit) });
  if (after !== undefined) query.set('after', after);
  const answer = await call(`/v1/presence?${query.toString()}`, token);
  if (!answer.ok) return answer;
  const { members: found = [], count = 0, next } = answer.value as Partial<MemberPage>;
  const rest = typeof next === 'string' ? { next } : {};
  return { ok: true, value: { members: found, count, ...rest } };
}

async function call(
  path: string,
  token: string | undefined,
  init: RequestInit = {},
): Promise<Result<object>> {
  const headers = new Headers(init.headers);
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
  try {
    const response = await fetch(path, {
      ...init,
      headers,
      cache: 'no-store',
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const body: unknown = await response.json().catch(() => undefined);
    if (response.ok && typeof body === 'object' && body !== null) return { ok: true, value: body };
    return { ok: false, reason: problemText(response.status, body) };
  } catch {
    return { ok: false, reason: 'The server cannot be reached' };
  }
}

/** `forbidden: a token is needed …`: the code to look up, and the sentence. */
function problemText(status: number, body: unknown): string {
  const code = entryOf(body, 'code');
  const detail = entryOf(body, 'detail') ?? entryOf(body, 'title');
  if (typeof detail !== 'string') return `the server answered ${String(status)}`;
  return typeof code === 'string' ? `${code}: ${detail}` : detail;
}
