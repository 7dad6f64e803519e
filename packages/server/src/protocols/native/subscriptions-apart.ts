/**
 * SubscriptionsApart: the subscriptions of one session that stand apart, by the number that the
 * client gave each. None is compared with another one, nor with those without a number [APART-1].
 */
import { isWildcard } from '@trunkline/wire';
import type { MemberPage } from '@trunkline/wire';
import type { Hub } from '../../hub/hub.ts';
import type { AnyCursor } from '../../hub/selection/overlap-entry.ts';
import { Attendance } from '../attendance.ts';
import { openSubscription } from './opening.ts';
import type { SubscribeAnswer, SubscribeRequest, Subscribing } from './opening.ts';

/** A subscription that has ended, or is to. */
export interface SubscriptionName {
  readonly channel: string;
  /** Where it stands apart. */
  readonly as?: number;
}

interface Apart {
  readonly channel: string;
  readonly cursor: AnyCursor;
  /** Absent where it neither lists the session nor watches. */
  readonly attendance: Attendance | undefined;
}

/** Those of one session. What is asked of one number comes one after another. */
export class SubscriptionsApart {
  readonly #hub: Hub;
  readonly #subscriberOf: (as: number) => Subscribing;
  readonly #all = new Map<number, Apart>();
  #ended = false;

  /** @param subscriberOf the session as the subscription with this number sees it. */
  constructor(hub: Hub, subscriberOf: (as: number) => Subscribing) {
    this.#hub = hub;
    this.#subscriberOf = subscriberOf;
  }

  /** The numbers that are subscribed to something. */
  get numbers(): Iterable<number> {
    return this.#all.keys();
  }

  /** How many there are. */
  get count(): number {
    return this.#all.size;
  }

  /** All that read, in the order in which they were first subscribed to. */
  get cursors(): readonly AnyCursor[] {
    return [...this.#all.values()].map(({ cursor }) => cursor);
  }

  /**
   * Subscribes, or subscribes again: then the one before, whatever its channel, goes on until the
   * answer, and when this one fails it goes on after it [APART-4].
   *
   * @param answer called when it is open, before any of its messages.
   * @throws {CodedError} that says why not.
   */
  async subscribe(
    as: number,
    request: SubscribeRequest,
    answer: (answer: SubscribeAnswer) => void,
  ): Promise<void> {
    const { channel } = request;
    const hub = this.#hub;
    const subscriber = this.#subscriberOf(as);
    const { cursor, losses, ...told } = await openSubscription(hub, subscriber, request);
    if (this.#ended) {
      hub.unsubscribe(cursor);
      return;
    }
    let attending: Attended;
    try {
      // Its user may have been changed meanwhile.
      hub.demand(subscriber.caller().identity, 'subscribe', channel);
      attending = attend(hub, subscriber, request);
    } catch (error) {
      hub.unsubscribe(cursor);
      throw error;
    }
    const { attendance, ...members } = attending;
    answer({ ...told, ...members });
    this.#leave(as);
    this.#all.set(as, { channel, cursor, attendance });
    for (const loss of losses) subscriber.onGap(loss.channel, loss.gap, loss.position);
    hub.start(cursor);
  }

  /** Ends one, if that is what it is subscribed to. */
  unsubscribe(as: number, channel: string): void {
    if (this.#all.get(as)?.channel !== channel) return;
    this.#leave(as);
    this.#all.delete(as);
  }

  /** Ends what its user may not do any more. @returns what was ended. */
  dropForbidden(permits: (action: 'subscribe' | 'presence', channel: string) => boolean) {
    const dropped: Required<SubscriptionName>[] = [];
    for (const [as, { channel, attendance }] of [...this.#all]) {
      attendance?.dropForbidden((name) => permits('presence', name));
      if (permits('subscribe', channel)) continue;
      this.unsubscribe(as, channel);
      dropped.push({ channel, as });
    }
    return dropped;
  }

  /** The link has drained: what was left out of presence is told as a snapshot. */
  advanceAttendance(): void {
    for (const { attendance } of this.#all.values()) attendance?.advance();
  }

  /** Ends all of them, those being opened included. */
  end(): void {
    this.#ended = true;
    for (const as of this.#all.keys()) this.#leave(as);
    this.#all.clear();
  }

  #leave(as: number): void {
    const apart = this.#all.get(as);
    if (apart === undefined) return;
    this.#hub.unsubscribe(apart.cursor);
    apart.attendance?.end();
  }
}

interface Attended {
  readonly attendance: Attendance | undefined;
  readonly members?: MemberPage;
}

/** Lists the session where the namespace does, and lets it watch where it asked to. */
function attend(
  hub: Hub,
  subscriber: Subscribing,
  { channel, presence }: SubscribeRequest,
): Attended {
  const isListed = !isWildcard(channel) && hub.isListed(channel);
  const watches = !isWildcard(channel) && presence;
  if (!isListed && !watches) return { attendance: undefined };
  // The session is one member, however many of its subscriptions enter [APART-3].
  const attendance = new Attendance(hub, subscriber);
  try {
    if (isListed) attendance.enter(channel);
    if (!watches) return { attendance };
    return { attendance, members: attendance.watch(channel) };
  } catch (error) {
    attendance.end();
    throw error;
  }
}
