/**
 * Subscriptions: the cursors of one session, by channel or pattern.
 *
 * What is asked of one channel is done in the order asked; a channel has one cursor at most, and
 * every one that was opened is given back. What matches several of them is delivered once: the hub
 * moves channels between their cursors, and this file decides whose they are.
 */
import { CodedError, isWildcard, matchesPattern } from '@trunkline/wire';
import type { Gap, MemberPage, Position } from '@trunkline/wire';
import { Cursor } from '../../hub/cursor.ts';
import type { AnyCursor, Hub } from '../../hub/hub.ts';
import type { Caller, Start } from '../../hub/hub-types.ts';
import { SelectionCursor } from '../../hub/selection/selection-cursor.ts';
import type { SelectionSubscriber } from '../../hub/selection/selection-cursor.ts';
import type { ChannelLoss, OpenedSelection } from '../../hub/selection/selection-opening.ts';
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
  // Made when needed: most idle sessions have one subscription or none.
  #cursors: Map<string, AnyCursor> | undefined;
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
    return this.#cursors === undefined && this.#order.isIdle;
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
      const { cursor, losses, ...told } = isWildcard(channel)
        ? await this.#openPattern(request)
        : await this.#openName(request);
      if (!this.#mayStay(cursor, channel)) return;
      const members = this.#attendWith(cursor, request);
      this.#drop(channel);
      this.#cursors ??= new Map();
      this.#cursors.set(channel, cursor);
      this.#divide();
      answer({ ...told, ...members });
      for (const loss of losses) this.#session.onGap(loss.channel, loss.gap, loss.position);
      if (cursor instanceof SelectionCursor) this.#shareWithNames(channel, cursor);
      this.#hub.start(cursor);
    });
  }

  /** Unsubscribes, where there is something to unsubscribe from. @param answer called when done. */
  unsubscribe(channel: string, answer: () => void): Promise<void> {
    return this.#order.run(channel, async () => {
      await this.#end(channel);
      answer();
    });
  }

  /**
   * Does what comes behind the subscribes of a channel: a client that asks to subscribe and to
   * publish at once gets its own message [CMD-4].
   */
  behind(channel: string, work: () => Promise<void>): Promise<void> {
    return this.#order.behind(channel, work);
  }

  /** Ends what its user may not do any more. @returns the channels. */
  dropForbidden(): string[] {
    const { identity } = this.#session.caller();
    const channels = [...(this.#cursors?.keys() ?? [])];
    const forbidden = channels.filter((name) => !this.#hub.permits(identity, 'subscribe', name));
    for (const channel of forbidden) {
      this.#drop(channel);
      this.#attendance?.leave(channel);
    }
    this.#divide();
    this.#attendance?.dropForbidden((channel) => this.#hub.permits(identity, 'presence', channel));
    return forbidden;
  }

  /** The link has drained: whoever is behind reads on, each time another one first. */
  advance(): void {
    this.#attendance?.advance();
    if (this.#cursors === undefined) return;
    const cursors = [...this.#cursors.values()];
    this.#turn = (this.#turn + 1) % cursors.length;
    for (const cursor of cursors.slice(this.#turn)) this.#hub.advance(cursor);
    for (const cursor of cursors.slice(0, this.#turn)) this.#hub.advance(cursor);
  }

  /** Ends all of them, those being opened included. */
  end(): void {
    this.#ended = true;
    for (const cursor of this.#cursors?.values() ?? []) this.#hub.unsubscribe(cursor);
    this.#cursors = undefined;
    this.#attendance?.end();
  }

  async #openName(request: SubscribeRequest): Promise<Opened> {
    const { channel, start, presence, echo, snapshot } = request;
    const session = this.#session;
    const caller = session.caller();
    if (presence) this.#hub.demand(caller.identity, 'presence', channel);
    const muted = echo ? {} : { mutedSession: caller.session };
    const opened = await this.#hub.subscribe(session, caller, channel, start, {
      ...muted,
      snapshot,
    });
    try {
      const { cursor } = opened;
      const pattern = this.#cursors?.has(channel) === true ? undefined : this.#patternOf(channel);
      // Asked again, it restarts; else it goes on from where a pattern has delivered it.
      if (pattern !== undefined && cursor instanceof Cursor) {
        await this.#hub.overlaps.take(pattern, cursor);
      }
    } catch (error) {
      this.#hub.unsubscribe(opened.cursor);
      throw error;
    }
    return { ...opened, losses: [] };
  }

  async #openPattern({ channel, start, echo }: SubscribeRequest): Promise<Opened> {
    const session = this.#session;
    const caller = session.caller();
    const muted = echo ? {} : { mutedSession: caller.session };
    const starts = new Map([[channel, start]]);
    const opened = await this.#hub.subscribeMany(session, caller, starts, muted);
    try {
      await this.#shareLegs(channel, opened);
    } catch (error) {
      this.#hub.unsubscribe(opened.cursor);
      throw error;
    }
    const { cursor, losses, mark, verdicts } = opened;
    return { ...verdicts.get(channel), cursor, losses, ...(mark === undefined ? {} : { mark }) };
  }

  /** What a new pattern is to read, and earlier ones deliver already, is read there. */
  async #shareLegs(pattern: string, { cursor }: OpenedSelection): Promise<void> {
    for (const [earlier, other] of this.#cursors ?? []) {
      if (!(other instanceof SelectionCursor) || earlier === pattern) continue;
      const legs = cursor.catchUp?.left.filter(({ channel }) => matchesPattern(earlier, channel));
      await this.#hub.overlaps.shareLegs(legs ?? [], other);
    }
  }

  /** The same for channels subscribed to by their names, which read on at once. */
  #shareWithNames(pattern: string, cursor: SelectionCursor): void {
    for (const [name, other] of this.#cursors ?? []) {
      if (!(other instanceof Cursor) || !matchesPattern(pattern, name)) continue;
      this.#hub.overlaps.share(cursor, other);
    }
  }

  /** The pattern that delivers a channel which is not subscribed to by its name. */
  #patternOf(channel: string): SelectionCursor | undefined {
    for (const [pattern, cursor] of this.#cursors ?? []) {
      if (cursor instanceof SelectionCursor && matchesPattern(pattern, channel)) return cursor;
    }
    return undefined;
  }

  /** Says of each pattern which channels are delivered by others [WILD-4]. */
  #divide(): void {
    const patterns: string[] = [];
    const names = this.#cursors;
    for (const [pattern, cursor] of names ?? []) {
      if (!(cursor instanceof SelectionCursor)) continue;
      const before = patterns.slice();
      const overlaps = before.length > 0 || this.#namesIn(pattern);
      cursor.omits = overlaps
        ? (channel) =>
            names?.has(channel) === true || before.some((other) => matchesPattern(other, channel))
        : undefined;
      patterns.push(pattern);
    }
  }

  #namesIn(pattern: string): boolean {
    for (const [name, cursor] of this.#cursors ?? []) {
      if (!(cursor instanceof SelectionCursor) && matchesPattern(pattern, name)) return true;
    }
    return false;
  }

  /** Ends a subscription; what it delivered for others as well is delivered by them from here. */
  async #end(channel: string): Promise<void> {
    const cursor = this.#cursors?.get(channel);
    if (cursor === undefined) return;
    this.#cursors?.delete(channel);
    if (this.#cursors?.size === 0) this.#cursors = undefined;
    this.#divide();
    this.#attendance?.leave(channel);
    try {
      await this.#leaveToOthers(channel, cursor);
    } finally {
      this.#hub.unsubscribe(cursor);
    }
  }

  async #leaveToOthers(channel: string, cursor: AnyCursor): Promise<void> {
    const { overlaps } = this.#hub;
    if (cursor instanceof Cursor) {
      const pattern = this.#patternOf(channel);
      if (pattern !== undefined) overlaps.giveBack(cursor, pattern);
    } else if (cursor instanceof SelectionCursor) {
      for (const other of this.#cursors?.values() ?? []) {
        if (other instanceof SelectionCursor) await overlaps.handOver(cursor, other);
      }
    }
  }

  #drop(channel: string): void {
    const cursor = this.#cursors?.get(channel);
    if (cursor === undefined) return;
    this.#cursors?.delete(channel);
    if (this.#cursors?.size === 0) this.#cursors = undefined;
    this.#hub.unsubscribe(cursor);
  }

  /** As `#attend`; a cursor that can't have it ends. */
  #attendWith(cursor: AnyCursor, request: SubscribeRequest): Pick<SubscribeAnswer, 'members'> {
    try {
      return this.#attend(request);
    } catch (error) {
      this.#hub.unsubscribe(cursor);
      throw error;
    }
  }

  /** Lists the session where the namespace does, and lets it watch where it asked to. */
  #attend({ channel, presence }: SubscribeRequest): Pick<SubscribeAnswer, 'members'> {
    if (isWildcard(channel)) return {};
    const isListed = this.#hub.isListed(channel);
    if (!isListed && !presence) return {};
    this.#attendance ??= new Attendance(this.#hub, this.#session);
    if (isListed) this.#attendance.enter(channel);
    if (!presence) {
      this.#attendance.unwatch(channel);
      return {};
    }
    return { members: this.#attendance.watch(channel) };
  }

  /** Those being opened count too, or a flood of subscribes would pass the limit. */
  #requireRoom(channel: string): void {
    const names = new Set([...(this.#cursors?.keys() ?? []), ...this.#order.channels]);
    names.delete(channel);
    if (names.size < this.#countMax) return;
    throw new CodedError('rate_limited', `at most ${this.#countMax} subscriptions a session`);
  }

  /**
   * False when the session ended while the cursor was being opened. @throws {CodedError} when its
   * user was changed meanwhile and may not have it.
   */
  #mayStay(cursor: AnyCursor, channel: string): boolean {
    try {
      if (this.#ended) {
        this.#hub.unsubscribe(cursor);
        return false;
      }
      this.#hub.demand(this.#session.caller().identity, 'subscribe', channel);
      return true;
    } catch (error) {
      this.#hub.unsubscribe(cursor);
      throw error;
    }
  }
}
