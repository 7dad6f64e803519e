/** The API on a fake hub, with everything a test may want to turn. */
import { createApi } from '@trunkline/server/internal/api/api.ts';
import type { Api, ApiParts } from '@trunkline/server/internal/api/api.ts';
import { Authenticator, tokenSecret } from '@trunkline/server/internal/auth/authenticator.ts';
import type { AuthOptions } from '@trunkline/server/internal/auth/config.ts';
import { grantsFromClaim } from '@trunkline/server/internal/auth/claims.ts';
import { mintToken } from '@trunkline/server/internal/auth/tokens.ts';
import { DevelopmentGuard } from '@trunkline/server/internal/auth/development-guard.ts';
import { createOriginRules } from '@trunkline/server/internal/http/origin.ts';
import type { HttpAnswer } from '@trunkline/server/internal/http/request.ts';
import type { Log, LogFields } from '@trunkline/server/internal/observe/log.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { ManualClock, seededRandom } from '@trunkline/testkit';
import { FakeHub } from './fake-hub.ts';
import { requestOf } from './requests.ts';
import type { RequestSketch } from './requests.ts';

export const API_KEY = 'key-of-an-application';
export const JWT_SECRET = 'a secret of at least thirty-two bytes';
/** An origin that is allowed, and one that is not. */
export const OWN = 'https://app.example';
export const FOREIGN = 'https://evil.example';

/** What a test changes of the API. */
export interface SetUpOptions {
  readonly auth?: Partial<AuthOptions>;
  readonly parts?: Partial<ApiParts>;
  /** Beside those of the whole: the limits of the API. */
  readonly limits?: Omit<ApiParts['options'], 'development'>;
}

/** An API, what it stands on, and short words for what tests say to it. */
export interface SetUp {
  readonly api: Api;
  readonly hub: FakeHub;
  readonly clock: ManualClock;
  /** What was logged as an error. */
  readonly errors: LogFields[];
  ask(sketch: RequestSketch): Promise<HttpAnswer>;
  /** Asks as an application. */
  askAsServer(sketch: RequestSketch): Promise<HttpAnswer>;
  token(user: string, channels?: unknown, lifeMs?: number): Promise<string>;
}

/** Makes an API; closed unless the test says otherwise. */
export function setUp({ auth, parts, limits }: SetUpOptions = {}): SetUp {
  const clock = new ManualClock();
  const hub = new FakeHub();
  const errors: LogFields[] = [];
  const log: Log = { ...silentLog, error: (fields) => void errors.push(fields) };
  const options: AuthOptions = {
    development: false,
    apiKeys: [API_KEY],
    jwtSecret: JWT_SECRET,
    secret: 'node',
    ...auth,
  };
  const origins = createOriginRules({ allowed: [OWN], development: options.development });
  const authenticator = new Authenticator(options, { clock, origins });
  const secret = options.development ? tokenSecret(options) : undefined;
  const api = createApi({
    hub,
    authenticator,
    ...(options.development ? { guard: new DevelopmentGuard(origins) } : {}),
    origins,
    options: { development: options.development, ...limits },
    ...(secret === undefined ? {} : { tokenSecret: secret }),
    clock,
    random: seededRandom(1),
    log,
    readiness: () => 'ready',
    ...parts,
  });
  const ask = (sketch: RequestSketch): Promise<HttpAnswer> => api.onRequest(requestOf(sketch));
  return {
    api,
    hub,
    clock,
    errors,
    ask,
    askAsServer: (sketch) =>
      ask({ ...sketch, headers: { authorization: `Bearer ${API_KEY}`, ...sketch.headers } }),
    async token(user, channels = { '#': ['subscribe', 'publish', 'history'] }, lifeMs = 60_000) {
      const grants = grantsFromClaim(channels);
      const { token } = await mintToken(JWT_SECRET, { user, grants, lifeMs }, clock);
      // Seen once, it is known at once: signatures are checked on threads no clock rules.
      await authenticator.fromToken(token);
      return token;
    },
  };
}
