/**
 * Subscriptions: the cursors of one session, by channel or pattern.
 *
 * What is asked of one channel is done in the order asked; a channel has one cursor at most, and
 * every one that was opened is given back. What matches several of them is delivered once
 * (see `Overlaps`), but for those that stand apart (see `SubscriptionsApart`).
 */
import { CodedError, isWildcard } from '@trunkline/wire';
import type { Hub } from '../../hub/hub.ts';
import { Cursor } from '../../hub/cursor.ts';
import type { AnyCursor } from '../../hub/selection/overlap-entry.ts';
import type { Overlaps } from '../../hub/selection/overlaps.ts';
import { Attendance } from '../attendance.ts';
import { CommandOrder } from './command-order.ts';
import { openSubscription } from './opening.ts';
import type { SubscribeAnswer, SubscribeRequest, Subscribing } from './opening.ts';
import { SubscriptionsApart } from './subscriptions-apart.ts';
import type { SubscriptionName } from './subscriptions-apart.ts';

/** What the subscriptions of a session need of it. */
export interface SubscribingSession extends Subscribing {
  /** The session as a subscription that stands apart sees it: all that it is told has the number. */
  apart(as: number): Subscribing;
}

/** The subscriptions of one session. */
export class Subscriptions {
  readonly #hub: Hub;
  readonly #session: SubscribingSession;
  readonly #countMax: number;
  // Made when needed: many idle sessions have no subscription.
  #cursors: Overlaps | undefined;
  #apart: SubscriptionsApart | undefined;
  #attendance: Attendance | undefined;
  readonly #order = new CommandOrder();
  /** Which cursor reads on first at the next drain, so that none starves. */
  #turn = 0;
  #ended = false;

  constructor(hub: Hub, session: SubscribingSession, countMax: number) {
    this.#hub = hub;
    this.#session = session;
    this.#countMax = countMax;
  }

  /** True when there is none, and none is being opened. */
  get isEmpty(): boolean {
    return (this.#cursors?.count ?? 0) + (this.#apart?.count ?? 0) === 0 && this.#order.isIdle;
  }

  /**
   * Subscribes, or subscribes again: then the one before goes on until the answer, and when this
   * one fails it goes on after it [CMD-3], [WS-13].
   *
   * @param answer called when it is open, before any of its messages.
   * @throws {CodedError} that says why not.
   */
  subscribe(request: SubscribeRequest, answer: (answer: SubscribeAnswer) => void): Promise<void> {
    const { channel, as } = request;
    if (as !== undefined) return this.#subscribeApart(as, request, answer);
    return this.#order.run(channel, async () => {
      this.#requireRoom(request);
      const cursors = (this.#cursors ??= this.#hub.overlaps());
      const beginnings = cursors.beginningsFor(channel);
      const open = openSubscription(this.#hub, this.#session, request, beginnings);
      const { cursor, losses, ...told } = await open;
      let members: Pick<SubscribeAnswer, 'members'>;
      try {
        if (!this.#mayStay(channel)) {
          this.#hub.unsubscribe(cursor);
          return;
        }
        members = this.#attend(request);
      } catch (error) {
        this.#hub.unsubscribe(cursor);
        throw error;
      }
      cursors.settle(channel);
      answer({ ...told, ...members });
      for (const loss of losses) this.#session.onGap(loss.channel, loss.gap, loss.position);
      cursors.add(channel, cursor, beginnings);
      this.#tellAlone();
    });
  }

  /** Unsubscribes, where there is something to unsubscribe from. @param answer called when done. */
  unsubscribe({ channel, as }: SubscriptionName, answer: () => void): Promise<void> {
    const leave = (): Promise<void> => {
      if (as === undefined) this.#leave(channel);
      else this.#apart?.unsubscribe(as, channel);
      this.#tellAlone();
      answer();
      return Promise.resolve();
    };
    return as === undefined ? this.#order.run(channel, leave) : this.#order.runApart(as, leave);
  }

  /**
   * Does what comes behind the subscribes of a channel: a client that asks to subscribe and to
   * publish at once gets its own message [CMD-4].
   */
  behind(channel: string, work: () => Promise<void>): Promise<void> {
    return this.#order.behind(channel, work);
  }

  /** Tells a cursor that it is the only one, or that it is not any more. */
  #tellAlone(): void {
    const cursors = this.#all;
    for (const cursor of cursors) {
      if (cursor instanceof Cursor) cursor.isAlone = cursors.length === 1;
    }
  }

