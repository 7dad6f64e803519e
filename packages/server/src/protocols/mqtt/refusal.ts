/** Refusal: what the hub refuses as reason codes of MQTT, and those as codes of a link's close. */
import { CODES } from '@trunkline/wire';
import type { CodedError, CodeName } from '@trunkline/wire';
import { refusal } from '../../hub/refusals.ts';
import type { Close } from '../../link/link.ts';
import { ALLOWED_REASONS, REASONS } from './codec/reasons.ts';

/** A refusal and its reason code for PUBACK, PUBREC and SUBACK. */
export interface Refusal {
  readonly coded: CodedError;
  readonly reason: number;
}

/** By code; what is not here is unspecified. */
const BY_CODE: Partial<Record<CodeName, number>> = {
  not_found: REASONS.topicNameInvalid,
  bad_request: REASONS.payloadFormatInvalid,
  unauthenticated: REASONS.notAuthorized,
  forbidden: REASONS.notAuthorized,
  conflict: REASONS.implementationSpecificError,
  too_large: REASONS.quotaExceeded,
  rate_limited: REASONS.quotaExceeded,
};

/** What to answer to something that failed. */
export function reasonOf(error: unknown): Refusal {
  const coded = refusal(error);
  return { coded, reason: BY_CODE[coded.code] ?? REASONS.unspecifiedError };
}

/** What to answer to who could not show who it is. Only who may come back soon is told so. */
export function loginReason({ code }: CodedError): number {
  switch (code) {
    case 'unavailable':
    case 'rate_limited':
      return REASONS.serverBusy;
    case 'forbidden':
      return REASONS.notAuthorized;
    default:
      return CODES[code].temporary ? REASONS.serverUnavailable : REASONS.badUserNameOrPassword;
  }
}

/** By reason that only CONNACK has, what DISCONNECT says instead. */
const ENDS: ReadonlyMap<number, number> = new Map([
  [REASONS.serverUnavailable, REASONS.serverBusy],
  [REASONS.badAuthenticationMethod, REASONS.protocolError],
  [REASONS.badUserNameOrPassword, REASONS.notAuthorized],
]);

/** The reason that a DISCONNECT of the server gives ([MQTT-3.14.2-1]). */
export function disconnectReason(reason: number): number {
  if (ALLOWED_REASONS.serverDisconnect.codes.has(reason)) return reason;
  return ENDS.get(reason) ?? REASONS.unspecifiedError;
}

/** By reason, how a link is closed; what is not here is the client's fault. */
const CLOSES: ReadonlyMap<number, Close['code']> = new Map([
  [REASONS.success, 'normal'],
  [REASONS.unspecifiedError, 'internal'],
  [REASONS.badUserNameOrPassword, 'unauthenticated'],
  [REASONS.badAuthenticationMethod, 'unauthenticated'],
  [REASONS.notAuthorized, 'unauthenticated'],
  [REASONS.serverUnavailable, 'unavailable'],
  [REASONS.serverBusy, 'unavailable'],
  [REASONS.serverShuttingDown, 'draining'],
  [REASONS.useAnotherServer, 'draining'],
  [REASONS.keepAliveTimeout, 'timeout'],
  [REASONS.sessionTakenOver, 'replaced'],
  [REASONS.packetTooLarge, 'too_large'],
  [REASONS.quotaExceeded, 'rate_limited'],
]);

/** How a link is closed that ends with this reason: over WebSocket it has a code of its own. */
export function closeFor(reason: number): Close {
  return { code: CLOSES.get(reason) ?? 'bad_request' };
}
