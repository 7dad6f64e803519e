/**
 * HTTP service: what a process answers to requests, by the server's own API and event streams.
 * Sockets and proofs of identity are not simulated: whoever asks is known.
 */
import { CODES, CodedError } from '@trunkline/wire';
import { readRequest } from '@trunkline/server/internal/admission/event-stream.ts';
import { failureAnswer } from '@trunkline/server/internal/api/answers.ts';
import type { ApiCall, ApiContext } from '@trunkline/server/internal/api/call.ts';
import { API_DEFAULTS } from '@trunkline/server/internal/api/config.ts';
import { history } from '@trunkline/server/internal/api/history.ts';
import { poll } from '@trunkline/server/internal/api/poll.ts';
import { listMembers } from '@trunkline/server/internal/api/presence.ts';
import { publish, withStored } from '@trunkline/server/internal/api/publish.ts';
import { Query } from '@trunkline/server/internal/api/query.ts';
import { WaitingPolls } from '@trunkline/server/internal/api/waiting-polls.ts';
import type { Identity } from '@trunkline/server/internal/auth/identity.ts';
import type {
  HttpAnswer,
  HttpRequest,
  RequestHead,
} from '@trunkline/server/internal/http/request.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import type { MemoryLink, MemoryPeer } from '../memory-link.ts';
import type { SeededRandom } from '../random.ts';
import type { SimulatedServer } from '../simulation/simulated-server.ts';

type Call = (context: ApiContext, call: ApiCall) => HttpAnswer | Promise<HttpAnswer>;

const CALLS: ReadonlyMap<string, Call> = new Map<string, Call>([
  ['/v1/poll', poll],
  ['/v1/publish', publish],
  ['/v1/history', history],
  ['/v1/presence', listMembers],
]);

/** Characters of the word that stands for the session of one request. */
const SESSION_LENGTH = 16;

/** Answers the requests of one process. */
export class HttpService {
  readonly #server: SimulatedServer;
  readonly #random: SeededRandom;
  readonly #onFailure: (error: unknown) => void;
  readonly #context: ApiContext;

  /** @param onFailure is told of what the server should have foreseen. */
  constructor(server: SimulatedServer, random: SeededRandom, onFailure: (error: unknown) => void) {
    this.#server = server;
    this.#random = random;
    this.#onFailure = onFailure;
    this.#context = {
      hub: server.hub,
      options: { ...API_DEFAULTS, development: true },
      clock: server.clock,
      log: silentLog,
      waitingPolls: new WaitingPolls(API_DEFAULTS.waitingPollsPerAddressMax),
      readiness: () => 'ready',
    };
  }

  /** Never rejects: every failure is an answer. */
  async answer(request: HttpRequest, identity: Identity): Promise<HttpAnswer> {
    const call = CALLS.get(request.path);
    if (request.method === 'OPTIONS') return { status: 204 };
    try {
      if (call === undefined) throw new CodedError('not_found', `nothing is at ${request.path}`);
      const query = new Query(request.search);
      return await call(this.#context, { request, query, caller: this.#caller(identity) });
    } catch (error) {
      const coded = error instanceof CodedError ? error : this.#internal(error);
      return failureAnswer(request, call === publish ? withStored(coded) : coded, {});
    }
  }

  /** Opens an event stream. @throws {CodedError} when it is refused. */
  openStream(head: RequestHead, identity: Identity, peer: MemoryPeer): MemoryLink {
    const request = readRequest(head, this.#caller(identity));
    const { eventStream } = this.#server;
    return this.#server.openOneWay(peer, (link) => eventStream.open(link, request));
  }

  #caller(identity: Identity): { readonly identity: Identity; readonly session: string } {
    return { identity, session: this.#random.word(SESSION_LENGTH) };
  }

  #internal(error: unknown): CodedError {
    this.#onFailure(error);
    return new CodedError('internal', CODES.internal.reason, { cause: error });
  }
}
