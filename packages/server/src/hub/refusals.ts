/** Refusals: what a broker's failure, or a moment's, becomes for clients. */
import { CodedError } from '@trunkline/wire';
import { BrokerError } from '../broker/broker.ts';

/** What can be tried again soon. */
export function unavailable(message: string): CodedError {
  return new CodedError('unavailable', message, { retryAfter: 1000 });
}

/** A broker's failure as clients are told it. */
export function refusal(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  if (!(error instanceof BrokerError)) {
    return new CodedError('internal', 'internal error', { cause: error });
  }
  if (error.kind === 'conflict') {
    return new CodedError('conflict', error.message, { stored: false, cause: error });
  }
  return new CodedError('unavailable', error.message, {
    stored: error.stored,
    retryAfter: 1000,
    cause: error,
  });
}
