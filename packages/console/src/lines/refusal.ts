/** Refusals: what an answer that is not good means for a line. */
import { CODES } from '@trunkline/wire';
import { entryOf, isTemporary, parseJson } from './read.ts';

/** What came instead of what was asked for. */
export type Refusal =
  | { readonly kind: 'lost'; readonly reason: string; readonly retryAfterMs: number }
  | { readonly kind: 'refused'; readonly reason: string };

/** Nothing came at all. */
export const UNREACHABLE: Refusal = {
  kind: 'lost',
  reason: 'the server cannot be reached',
  retryAfterMs: 0,
};

/** Reads an answer with another status than the one hoped for. Never rejects. */
export async function refusalOf(response: Response): Promise<Refusal> {
  const problem = parseJson(await response.text().catch(() => ''));
  const code = entryOf(problem, 'code');
  const detail = entryOf(problem, 'detail');
  const status = `the server answered ${String(response.status)}`;
  const reason = typeof detail === 'string' ? detail : status;
  const isFinal = code === undefined ? isFinalStatus(response.status) : !isTemporary(code);
  if (isFinal) return { kind: 'refused', reason };
  // RFC 9110 §10.2.3: seconds here; a date counts as none.
  const seconds = Number(response.headers.get('retry-after') ?? 0);
  return { kind: 'lost', reason, retryAfterMs: Number.isFinite(seconds) ? seconds * 1_000 : 0 };
}

/** What a proxy between may answer without a code: 408, 425 and 429 ask to come again. */
function isFinalStatus(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429;
}

/** Why a WebSocket was closed: what the peer said, or what its code means. */
export function closeReason({ code, reason }: CloseEvent): string {
  if (reason !== '') return reason;
  const known = Object.values(CODES).find(({ close }) => close === code);
  return known?.reason ?? 'the connection broke';
}
