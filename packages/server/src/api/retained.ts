/** `GET` and `DELETE /v1/retained`: the last message of each channel that was kept. [RET-5] */
import {
  channelNameFault,
  CodedError,
  encodeMessage,
  isWildcard,
  patternFault,
} from '@trunkline/wire';
import type { HttpAnswer } from '../http/request.ts';
import { jsonAnswer } from './answers.ts';
import type { ApiCall, ApiContext } from './call.ts';
import { READ_LIMIT } from './config.ts';
import { show } from './query.ts';
import type { Query } from './query.ts';

/** Answers what is retained in a channel, or in those that a pattern matches. */
export async function findRetained({ hub }: ApiContext, call: ApiCall): Promise<HttpAnswer> {
  const { query, caller } = call;
  const filter = filterOf(query);
  const after = query.text('after');
  const countMax = query.whole('limit', { min: 1, max: READ_LIMIT.max }) ?? READ_LIMIT.default;
  const page = { countMax, ...(after === undefined ? {} : { after }) };
  const { messages, next } = await hub.beside.findRetained(caller, filter, page);
  if (next !== undefined && messages.length === 0) {
    // Nothing to go on after that the client may know of.
    const message = `too much is retained to search it for ${show(filter)}: begin it with a name`;
    throw new CodedError('too_large', message);
  }
  const texts = messages.map(({ channel, epoch, message }) =>
    encodeMessage(channel, epoch, message, false),
  );
  return jsonAnswer(`{"messages":[${texts.join()}]${next === undefined ? '' : ',"more":true'}}`);
}

/** Clears what is retained in a channel, without a message that says so. */
export async function clearRetained({ hub }: ApiContext, call: ApiCall): Promise<HttpAnswer> {
  const channel = call.query.channel();
  if (await hub.beside.clearRetained(call.caller, channel)) return { status: 204, headers: {} };
  throw new CodedError('not_found', `nothing is retained in ${show(channel)}`);
}

function filterOf(query: Query): string {
  const filter = query.text('channel');
  if (filter === undefined) throw new CodedError('bad_request', 'channel is missing');
  const fault = isWildcard(filter) ? patternFault(filter) : channelNameFault(filter);
  if (fault === undefined) return filter;
  throw new CodedError('bad_request', `channel ${fault}, got ${show(filter)}`);
}
