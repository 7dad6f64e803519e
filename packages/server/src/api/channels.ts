/** `GET /v1/channels`: the channels that someone listens to, for applications. */
import { CodedError, patternFault } from '@trunkline/wire';
import type { HttpAnswer } from '../http/request.ts';
import { jsonAnswer } from './answers.ts';
import type { ApiCall, ApiContext } from './call.ts';
import { LISTING_LIMIT } from './config.ts';
import { show } from './query.ts';

/** Answers the active channels that match a pattern, all of them unless one is given. */
export function listChannels({ hub }: ApiContext, { query, caller }: ApiCall): HttpAnswer {
  if (caller.identity.kind !== 'server') {
    throw new CodedError('forbidden', 'an API key is needed to list channels');
  }
  const match = query.text('match') ?? '#';
  const fault = patternFault(match);
  if (fault !== undefined)
    throw new CodedError('bad_request', `match ${fault}, got ${show(match)}`);
  const limit = query.whole('limit', { min: 1, max: LISTING_LIMIT.max }) ?? LISTING_LIMIT.default;
  const active = hub.activeChannels(match);
  const channels = active
    .slice(0, limit)
    .map(({ channel, subscribers }) => ({ channel, subscribers }));
  return jsonAnswer(JSON.stringify({ channels, ...(active.length > limit ? { more: true } : {}) }));
}
