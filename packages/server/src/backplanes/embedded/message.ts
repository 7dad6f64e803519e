/** A draft that was given its place. */
import type { Draft, Message } from '@trunkline/wire';

/** The message of a draft; fields that are no part of a message are left out. */
export function toMessage(draft: Draft, offset: number, time: number): Message {
  const { payload, contentType, event, from } = draft;
  return {
    offset,
    time,
    payload,
    ...(contentType !== undefined && { contentType }),
    ...(event !== undefined && { event }),
    ...(from !== undefined && { from }),
  };
}
