/**
 * Opening: what a client asks to subscribe to becomes a cursor that delivers nothing yet, and an
 * answer.
 */
import { isWildcard } from '@trunkline/wire';
import type { Gap, MemberPage, Position } from '@trunkline/wire';
import type { Hub } from '../../hub/hub.ts';
import type { Caller, Start } from '../../hub/hub-types.ts';
import type { Beginnings } from '../../hub/selection/beginnings.ts';
import type { AnyCursor } from '../../hub/selection/overlap-entry.ts';
import type { SelectionSubscriber } from '../../hub/selection/selection-cursor.ts';
import type { ChannelLoss } from '../../hub/selection/selection-opening.ts';
import type { Snapshot } from '../../hub/snapshots.ts';
import type { Attending } from '../attendance.ts';

/** What a subscription needs of its session. */
export interface Subscribing extends SelectionSubscriber, Attending {
  /** Who asks, now. @throws {CodedError} when nobody is known. */
  caller(): Caller;
}

/** What a client asks for. */
export interface SubscribeRequest {
  readonly channel: string;
  /** Its number, where it is to stand apart from the others of its session [APART-1]. */
  readonly as?: number;
  readonly start: Start;
  /** Asks to be told of joins and leaves. */
  readonly presence: boolean;
  /** False leaves out what the session itself publishes. */
  readonly echo: boolean;
  readonly snapshot: boolean;
}

/** What it is answered. */
export interface SubscribeAnswer {
  readonly position?: Position;
  readonly mark?: string;
  readonly recovered?: boolean;
  readonly gap?: Gap;
  readonly volatile?: true;
  readonly snapshot?: Snapshot;
  /** Who is there, where that was asked for. */
  readonly members?: MemberPage;
}

/** An answer, and what is to be let run after it. */
export interface Opened extends SubscribeAnswer {
  readonly cursor: AnyCursor;
  readonly losses: readonly ChannelLoss[];
}

/**
 * Opens a subscription to a channel or a pattern.
 *
 * @param beginnings what is known of others of the session that have the same channels.
 * @throws {CodedError} that says why not.
 */
export function openSubscription(
  hub: Hub,
  subscriber: Subscribing,
  request: SubscribeRequest,
  beginnings?: Beginnings,
): Promise<Opened> {
  const open = isWildcard(request.channel) ? openPattern : openName;
  return open(hub, subscriber, request, beginnings);
}

async function openName(
  hub: Hub,
  subscriber: Subscribing,
  { channel, start, presence, echo, snapshot }: SubscribeRequest,
  beginnings: Beginnings | undefined,
): Promise<Opened> {
  const caller = subscriber.caller();
  if (presence) hub.demand(caller.identity, 'presence', channel);
  const muted = echo ? {} : { mutedSession: caller.session };
  const options = { ...muted, beginnings, snapshot };
  const opened = await hub.subscribe(subscriber, caller, channel, start, options);
  return { ...opened, losses: [] };
}

async function openPattern(
  hub: Hub,
  subscriber: Subscribing,
  { channel, start, echo }: SubscribeRequest,
  beginnings: Beginnings | undefined,
): Promise<Opened> {
  const caller = subscriber.caller();
  const muted = echo ? {} : { mutedSession: caller.session };
  const starts = new Map([[channel, start]]);
  const opened = await hub.subscribeMany(subscriber, caller, starts, { ...muted, beginnings });
  const { cursor, losses, mark, verdicts } = opened;
  return { ...verdicts.get(channel), cursor, losses, ...(mark === undefined ? {} : { mark }) };
}
