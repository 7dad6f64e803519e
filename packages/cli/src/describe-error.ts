/** Describe error: what went wrong, in the words of a command line. */
import { CodedError } from '@trunkline/wire';

/** The message, with its code, and with the doubt where a publish may have been stored. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  // Messages of the system name their code themselves: `listen EADDRINUSE: …`.
  const prefix = code === undefined || error.message.includes(code) ? '' : `${code}: `;
  const isDoubtful = error instanceof CodedError && error.stored === 'unknown';
  return `${prefix}${error.message}${isDoubtful ? ' (it may have been stored)' : ''}`;
}
