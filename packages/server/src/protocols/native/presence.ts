/** Presence over a session: pushes, and the command as presence reads it. */
import {
  BINARY_SUBPROTOCOL,
  CodedError,
  encodeJsonRecord,
  JSON_SUBPROTOCOL,
} from '@trunkline/wire';
import type { Command, CommandId, MemberPage, ServerFrame } from '@trunkline/wire';
import { PAGE_COUNT_DEFAULT, PAGE_COUNT_MAX } from '../../hub/presence/config.ts';
import type {
  PageRequest,
  PresenceEncoding,
  PresenceEvent,
} from '../../hub/presence/presence-types.ts';

/**
 * A batch is one text frame, one push a line [PRES-5].
 *
 * @param as the number of the subscription it is for, where that stands apart.
 */
export function jsonPresence(as?: number): PresenceEncoding {
  return {
    name: JSON_SUBPROTOCOL,
    text: true,
    encode(channel, events) {
      const lines = events.map((event) => JSON.stringify(toPresenceFrame(channel, event, as)));
      return Buffer.from(lines.join('\n'), 'utf8');
    },
  };
}

/** The same as binary records [BIN-4]. */
export function binaryPresence(as?: number): PresenceEncoding {
  return {
    name: BINARY_SUBPROTOCOL,
    text: false,
    encode(channel, events) {
      const records = events.map((event) =>
        encodeJsonRecord(JSON.stringify(toPresenceFrame(channel, event, as))),
      );
      return Buffer.concat(records);
    },
  };
}

/** For sessions that speak JSON. */
export const nativePresence: PresenceEncoding = jsonPresence();

/** For sessions that speak the binary encoding. */
export const nativeBinaryPresence: PresenceEncoding = binaryPresence();

/** The push that tells a watcher of an event. */
export function toPresenceFrame(channel: string, event: PresenceEvent, as?: number): ServerFrame {
  const number = as === undefined ? {} : { as };
  if (event.kind === 'snapshot') return { type: 'presence', channel, ...event.page, ...number };
  return { type: event.kind, channel, member: event.member, ...number };
}

/** The answer to a presence command. */
export function toPageFrame(id: CommandId, channel: string, page: MemberPage): ServerFrame {
  return { type: 'presence', id, channel, ...page };
}

/**
 * What a presence command asks for.
 *
 * @throws {CodedError} `bad_request` when it asks for too much [PRES-8].
 */
export function toPageRequest(command: Extract<Command, { type: 'presence' }>): PageRequest {
  const { limit = PAGE_COUNT_DEFAULT, after } = command;
  if (limit < 1 || limit > PAGE_COUNT_MAX) {
    const message = `limit must be a whole number from 1 to ${PAGE_COUNT_MAX}, got ${limit}`;
    throw new CodedError('bad_request', message);
  }
  return { countMax: limit, ...(after === undefined ? {} : { after }) };
}
