/** A draft that was given its place. */
import type { Draft, Message } from '@trunkline/wire';

/** When a draft given its place at `time` expires; `undefined` for never. */
export function expiryOf({ ttl }: Draft, time: number): number | undefined {
  return ttl === undefined ? undefined : Math.min(Math.ceil(time + ttl), Number.MAX_SAFE_INTEGER);
}

/** The message of a draft; fields that are no part of a message are left out. */
export function toMessage(draft: Draft, offset: number, time: number): Message {
  const { payload, contentType, event, from, attributes } = draft;
  const message: { -readonly [Field in keyof Message]: Message[Field] } = { offset, time, payload };
  const expiresAt = expiryOf(draft, time);
  if (contentType !== undefined) message.contentType = contentType;
  if (event !== undefined) message.event = event;
  if (from !== undefined) message.from = from;
  if (expiresAt !== undefined) message.expiresAt = expiresAt;
  if (attributes !== undefined) message.attributes = attributes;
  return message;
}
