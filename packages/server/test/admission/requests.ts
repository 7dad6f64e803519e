/** Requests at the gate, and what the gate is made of. */
import { CodedError } from '@trunkline/wire';
import { ManualClock } from '@trunkline/testkit';
import type { GateParts } from '../../src/admission/gate.ts';
import { Authenticator } from '../../src/auth/authenticator.ts';
import { DevelopmentGuard } from '../../src/auth/development-guard.ts';
import { mintToken } from '../../src/auth/tokens.ts';
import { createOriginRules } from '../../src/http/origin.ts';
import type { RequestHead } from '../../src/http/request.ts';

const SECRET = 'a secret that is long enough for HS256';

/** A page that is let in. */
export const ALLOWED = 'https://app.example.com';

/** A request for an event stream, with these headers. */
export function head(
  headers: Readonly<Record<string, string>> = {},
  more: Partial<RequestHead> = {},
): RequestHead {
  return {
    method: 'GET',
    path: '/v1/sse',
    search: 'channel=news',
    headers: { host: 'localhost:8080', ...headers },
    remoteAddress: '127.0.0.1',
    secure: false,
    version: '1.1',
    ...more,
  };
}

/** What the tests decide about a gate. */
export interface GateOptions {
  readonly anonymous?: boolean;
  readonly development?: boolean;
}

/** A gate, the token of a user who may come in, and the switch that closes it. */
export async function setUpGate({ anonymous = false, development = false }: GateOptions = {}) {
  const clock = new ManualClock({ unixMs: Date.UTC(2026, 0, 1) });
  const origins = createOriginRules({ allowed: [ALLOWED], development });
  const node = { isClosed: false };
  const gate: GateParts = {
    origins,
    authenticator: new Authenticator(
      { development, anonymous, jwtSecret: SECRET, apiKeys: [], secret: SECRET },
      { clock, origins },
    ),
    ...(development ? { guard: new DevelopmentGuard(origins) } : {}),
    refusal: () =>
      node.isClosed
        ? new CodedError('draining', 'this node takes no new clients', { retryAfter: 700 })
        : undefined,
  };
  return { clock, gate, node, token: await tokenOf('alice') };

  async function tokenOf(user: string): Promise<string> {
    const channels = new Map([['news', new Set(['subscribe'] as const)]]);
    const request = { user, grants: channels, lifeMs: 60_000 };
    return (await mintToken(SECRET, request, clock)).token;
  }
}
