/**
 * The HTTP API: one door for every call that is no stream. It asks who is there, hands the request
 * to its call and turns whatever happens into an answer; the calls themselves are a file each.
 */
import { CodedError, CODES } from '@trunkline/wire';
import type { Authenticator } from '../auth/authenticator.ts';
import { findCredential } from '../auth/credentials.ts';
import type { DevelopmentGuard } from '../auth/development-guard.ts';
import type { Clock } from '../clock.ts';
import type { AnswerGzip } from '../http/gzip.ts';
import type { OriginRules } from '../http/origin.ts';
import { problemAnswer } from '../http/problem.ts';
import type { HttpAnswer, HttpRequest } from '../http/request.ts';
import type { Caller, HubCalls } from '../hub/hub-types.ts';
import type { Log } from '../observe/log.ts';
import type { Random } from '../random.ts';
import { failureAnswer, withHeaders } from './answers.ts';
import type { ApiCall, ApiContext } from './call.ts';
import { listChannels } from './channels.ts';
import { API_DEFAULTS } from './config.ts';
import type { ApiOptions } from './config.ts';
import { alive, ready } from './health.ts';
import type { Readiness } from './health.ts';
import { history } from './history.ts';
import { metrics } from './metrics.ts';
import type { MetricsSource } from './metrics.ts';
import { poll } from './poll.ts';
import { listMembers } from './presence.ts';
import { publish, withStored } from './publish.ts';
import { purge } from './purge.ts';
import { Query } from './query.ts';
import { clearRetained, findRetained } from './retained.ts';
import { deleteSnapshot, getSnapshot, putSnapshot } from './snapshot.ts';
import { mint } from './token.ts';
import { WaitingPolls } from './waiting-polls.ts';

/** Characters of the word that stands for the session of one request. */
const SESSION_LENGTH = 16;

/** What the API is made of. */
export interface ApiParts {
  readonly hub: HubCalls;
  readonly authenticator: Authenticator;
  /** Set in development mode. */
  readonly guard?: DevelopmentGuard;
  readonly origins: OriginRules;
  readonly options: ApiOptions;
  /** Signs the tokens that `/v1/token` mints in development mode. */
  readonly tokenSecret?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Absent where answers are not compressed. */
  readonly gzip?: AnswerGzip;
  readiness(): Readiness;
  /** What `/metrics` answers; without it there is none. */
  readonly metrics?: MetricsSource;
  /** Answers GETs on paths that are not the API's, e.g. the console page. */
  fallback?(request: HttpRequest): HttpAnswer | undefined;
}

/** The API as the listener sees it. */
export interface Api {
  /** Never rejects: every failure is an answer. */
  onRequest(request: HttpRequest): Promise<HttpAnswer>;
}

/** Makes the API. */
export function createApi(parts: ApiParts): Api {
  return new Routes(parts);
}

type Answer = HttpAnswer | Promise<HttpAnswer>;

/** How one method of a path is answered: for anyone, or for a caller who is known. */
type Endpoint =
  | { readonly kind: 'open'; readonly answer: OpenAnswer }
  | { readonly kind: 'call'; readonly answer: CallAnswer };

type OpenAnswer = (request: HttpRequest) => Answer;
type CallAnswer = (context: ApiContext, call: ApiCall) => Answer;

/** The endpoints of one path, by method. */
type Route = ReadonlyMap<string, Endpoint>;

class Routes implements Api {
  readonly #parts: ApiParts;
  readonly #context: ApiContext;
  readonly #routes: ReadonlyMap<string, Route>;

  constructor(parts: ApiParts) {
    const { hub, clock, log } = parts;
    const options = { ...API_DEFAULTS, ...parts.options };
    const waitingPolls = new WaitingPolls(options.waitingPollsPerAddressMax);
    this.#parts = parts;
    const readiness = (): Readiness => parts.readiness();
    this.#context = { hub, options, clock, log, waitingPolls, readiness };
    this.#routes = routesOf(parts);
  }

