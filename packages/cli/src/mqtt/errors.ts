/** Errors: what a server of MQTT answers, in the codes of every other transport. */
import { REASONS } from '@trunkline/server/mqtt-codec';
import { CodedError } from '@trunkline/wire';
import type { CodeName } from '@trunkline/wire';

/** The connection is gone; another one may work. */
export class LostError extends Error {
  override readonly name = 'LostError';
}

/** Refusals that hold, by their reason; after all others another try may work. */
const FINAL: ReadonlyMap<number, CodeName> = new Map([
  [REASONS.malformedPacket, 'bad_request'],
  [REASONS.protocolError, 'bad_request'],
  [REASONS.unsupportedProtocolVersion, 'bad_request'],
  [REASONS.clientIdentifierNotValid, 'bad_request'],
  [REASONS.topicFilterInvalid, 'bad_request'],
  [REASONS.topicNameInvalid, 'bad_request'],
  [REASONS.payloadFormatInvalid, 'bad_request'],
  [REASONS.badUserNameOrPassword, 'unauthenticated'],
  [REASONS.badAuthenticationMethod, 'unauthenticated'],
  [REASONS.notAuthorized, 'forbidden'],
  [REASONS.banned, 'forbidden'],
  [REASONS.sessionTakenOver, 'replaced'],
  [REASONS.packetTooLarge, 'too_large'],
]);

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(REASONS).map(([name, reason]) => [
    reason,
    name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
  ]),
);

/**
 * What a reason means for who got it.
 *
 * @param text the server's own words, where it has any.
 * @param what was refused, in front of the words that it has not.
 */
export function refusedBy(
  reason: number,
  text: string | undefined,
  what = '',
): CodedError | LostError {
  const code = FINAL.get(reason);
  const words = text ?? `${what}${wordsOf(reason)}`;
  return code === undefined ? new LostError(words) : new CodedError(code, words);
}

/** What a refused PUBLISH is: also what may work later is an answer. */
export function publishRefused(reason: number, text: string | undefined): CodedError {
  const code =
    reason === REASONS.quotaExceeded ? 'rate_limited' : (FINAL.get(reason) ?? 'internal');
  return new CodedError(code, refusedBy(reason, text).message);
}

function wordsOf(reason: number): string {
  if (reason === REASONS.success) return 'the server ended the connection';
  return `the server answered ${NAMES.get(reason) ?? `0x${reason.toString(16)}`}`;
}
