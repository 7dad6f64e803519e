/** The calls of the HTTP API that the page makes. None rejects: what went wrong is an answer. */
import { parsePosition } from '@trunkline/wire';
import type { HistoryFields, Position, WireMessage } from '@trunkline/wire';

/** How long an answer may take. */
const ANSWER_MS_MAX = 10_000;

/** An answer, or why there is none, in words for people. */
export type Result<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: string };

/** What to publish, as it was typed. */
export interface Publication {
  readonly channel: string;
  readonly payload: string;
  readonly kind: 'json' | 'text';
  readonly event?: string;
}

/** A page of history. */
export interface HistoryPage {
  /** Oldest first. */
  readonly messages: readonly WireMessage[];
  readonly oldest: Position | undefined;
  readonly newest: Position | undefined;
}

/**
 * The body of `POST /v1/publish`. JSON is embedded as typed, not parsed and written again, so that
 * large numbers stay what they are.
 *
 * @throws {SyntaxError} when the payload should be JSON and is not.
 */
export function publishBody({ channel, payload, kind, event }: Publication): string {
  if (kind === 'json') JSON.parse(payload);
  const data = kind === 'json' ? payload : JSON.stringify(payload);
  const type = kind === 'json' ? '' : ',"contentType":"text/plain"';
  const name = event === undefined ? '' : `,"event":${JSON.stringify(event)}`;
  return `{"channel":${JSON.stringify(channel)},"data":${data}${type}${name}}`;
}

/** Publishes one message; answers the position it got. */
export async function publish(
  publication: Publication,
  token: string | undefined,
): Promise<Result<string>> {
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
  const position = field(answer.value, 'position');
  return typeof position === 'string'
    ? { ok: true, value: position }
    : { ok: false, reason: 'The server answered without a position' };
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
    const detail = field(body, 'detail') ?? field(body, 'title');
    const status = `the server answered ${String(response.status)}`;
    return { ok: false, reason: typeof detail === 'string' ? detail : status };
  } catch {
    return { ok: false, reason: 'The server cannot be reached' };
  }
}

function field(body: unknown, name: string): unknown {
  if (typeof body !== 'object' || body === null) return undefined;
  return (body as Readonly<Record<string, unknown>>)[name];
}
