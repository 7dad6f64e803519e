/** History over a session: the command as the hub reads it, the page as the client does. */
import { CodedError, encodeMessage, formatPosition, parseAfter } from '@trunkline/wire';
import type { Command, CommandId } from '@trunkline/wire';
import type { HistoryPage, HistoryRequest } from '../../hub/hub-types.ts';
import { HISTORY_COUNT_DEFAULT, HISTORY_COUNT_MAX, HISTORY_SIZE_MAX } from './config.ts';

/**
 * What a history command asks of the hub.
 *
 * @throws {CodedError} `bad_request` when it asks for two places or for too much [HIST-1].
 */
export function toHistoryRequest(command: Extract<Command, { type: 'history' }>): HistoryRequest {
  const { after, before, last, limit } = command;
  const given = [after, before, last].filter((place) => place !== undefined);
  if (given.length > 1) throw new CodedError('bad_request', 'give one of after, before and last');
  if (limit !== undefined && (limit < 1 || limit > HISTORY_COUNT_MAX)) {
    const message = `limit must be a whole number from 1 to ${HISTORY_COUNT_MAX}, got ${limit}`;
    throw new CodedError('bad_request', message);
  }
  return {
    ...(after === undefined ? {} : { after: parseAfter(after) }),
    ...(before === undefined ? {} : { before: parseAfter(before) }),
    ...(last === undefined ? {} : { last }),
    // The newest N are as many as were asked for.
    sizeMax: HISTORY_SIZE_MAX,
    countMax: limit ?? (last === undefined ? HISTORY_COUNT_DEFAULT : HISTORY_COUNT_MAX),
  };
}

/** A page as one reply; messages are embedded as published. */
export function toHistoryFrame(id: CommandId, channel: string, page: HistoryPage): string {
  const { epoch } = page;
  const messages = page.messages.map((message) => encodeMessage(channel, epoch, message, false));
  const members = historyMembers(page);
  return `{"type":"history","id":${id},"messages":[${messages.join(',')}],${members}}`;
}

/** The members of a page beside its messages. */
export function historyMembers({ position, oldest, newest, more, gap }: HistoryPage): string {
  const fields = {
    position: formatPosition(position),
    oldest: formatPosition(oldest),
    newest: formatPosition(newest),
    ...(more ? { more } : {}),
    ...(gap === undefined ? {} : { gap }),
  };
  return JSON.stringify(fields).slice(1, -1);
}
