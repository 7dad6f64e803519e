/** One question to `/v1/poll`: what long and short polling have in common. */
import type { Gap, Position, WireMessage } from '@trunkline/wire';
import type { Attempt, LineMessage, Verdict } from './line.ts';
import { entryOf, gapOf, isTemporary, positionOf, toLineMessage, toVerdict } from './read.ts';

/** What is allowed beyond the time that the server may wait. */
const ANSWER_MS_MAX = 10_000;

/** One question. */
export interface Question {
  readonly after: string | undefined;
  /** How long the server may wait for something to tell; 0 for a short poll. */
  readonly waitSeconds: number;
  /** Sent as `If-None-Match`, so that an answer without news is a 304 without a body. */
  readonly etag?: string | undefined;
  readonly signal: AbortSignal;
}

/** What came of a question. */
export type Answer =
  | {
      readonly kind: 'news';
      readonly messages: readonly LineMessage[];
      readonly verdict: Verdict;
      readonly gap: Gap | undefined;
      /** After the messages. */
      readonly position: Position | undefined;
      readonly more: boolean;
      readonly etag: string | undefined;
    }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'lost'; readonly reason: string; readonly retryAfterMs: number }
  | { readonly kind: 'refused'; readonly reason: string };

/** Asks once. Never rejects: an abort is `lost` too, and nobody listens to that any more. */
export async function ask(
  attempt: Pick<Attempt, 'server' | 'channel' | 'token'>,
  question: Question,
): Promise<Answer> {
  const url = new URL('/v1/poll', attempt.server);
  url.searchParams.set('channel', attempt.channel);
  if (question.after !== undefined) url.searchParams.set('after', question.after);
  if (question.waitSeconds > 0) url.searchParams.set('wait', String(question.waitSeconds));
  const headers = new Headers();
  if (attempt.token !== undefined) headers.set('authorization', `Bearer ${attempt.token}`);
  if (question.etag !== undefined) headers.set('if-none-match', question.etag);
  const deadline = AbortSignal.timeout(question.waitSeconds * 1_000 + ANSWER_MS_MAX);
  try {
    const response = await fetch(url, {
      headers,
      // The browser's own cache would answer a 304 as a 200 and hide what polling costs.
      cache: 'no-store',
      signal: AbortSignal.any([question.signal, deadline]),
    });
    if (response.status === 304) return { kind: 'unchanged' };
    const body: unknown = await response.json().catch(() => undefined);
    if (response.ok) return read(attempt.channel, question.after, body, response.headers);
    return failure(response, body);
  } catch {
    return { kind: 'lost', reason: 'the server cannot be reached', retryAfterMs: 0 };
  }
}

function read(channel: string, after: string | undefined, body: unknown, headers: Headers): Answer {
  if (typeof body !== 'object' || body === null) {
    return { kind: 'lost', reason: 'the answer to the poll is not JSON', retryAfterMs: 0 };
  }
  const answer = body as {
    readonly messages?: readonly WireMessage[];
    readonly positions?: unknown;
    readonly recovered?: unknown;
    readonly gaps?: unknown;
    readonly more?: unknown;
  };
  const messages = (answer.messages ?? []).map(toLineMessage);
  const position = positionOf(entryOf(answer.positions, channel));
  const gap = gapOf(entryOf(answer.gaps, channel));
  return {
    kind: 'news',
    messages,
    verdict: toVerdict(
      after,
      before(messages, position),
      entryOf(answer.recovered, channel) === true,
      gap,
    ),
    gap,
    position,
    more: answer.more === true,
    etag: headers.get('etag') ?? undefined,
  };
}

/** A poll tells the position after its messages; a verdict speaks of the place before them. */
function before(
  messages: readonly LineMessage[],
  position: Position | undefined,
): Position | undefined {
  const first = messages[0]?.position;
  return first === undefined ? position : { epoch: first.epoch, offset: first.offset - 1 };
}

function failure(response: Response, body: unknown): Answer {
  const problem = typeof body === 'object' && body !== null ? body : {};
  const code = 'code' in problem ? problem.code : undefined;
  const detail = 'detail' in problem ? problem.detail : undefined;
  const reason =
    typeof detail === 'string' ? detail : `the server answered ${String(response.status)}`;
  const final = code === undefined ? isFinal(response.status) : !isTemporary(code);
  if (final) return { kind: 'refused', reason };
  // RFC 9110 §10.2.3: seconds here; a date counts as none.
  const seconds = Number(response.headers.get('retry-after') ?? 0);
  return { kind: 'lost', reason, retryAfterMs: Number.isFinite(seconds) ? seconds * 1_000 : 0 };
}

/** What a proxy between may answer without a code: 408, 425 and 429 ask to come again. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429;
}
