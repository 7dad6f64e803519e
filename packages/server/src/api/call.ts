/** Call: what each call of the API is given. */
import type { Clock } from '../clock.ts';
import type { HttpRequest } from '../http/request.ts';
import type { Caller, HubCalls } from '../hub/hub-types.ts';
import type { Log } from '../observe/log.ts';
import type { ApiOptions } from './config.ts';
import type { Readiness } from './health.ts';
import type { Query } from './query.ts';
import type { WaitingPolls } from './waiting-polls.ts';

/** What all calls share. */
export interface ApiContext {
  readonly hub: HubCalls;
  readonly options: Required<ApiOptions>;
  readonly clock: Clock;
  readonly log: Log;
  readonly waitingPolls: WaitingPolls;
  /** Whether the node takes clients. */
  readiness(): Readiness;
}

/** One request whose sender is known. */
export interface ApiCall {
  readonly request: HttpRequest;
  readonly query: Query;
  readonly caller: Caller;
}