  async onRequest(request: HttpRequest): Promise<HttpAnswer> {
    const { guard, origins } = this.#parts;
    const refusal = guard?.refusal(request);
    if (refusal !== undefined) return failureAnswer(request, refusal, {});
    const route = this.#routes.get(request.path);
    if (route === undefined) return this.#outside(request);
    const methods = methodsOf(route);
    if (request.method === 'OPTIONS') return origins.preflight(request, methods);
    const headers = origins.headersFor(request);
    const endpoint = route.get(request.method === 'HEAD' ? 'GET' : request.method);
    if (endpoint === undefined) {
      const detail = `${request.path} answers ${methods.join(', ')}, not ${request.method}`;
      const allow = { ...headers, allow: methods.join(', ') };
      return problemAnswer('bad_request', detail, { status: 405, headers: allow });
    }
    try {
      const answer = withHeaders(await this.#answer(request, endpoint), headers);
      // What is written may answer with secrets; what is read has what was published.
      const compresses = endpoint.kind === 'call' && isRead(request.method);
      return (compresses ? await this.#parts.gzip?.answer(request, answer) : undefined) ?? answer;
    } catch (error) {
      const coded = this.#toCoded(request, error);
      const told = endpoint.answer === publish ? withStored(coded) : coded;
      return failureAnswer(request, told, headers);
    }
  }

  #outside(request: HttpRequest): HttpAnswer {
    const { fallback, origins } = this.#parts;
    const headers = origins.headersFor(request);
    try {
      const answer = isRead(request.method) ? fallback?.(request) : undefined;
      if (answer !== undefined) return answer;
    } catch (error) {
      return failureAnswer(request, this.#toCoded(request, error), headers);
    }
    return problemAnswer('not_found', `there is nothing at ${request.path}`, { headers });
  }

  async #answer(request: HttpRequest, endpoint: Endpoint): Promise<HttpAnswer> {
    if (!isRead(request.method)) this.#demandOwnOrigin(request);
    if (endpoint.kind === 'open') return endpoint.answer(request);
    const query = new Query(request.search);
    // Awaited only where there is something to wait for: most answers are known at once.
    const found = this.#parts.authenticator.fromRequest(request);
    const authentication = found instanceof Promise ? await found : found;
    if (authentication.kind === 'refused') throw authentication.error;
    if (authentication.kind === 'none') throw tokenNeeded();
    const { identity } = authentication;
    const caller: Caller = { identity, session: this.#parts.random.word(SESSION_LENGTH) };
    return endpoint.answer(this.#context, { request, query, caller });
  }

  /**
   * [HTTP-3] A page of a foreign origin can make a browser send a request, with its user's cookies
   * or from inside a private network; CORS would only hide the answer. A token in a header or the
   * query is nothing that a browser sends by itself.
   */
  #demandOwnOrigin(request: HttpRequest): void {
    if (!this.#parts.origins.isForeign(request)) return;
    const credential = findCredential(request);
    if (credential !== undefined && credential.place !== 'cookie') return;
    const origin = (request.headers['origin'] ?? '').slice(0, 100);
    const message = `pages of origin ${origin} may not call: it is not an allowed origin`;
    throw new CodedError('forbidden', message);
  }

  /** What broke inside is for the log alone. */
  #toCoded(request: HttpRequest, error: unknown): CodedError {
    if (error instanceof CodedError && error.code !== 'internal') return error;
    const { method, path } = request;
    this.#parts.log.error({ error, method, path }, 'a request failed');
    return new CodedError('internal', CODES.internal.reason, { cause: error });
  }
}

function routesOf(parts: ApiParts): ReadonlyMap<string, Route> {
  const { tokenSecret, clock, metrics: source } = parts;
  const calls = (answers: Readonly<Record<string, CallAnswer>>): Route =>
    new Map(Object.entries(answers).map(([method, answer]) => [method, { kind: 'call', answer }]));
  const call = (method: string, answer: CallAnswer): Route => calls({ [method]: answer });
  const open = (method: string, answer: OpenAnswer): Route =>
    new Map([[method, { kind: 'open', answer }]]);
  const routes = new Map<string, Route>([
    ['/v1/publish', call('POST', publish)],
    ['/v1/poll', call('GET', poll)],
    ['/v1/history', call('GET', history)],
    ['/v1/presence', call('GET', listMembers)],
    ['/v1/channels', calls({ GET: listChannels, DELETE: purge })],
    ['/v1/retained', calls({ GET: findRetained, DELETE: clearRetained })],
    ['/v1/snapshot', calls({ GET: getSnapshot, PUT: putSnapshot, DELETE: deleteSnapshot })],
    // Only what no transport took, e.g. a GET without an upgrade, or a HEAD.
    ['/v1/ws', open('GET', upgradeNeeded)],
    ['/v1/sse', open('GET', streamNeeded)],
    ['/healthz', open('GET', alive)],
    ['/readyz', open('GET', () => ready(parts.readiness()))],
  ]);
  if (source !== undefined) {
    const known = call('GET', (_context, { caller }) => metrics(source, caller.identity));
    routes.set('/metrics', source.open ? open('GET', () => metrics(source)) : known);
  }
  if (tokenSecret !== undefined) {
    routes.set(
      '/v1/token',
      open('POST', (request) => mint(request, tokenSecret, clock)),
    );
  }
  return routes;
}

/** True for methods that change nothing. */
function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** The methods of a path, as `Allow` lists them. */
function methodsOf(route: Route): string[] {
  const head = route.has('GET') ? ['HEAD'] : [];
  return [...route.keys(), ...head, 'OPTIONS'];
}

function tokenNeeded(): CodedError {
  const message =
    'a token is needed: as Authorization: Bearer, as access_token in the query, ' +
    'or in the cookie trunkline_token with an allowed Origin';
  return new CodedError('unauthenticated', message);
}

/** RFC 9110 §15.5.22. */
function upgradeNeeded(): HttpAnswer {
  const detail = 'this path speaks WebSocket: send an upgrade, as `new WebSocket(url)` does';
  const headers = { upgrade: 'websocket' };
  return problemAnswer('bad_request', detail, { status: 426, headers });
}

function streamNeeded(): HttpAnswer {
  throw new CodedError(
    'bad_request',
    'this path is an event stream: GET it, as `EventSource` does',
  );
}
