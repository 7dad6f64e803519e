/** Answers of a session: what the hub found, as the frames that clients read. */
import { formatPosition, parseAfter } from '@trunkline/wire';
import type { Command, CommandId, Position, ServerFrame } from '@trunkline/wire';
import type { Start } from '../../hub/hub-types.ts';
import type { SubscribeAnswer, SubscribeRequest } from './opening.ts';

/** What a subscribe command asks of the hub. */
export function toSubscribeRequest(
  command: Extract<Command, { type: 'subscribe' }>,
): SubscribeRequest {
  const { channel, as, after, last, partial, presence, echo, snapshot } = command;
  const start: Start = {
    ...(after === undefined ? {} : { after: parseAfter(after) }),
    ...(last === undefined ? {} : { last }),
    ...(partial === undefined ? {} : { partial }),
  };
  return {
    channel,
    ...(as === undefined ? {} : { as }),
    start,
    presence: presence === true,
    echo: echo !== false,
    snapshot: snapshot === true,
  };
}

/** The answer to a publish; a volatile channel gives no position. */
export function publishedFrame(
  id: CommandId,
  channel: string,
  position: Position | undefined,
): ServerFrame {
  if (position === undefined) return { type: 'published', id, channel, volatile: true };
  const { epoch, offset } = position;
  return { type: 'published', id, channel, offset, epoch, position: formatPosition(position) };
}

/** The answer to a subscribe. */
export function subscribedFrame(
  { id, channel, as }: Extract<Command, { type: 'subscribe' }>,
  answer: SubscribeAnswer,
): ServerFrame {
  const { position, mark, recovered, gap, volatile, members, snapshot } = answer;
  return {
    type: 'subscribed',
    id,
    channel,
    ...(as === undefined ? {} : { as }),
    ...(position === undefined ? {} : { position: formatPosition(position) }),
    ...(mark === undefined ? {} : { mark }),
    ...(recovered === undefined ? {} : { recovered }),
    ...(gap === undefined ? {} : { gap }),
    ...(volatile === undefined ? {} : { volatile }),
    ...members,
    ...(snapshot === undefined ? {} : { snapshot: true }),
  };
}
