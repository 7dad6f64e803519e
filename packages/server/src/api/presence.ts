/** `GET /v1/presence`: who is in a channel, page by page. [PRES-8] */
import type { HttpAnswer } from '../http/request.ts';
import { PAGE_COUNT_DEFAULT, PAGE_COUNT_MAX } from '../hub/presence/config.ts';
import { jsonAnswer } from './answers.ts';
import type { ApiCall, ApiContext } from './call.ts';

/** Answers a page of the list of members. */
export function listMembers({ hub }: ApiContext, { query, caller }: ApiCall): HttpAnswer {
  const channel = query.channel();
  const countMax = query.whole('limit', { min: 1, max: PAGE_COUNT_MAX }) ?? PAGE_COUNT_DEFAULT;
  const after = query.text('after');
  const page = hub.members(caller, channel, {
    countMax,
    ...(after === undefined ? {} : { after }),
  });
  return jsonAnswer(JSON.stringify(page));
}
