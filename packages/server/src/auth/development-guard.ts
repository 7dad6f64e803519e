/**
 * DevelopmentGuard: in development mode everyone is welcome, so everyone must be on this machine
 * [AUTH-6].
 * An address alone does not tell: a stranger's page reaches 127.0.0.1 through the browser that
 * shows it, and a proxy or tunnel brings the whole world.
 */
import { CodedError } from '@trunkline/wire';
import { isForwarded, isLocalHost } from '../http/origin.ts';
import type { OriginRules } from '../http/origin.ts';
import type { RequestHead } from '../http/request.ts';

/** Characters of a header that an error message repeats. */
const SHOWN_LENGTH_MAX = 100;

const REMEDY = 'to serve others, configure a JWT secret or API keys';

/** Decides which requests development mode answers. */
export class DevelopmentGuard {
  readonly #origins: Pick<OriginRules, 'isTrusted'>;

  /** @param origins trusts pages of this machine, and those that the operator named. */
  constructor(origins: Pick<OriginRules, 'isTrusted'>) {
    this.#origins = origins;
  }

  /** Why the request is not answered; `undefined` for one that is local in every respect. */
  refusal(head: RequestHead): CodedError | undefined {
    const { host, origin } = head.headers;
    // DNS rebinding: the name resolves to this machine, but it is still a stranger's.
    if (!isLocalHost(host)) return refused(`a Host of this machine, got ${show(host)}`);
    if (isForwarded(head.headers)) return refused('requests that no proxy forwarded');
    if (origin === undefined || this.#origins.isTrusted(head)) return undefined;
    return refused(`pages of this machine or of an allowed origin, got ${show(origin)}`);
  }
}

function refused(expected: string): CodedError {
  return new CodedError('forbidden', `development mode answers only ${expected}; ${REMEDY}`);
}

function show(header: string | undefined): string {
  return header === undefined ? 'none' : JSON.stringify(header.slice(0, SHOWN_LENGTH_MAX));
}
