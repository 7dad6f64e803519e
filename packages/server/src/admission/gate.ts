/**
 * Gate: the questions every link answers before it is one. Is the node taking clients, may this
 * page ask, and who is it?
 */
import { CodedError } from '@trunkline/wire';
import type { Authentication, Authenticator } from '../auth/authenticator.ts';
import type { DevelopmentGuard } from '../auth/development-guard.ts';
import type { Identity } from '../auth/identity.ts';
import type { OriginRules } from '../http/origin.ts';
import type { RequestHead } from '../http/request.ts';
import type { Admission } from '../transports/transport.ts';

/** What a gate asks. */
export interface GateParts {
  readonly authenticator: Authenticator;
  /** Set in development mode. */
  readonly guard?: DevelopmentGuard;
  readonly origins: OriginRules;
  /** Set while the node takes no new clients. */
  refusal(): CodedError | undefined;
}

/** Lets a client in, whoever it proved to be; `undefined` when it proved nothing yet. */
export type LetIn = (identity: Identity | undefined) => Admission;

/**
 * Asks, and lets in who may come.
 *
 * @param letIn may throw a `CodedError`, which refuses the client.
 */
export function admit(
  parts: GateParts,
  head: RequestHead,
  letIn: LetIn,
): Admission | Promise<Admission> {
  const { authenticator, guard, origins } = parts;
  // A browser sees nothing of a refused handshake, so it is let in and then told.
  const tellInside = head.headers['origin'] !== undefined;
  // Without them a page of an allowed origin could not read why it is refused [HTTP-3].
  const refuse = (error: CodedError): Admission => ({
    ...refused(error, tellInside),
    headers: origins.headersFor(head),
  });
  const stopped = guard?.refusal(head) ?? foreignOrigin(origins, head);
  // A page of a foreign origin is told nothing but 403, before anything else is looked at.
  if (stopped !== undefined) return refused(stopped, false);
  const pass = (authentication: Authentication): Admission => {
    // Asked last: what is let in is open before a drain can begin.
    const closed = parts.refusal();
    if (closed !== undefined) return refuse(closed);
    if (authentication.kind === 'refused') return refuse(authentication.error);
    try {
      return letIn(authentication.kind === 'identity' ? authentication.identity : undefined);
    } catch (error) {
      if (error instanceof CodedError) return refuse(error);
      throw error;
    }
  };
  const closed = parts.refusal();
  if (closed !== undefined) return refuse(closed); // Not worth the work of finding out who it is.
  const found = authenticator.fromRequest(head);
  return found instanceof Promise ? found.then(pass) : pass(found);
}

/** A client that is not let in, and why. */
export function refused(error: CodedError, tellInside: boolean): Admission {
  const { code, message, retryAfter } = error;
  const retry = retryAfter === undefined ? {} : { retryAfter };
  return { kind: 'refused', close: { code, ...retry }, message, tellInside };
}

function foreignOrigin(origins: OriginRules, head: RequestHead): CodedError | undefined {
  if (!origins.isForeign(head)) return undefined;
  const origin = (head.headers['origin'] ?? '').slice(0, 100);
  return new CodedError('forbidden', `${origin} is not an allowed origin`);
}
