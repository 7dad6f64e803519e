/** History over a session: the command as the hub reads it, the page as the client does. */
import { encodeMessage, formatPosition, parseAfter } from '@trunkline/wire';
import type { Command, CommandId } from '@trunkline/wire';
import type { HistoryPage, HistoryRequest } from '../../hub/hub-types.ts';
import { HISTORY_COUNT_DEFAULT, HISTORY_COUNT_MAX } from './config.ts';

/** What a history command asks of the hub. */
export function toHistoryRequest(command: Extract<Command, { type: 'history' }>): HistoryRequest {
  const { after, before, last, limit } = command;
  return {
    ...(after === undefined ? {} : { after: parseAfter(after) }),
    ...(before === undefined ? {} : { before: parseAfter(before) }),
    ...(last === undefined ? {} : { last }),
    countMax: Math.min(limit ?? HISTORY_COUNT_DEFAULT, HISTORY_COUNT_MAX),
  };
}

/** A page as one reply; messages are embedded as published. */
export function toHistoryFrame(id: CommandId, channel: string, page: HistoryPage): string {
  const { epoch, position, oldest, newest, more, gap } = page;
  const messages = page.messages.map((message) => encodeMessage(channel, epoch, message, false));
  const rest = JSON.stringify({
    position: formatPosition(position),
    oldest: formatPosition(oldest),
    newest: formatPosition(newest),
    ...(more ? { more } : {}),
    ...(gap === undefined ? {} : { gap }),
  });
  return `{"type":"history","id":${id},"messages":[${messages.join(',')}],${rest.slice(1)}`;
}