  /** Ends what its user may not do any more. @returns what was ended. */
  dropForbidden(): readonly SubscriptionName[] {
    const { identity } = this.#session.caller();
    const permits = (action: 'subscribe' | 'presence', name: string): boolean =>
      this.#hub.permits(identity, action, name);
    const channels = [...(this.#cursors?.filters ?? [])];
    const forbidden = channels.filter((name) => !permits('subscribe', name));
    for (const channel of forbidden) this.#leave(channel);
    const apart = this.#apart?.dropForbidden(permits) ?? [];
    this.#tellAlone();
    this.#attendance?.dropForbidden((channel) => permits('presence', channel));
    return [...forbidden.map((channel) => ({ channel })), ...apart];
  }

  /** The link has drained: whoever is behind reads on, each time another one first. */
  advance(): void {
    this.#attendance?.advance();
    this.#apart?.advanceAttendance();
    const cursors = this.#all;
    if (cursors.length === 0) return;
    this.#turn = (this.#turn + 1) % cursors.length;
    for (const cursor of cursors.slice(this.#turn)) this.#hub.advance(cursor);
    for (const cursor of cursors.slice(0, this.#turn)) this.#hub.advance(cursor);
    this.#cursors?.rearrange();
  }

  /** Ends all of them, those being opened included. */
  end(): void {
    this.#ended = true;
    this.#cursors?.end();
    this.#apart?.end();
    this.#attendance?.end();
  }

  /** All that read. */
  get #all(): readonly AnyCursor[] {
    const cursors = this.#cursors?.cursors ?? [];
    return this.#apart === undefined ? cursors : [...cursors, ...this.#apart.cursors];
  }

  #subscribeApart(
    as: number,
    request: SubscribeRequest,
    answer: (answer: SubscribeAnswer) => void,
  ): Promise<void> {
    return this.#order.runApart(as, async () => {
      if (this.#ended) return;
      this.#requireRoom(request);
      this.#apart ??= new SubscriptionsApart(this.#hub, (number) => this.#session.apart(number));
      await this.#apart.subscribe(as, request, answer);
      this.#tellAlone();
    });
  }

  #leave(channel: string): void {
    this.#cursors?.remove(channel);
    this.#attendance?.leave(channel);
  }

  /** Lists the session where the namespace does, and lets it watch where it asked to. */
  #attend({ channel, presence }: SubscribeRequest): Pick<SubscribeAnswer, 'members'> {
    if (isWildcard(channel)) return {};
    const isListed = this.#hub.isListed(channel);
    if (!isListed && !presence) return {};
    const attendance = (this.#attendance ??= new Attendance(this.#hub, this.#session));
    try {
      if (isListed) attendance.enter(channel);
      if (presence) return { members: attendance.watch(channel) };
    } catch (error) {
      // Who does not come to be subscribed is not listed either.
      if (this.#cursors?.has(channel) !== true) attendance.leave(channel);
      throw error;
    }
    attendance.unwatch(channel);
    return {};
  }

  /** Those being opened count too, or a flood of subscribes would pass the limit. */
  #requireRoom({ channel, as }: SubscribeRequest): void {
    const opening = new Set(this.#order.channels);
    for (const name of this.#cursors?.filters ?? []) opening.delete(name);
    const apart = new Set([...this.#order.numbers, ...(this.#apart?.numbers ?? [])]);
    let others = this.#cursors?.count ?? 0;
    if (as !== undefined) apart.delete(as);
    else if (this.#cursors?.has(channel) === true) others -= 1;
    else opening.delete(channel);
    if (others + opening.size + apart.size < this.#countMax) return;
    throw new CodedError('rate_limited', `at most ${this.#countMax} subscriptions a session`);
  }

  /**
   * False when the session ended while the cursor was being opened.
   *
   * @throws {CodedError} when its user was changed meanwhile and may not have it.
   */
  #mayStay(channel: string): boolean {
    if (this.#ended) return false;
    this.#hub.demand(this.#session.caller().identity, 'subscribe', channel);
    return true;
  }
}
