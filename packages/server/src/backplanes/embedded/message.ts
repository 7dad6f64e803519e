/** A draft that was given its place. */
import type { Draft, Message } from '@trunkline/wire';

/** When a draft given its place at `time` expires; `undefined` for never. */
export function expiryOf({ ttl }: Draft, time: number): number | undefined {
  return ttl === undefined ? undefined : Math.min(Math.ceil(time + ttl), Number.MAX_SAFE_INTEGER);
}

/** The message of a draft; fields that are no part of a message are left out. */
export function toMessage(draft: Draft, offset: number, time: number): Message {
  const { payload, contentType, event, from } = draft;
  const expiresAt = expiryOf(draft, time);
  return {
    offset,
    time,
    payload,
    ...(contentType !== undefined && { contentType }),
    ...(event !== undefined && { event }),
    ...(from !== undefined && { from }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
}
