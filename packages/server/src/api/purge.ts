/** `DELETE /v1/channels`: removes all that is kept of a channel. [PURGE-1] */
import type { HttpAnswer } from '../http/request.ts';
import type { ApiCall, ApiContext } from './call.ts';

/** Purges a channel; whether there was anything or not, there is nothing afterwards. */
export async function purge({ hub }: ApiContext, { query, caller }: ApiCall): Promise<HttpAnswer> {
  await hub.beside.purge(caller, query.channel());
  return { status: 204, headers: {} };
}
