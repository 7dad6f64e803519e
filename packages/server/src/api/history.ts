/** `GET /v1/history`: a page of what a channel's stream still has. */
import { CodedError, formatPosition, parseAfter } from '@trunkline/wire';
import type { HttpAnswer } from '../http/request.ts';
import type { HistoryRequest } from '../hub/hub-types.ts';
import { prefersBinary } from './accept.ts';
import { pageAnswer } from './answers.ts';
import type { ApiCall, ApiContext } from './call.ts';
import { READ_LIMIT } from './config.ts';
import type { Query } from './query.ts';

/** Answers a page after or before a position, or the newest one. */
export async function history({ hub }: ApiContext, call: ApiCall): Promise<HttpAnswer> {
  const channel = call.query.channel();
  const page = await hub.history(call.caller, channel, requestOf(call.query));
  const { position, oldest, newest, gap, epoch, messages } = page;
  const places = JSON.stringify({
    position: formatPosition(position),
    oldest: formatPosition(oldest),
    newest: formatPosition(newest),
    ...(page.more ? { more: true } : {}),
    ...(gap === undefined ? {} : { gap }),
  });
  const runs = [{ channel, epoch, messages }];
  return pageAnswer({ members: places.slice(1, -1), runs }, prefersBinary(call.request));
}

function requestOf(query: Query): HistoryRequest {
  const after = query.text('after');
  const before = query.text('before');
  const last = query.whole('last', { min: 0, max: Number.MAX_SAFE_INTEGER });
  const limit = query.whole('limit', { min: 1, max: READ_LIMIT.max });
  const given = [after, before, last].filter((value) => value !== undefined);
  if (given.length > 1) throw new CodedError('bad_request', 'give one of after, before and last');
  return {
    ...(after === undefined ? {} : { after: parseAfter(after) }),
    ...(before === undefined ? {} : { before: parseAfter(before) }),
    ...(last === undefined ? {} : { last }),
    countMax: limit ?? (last === undefined ? READ_LIMIT.default : READ_LIMIT.max),
  };
}
