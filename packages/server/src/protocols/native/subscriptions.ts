/**
 * Subscriptions: the cursors of one session, by channel or pattern.
 *
 * What is asked of one channel is done in the order asked; a channel has one cursor at most, and
 * every one that was opened is given back. What matches several of them is delivered once
 * (see `Overlaps`).
 */
import { CodedError, isWildcard } from '@trunkline/wire';
import type { Gap, MemberPage, Position } from '@trunkline/wire';
import type { Hub } from '../../hub/hub.ts';
import type { Caller, Start } from '../../hub/hub-types.ts';
import type { Beginnings } from '../../hub/selection/beginnings.ts';
import { Cursor } from '../../hub/cursor.ts';
import type { AnyCursor } from '../../hub/selection/overlap-entry.ts';
import type { Overlaps } from '../../hub/selection/overlaps.ts';
import type { SelectionSubscriber } from '../../hub/selection/selection-cursor.ts';
import type { ChannelLoss } from '../../hub/selection/selection-opening.ts';
import type { Snapshot } from '../../hub/snapshots.ts';
import { Attendance } from '../attendance.ts';
import type { Attending } from '../attendance.ts';
import { CommandOrder } from './command-order.ts';

/** What the subscriptions of a session need of it. */
export interface Subscribing extends SelectionSubscriber, Attending {
  /** Who asks, now. @throws {CodedError} when nobody is known. */
  caller(): Caller;
}

/** What a client asks for. */
export interface SubscribeRequest {
  readonly channel: string;
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
interface Opened extends SubscribeAnswer {
  readonly cursor: AnyCursor;
  readonly losses: readonly ChannelLoss[];
}

/** The subscriptions of one session. */
export class Subscriptions {
  readonly #hub: Hub;
  readonly #session: Subscribing;
  readonly #countMax: number;
  // Made when needed: many idle sessions have no subscription.
  #cursors: Overlaps | undefined;
  #attendance: Attendance | undefined;
  readonly #order = new CommandOrder();
  /** Which cursor reads on first at the next drain, so that none starves. */
  #turn = 0;
  #ended = false;

  constructor(hub: Hub, session: Subscribing, countMax: number) {
    this.#hub = hub;
    this.#session = session;
    this.#countMax = countMax;
  }

  /** True when there is none, and none is being opened. */
  get isEmpty(): boolean {
    return (this.#cursors?.count ?? 0) === 0 && this.#order.isIdle;
  }

  /**
   * Subscribes, or subscribes again: then the one before goes on until the answer, and when this
   * one fails it goes on after it [CMD-3], [WS-13].
   *
   * @param answer called when it is open, before any of its messages.
   * @throws {CodedError} that says why not.
   */
  subscribe(request: SubscribeRequest, answer: (answer: SubscribeAnswer) => void): Promise<void> {
    const { channel } = request;
    return this.#order.run(channel, async () => {
      this.#requireRoom(channel);
      const cursors = (this.#cursors ??= this.#hub.overlaps());
      const beginnings = cursors.beginningsFor(channel);
      const open = isWildcard(channel)
        ? this.#openPattern(request, beginnings)
        : this.#openName(request, beginnings);
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
  unsubscribe(channel: string, answer: () => void): Promise<void> {
    return this.#order.run(channel, () => {
      this.#leave(channel);
      this.#tellAlone();
      answer();
      return Promise.resolve();
    });
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
    const cursors = this.#cursors?.cursors ?? [];
    for (const cursor of cursors) {
      if (cursor instanceof Cursor) cursor.isAlone = cursors.length === 1;
    }
  }

  /** Ends what its user may not do any more. @returns the channels. */
  dropForbidden(): string[] {
    const { identity } = this.#session.caller();
    const channels = [...(this.#cursors?.filters ?? [])];
    const forbidden = channels.filter((name) => !this.#hub.permits(identity, 'subscribe', name));
    for (const channel of forbidden) this.#leave(channel);
    this.#tellAlone();
    this.#attendance?.dropForbidden((channel) => this.#hub.permits(identity, 'presence', channel));
    return forbidden;
  }

  /** The link has drained: whoever is behind reads on, each time another one first. */
  advance(): void {
    this.#attendance?.advance();
    const cursors = this.#cursors?.cursors ?? [];
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
    this.#attendance?.end();
  }

  async #openName(request: SubscribeRequest, beginnings?: Beginnings): Promise<Opened> {
    const { channel, start, presence, echo, snapshot } = request;
    const session = this.#session;
    const caller = session.caller();
    if (presence) this.#hub.demand(caller.identity, 'presence', channel);
    const muted = echo ? {} : { mutedSession: caller.session };
    const opened = await this.#hub.subscribe(session, caller, channel, start, {
      ...muted,
      beginnings,
      snapshot,
    });
    return { ...opened, losses: [] };
  }

  async #openPattern(
    { channel, start, echo }: SubscribeRequest,
    beginnings?: Beginnings,
  ): Promise<Opened> {
    const session = this.#session;
    const caller = session.caller();
    const muted = echo ? {} : { mutedSession: caller.session };
    const starts = new Map([[channel, start]]);
    const { cursor, losses, mark, verdicts } = await this.#hub.subscribeMany(
      session,
      caller,
      starts,
      { ...muted, beginnings },
    );
    return { ...verdicts.get(channel), cursor, losses, ...(mark === undefined ? {} : { mark }) };
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
  #requireRoom(channel: string): void {
    const opening = new Set(this.#order.channels);
    opening.delete(channel);
    for (const name of this.#cursors?.filters ?? []) opening.delete(name);
    const others = (this.#cursors?.count ?? 0) - (this.#cursors?.has(channel) === true ? 1 : 0);
    if (others + opening.size < this.#countMax) return;
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
