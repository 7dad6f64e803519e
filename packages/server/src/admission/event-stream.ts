/** Who may open an event stream, and what it carries: `GET /v1/sse`. */
import { CodedError } from '@trunkline/wire';
import { Query } from '../api/query.ts';
import { startsOf } from '../api/starts.ts';
import type { RequestHead } from '../http/request.ts';
import type { Hub } from '../hub/hub.ts';
import type { EventStreamProtocol } from '../protocols/eventstream/protocol.ts';
import type { StreamRequest } from '../protocols/eventstream/session.ts';
import type { Random } from '../random.ts';
import type { Admit } from '../transports/transport.ts';
import { admit } from './gate.ts';
import type { GateParts } from './gate.ts';

/** Characters of a stream's session word. */
const SESSION_LENGTH = 16;

/** What an event stream is admitted with. */
export interface EventStreamParts {
  readonly gate: GateParts;
  readonly hub: Hub;
  readonly random: Random;
  readonly protocol: EventStreamProtocol;
}

/** Makes the decision for the SSE transport. */
export function admitEventStream(parts: EventStreamParts): Admit {
  const { gate, hub, random, protocol } = parts;
  return (head) =>
    admit(gate, head, (identity) => {
      if (identity === undefined) {
        const message = 'an event stream needs a token: as access_token in the query, or a cookie';
        throw new CodedError('unauthenticated', message);
      }
      const request = readRequest(head, { identity, session: random.word(SESSION_LENGTH) });
      for (const filter of request.starts.keys()) hub.demand(identity, 'subscribe', filter);
      return {
        kind: 'welcome',
        headers: gate.origins.headersFor(head),
        open: (link) => protocol.open(link, request),
      };
    });
}

/** What the request asks for. @throws {CodedError} `bad_request`, saying what was expected. */
export function readRequest(head: RequestHead, caller: StreamRequest['caller']): StreamRequest {
  const query = new Query(head.search);
  return {
    caller,
    starts: startsOf(query, head, query.filters(0)),
    presence: query.flag('presence'),
    snapshot: query.flag('snapshot'),
    envelope: query.flag('envelope'),
  };
}
