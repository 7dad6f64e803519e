/**
 * Ending: how an attempt over a transport ended, in one vocabulary for close codes, HTTP statuses
 * and `close` events, so that the decision to come back is made in one place.
 */
import { CodedError, CODE_RULES, reconnectAfterClose } from '@trunkline/wire';
import type { CodeName } from '@trunkline/wire';
import type { RetryHint } from './backoff.ts';

/** Why an attempt is over. */
export type Ending =
  /** Come back with the same input. */
  | {
      readonly kind: 'lost';
      readonly reason: string;
      readonly hint?: RetryHint;
      /** True when there was no answer in time. */
      readonly isTimeout?: boolean;
    }
  /** Come back, but with a fresh token. */
  | { readonly kind: 'stale'; readonly error: CodedError }
  /** The same input would be refused again, by this transport at least. */
  | {
      readonly kind: 'refused';
      readonly error: CodedError;
      /** The server itself closed what was open: nothing in between did. */
      readonly isClose?: true;
    };

/** What an error of the registry means for a connection. */
export function endingOf(error: CodedError, hint: RetryHint = {}): Ending {
  if (error.code === 'unauthenticated') return { kind: 'stale', error };
  if (!CODE_RULES[error.code].temporary) return { kind: 'refused', error };
  const notBeforeMs = error.retryAfter ?? hint.notBeforeMs;
  return {
    kind: 'lost',
    reason: `${error.code}: ${error.message}`,
    hint: { ...hint, ...(notBeforeMs === undefined ? {} : { notBeforeMs }) },
  };
}

/** What the end of a WebSocket means, codes that are not in the registry included. [CODE-2] */
export function endingOfClose(close: number, reason: string, hint: RetryHint = {}): Ending {
  const named = codeOfClose(close);
  const told = `closed with ${close}${reason === '' ? '' : ` (${reason})`}`;
  switch (reconnectAfterClose(close)) {
    case 'stay':
      return {
        kind: 'refused',
        error: new CodedError(named ?? 'bad_request', told),
        isClose: true,
      };
    case 'refresh':
      return { kind: 'stale', error: new CodedError('unauthenticated', told) };
    case 'wait':
    case 'reconnect':
      return { kind: 'lost', reason: named === undefined ? told : `${named}: ${told}`, hint };
  }
}

/** The registry's name of a close code. A conflict shares its number, but ends no connection. */
function codeOfClose(close: number): CodeName | undefined {
  const names = Object.keys(CODE_RULES) as CodeName[];
  return names.findLast((name) => CODE_RULES[name].close === close);
}

/** Why, in words. */
export function reasonOf(ending: Ending): string {
  return ending.kind === 'lost' ? ending.reason : ending.error.message;
}
