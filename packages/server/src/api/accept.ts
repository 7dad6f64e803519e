/** Accept: which of its two encodings an answer has (RFC 9110 §12.5.1). [BIN-2] */
import { BINARY_MEDIA_TYPE } from '@trunkline/wire';
import type { RequestHead } from '../http/request.ts';

/** RFC 9110 §12.4.2: a weight has at most three decimals. */
const WEIGHT = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/**
 * True when the client names the binary encoding and does not prefer JSON to it. It is never given to
 * who accepts anything: only who names it can read it.
 */
export function prefersBinary(head: RequestHead): boolean {
  const accept = head.headers['accept'];
  // Nearly all requests: nothing to look at closely.
  if (accept === undefined || !accept.toLowerCase().includes(BINARY_MEDIA_TYPE)) return false;
  let binary = 0;
  let json = 0;
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    if (type === BINARY_MEDIA_TYPE) binary = weightOf(parameters);
    else if (type === 'application/json') json = weightOf(parameters);
  }
  return binary > 0 && binary >= json;
}

/** A weight that is none counts as nothing wanted. */
function weightOf(parameters: readonly string[]): number {
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  if (weight === undefined) return 1;
  const text = weight.slice('q='.length);
  return WEIGHT.test(text) ? Number(text) : 0;
}
