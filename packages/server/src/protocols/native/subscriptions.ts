/**
 * Subscriptions: the cursors of one session, by channel.
 *
 * What is asked of one channel is done in the order asked; a channel has one cursor at most, and
 * every one that was opened is given back.
 */
import { CodedError } from '@trunkline/wire';
import type { Cursor } from '../../hub/cursor.ts';
import type { Hub, Opened } from '../../hub/hub.ts';
import type { Caller, Start, Subscriber } from '../../hub/hub-types.ts';

/** What the subscriptions of a session need of it. */
export interface Subscribing extends Subscriber {
  /** Who asks, now. @throws {CodedError} when nobody is known. */
  caller(): Caller;
}

/** The subscriptions of one session. */
export class Subscriptions {
  readonly #hub: Hub;
  readonly #session: Subscribing;
  readonly #countMax: number;
  // Made when needed: most idle sessions have one subscription or none.
  #cursors: Map<string, Cursor> | undefined;
  /** Work under way, by channel. */
  #order: Map<string, Promise<void>> | undefined;
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
    return this.#cursors === undefined && this.#order === undefined;
  }

  /**
   * Subscribes, or subscribes again: then the one before goes on until the answer, and when this
   * one fails it goes on after it [CMD-3], [WS-13].
   *
   * @param answer called when it is open, before any of its messages.
   * @throws {CodedError} that says why not.
   */
  subscribe(channel: string, start: Start, answer: (opened: Opened) => void): Promise<void> {
    return this.#inOrder(channel, async () => {
      this.#requireRoom(channel);
      const session = this.#session;
      const opened = await this.#hub.subscribe(session, session.caller(), channel, start);
      if (!this.#mayStay(opened.cursor)) return;
      this.#drop(channel);
      this.#cursors ??= new Map();
      this.#cursors.set(channel, opened.cursor);
      answer(opened);
      this.#hub.start(opened.cursor);
    });
  }

  /** Unsubscribes, where there is something to unsubscribe from. @param answer called when done. */
  unsubscribe(channel: string, answer: () => void): Promise<void> {
    return this.#inOrder(channel, async () => {
      this.#drop(channel);
      answer();
    });
  }

  /**
   * Does what comes behind the subscribes of a channel: a client that asks to subscribe and to
   * publish at once gets its own message [CMD-4].
   */
  behind(channel: string, work: () => Promise<void>): Promise<void> {
    const before = this.#order?.get(channel);
    return before === undefined ? work() : before.then(work, work);
  }

  /** Ends what its user may not do any more. @returns the channels. */
  dropForbidden(): string[] {
    const { identity } = this.#session.caller();
    const channels = [...(this.#cursors?.keys() ?? [])];
    const forbidden = channels.filter((name) => !this.#hub.permits(identity, 'subscribe', name));
    for (const channel of forbidden) this.#drop(channel);
    return forbidden;
  }

  /** The link has drained: whoever is behind reads on, each time another one first. */
  advance(): void {
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
  }

  #drop(channel: string): void {
    const cursor = this.#cursors?.get(channel);
    if (cursor === undefined) return;
    this.#cursors?.delete(channel);
    if (this.#cursors?.size === 0) this.#cursors = undefined;
    this.#hub.unsubscribe(cursor);
  }

  /** Those being opened count too, or a flood of subscribes would pass the limit. */
  #requireRoom(channel: string): void {
    const names = new Set([...(this.#cursors?.keys() ?? []), ...(this.#order?.keys() ?? [])]);
    names.delete(channel);
    if (names.size < this.#countMax) return;
    throw new CodedError('rate_limited', `at most ${this.#countMax} subscriptions a session`);
  }

  /**
   * False when the session ended while the cursor was being opened. @throws {CodedError} when its
   * user was changed meanwhile and may not have it.
   */
  #mayStay(cursor: Cursor): boolean {
    try {
      if (this.#ended) {
        this.#hub.unsubscribe(cursor);
        return false;
      }
      this.#hub.demand(this.#session.caller().identity, 'subscribe', cursor.channel.name);
      return true;
    } catch (error) {
      this.#hub.unsubscribe(cursor);
      throw error;
    }
  }

  #inOrder(channel: string, work: () => Promise<void>): Promise<void> {
    const order = (this.#order ??= new Map<string, Promise<void>>());
    const before = order.get(channel);
    const done = before === undefined ? work() : before.then(work, work);
    order.set(channel, done);
    return done.finally(() => {
      if (order.get(channel) === done) order.delete(channel);
      if (order.size === 0 && this.#order === order) this.#order = undefined;
    });
  }
}
