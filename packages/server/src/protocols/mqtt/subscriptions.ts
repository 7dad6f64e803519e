/**
 * Subscriptions: what one session subscribes to, as cursors of the hub.
 *
 * A message that several of them match is delivered once, with the highest QoS of them
 * ([MQTT-3.3.5-1]) and the identifiers of all ([MQTT-3.3.4-4]). What is asked for is done one after
 * another; the session sees to that.
 */
import { CodedError, isWildcard, matchesPattern, overlaps } from '@trunkline/wire';
import { Cursor } from '../../hub/cursor.ts';
import type { Hub } from '../../hub/hub.ts';
import type { Caller, Start } from '../../hub/hub-types.ts';
import type { AnyCursor } from '../../hub/selection/overlap-entry.ts';
import type { Overlaps } from '../../hub/selection/overlaps.ts';
import type { Qos, Version } from './codec/packets.ts';
import type { Delivery } from './delivery.ts';
import type { Encodings, Form } from './encoding.ts';
import { afterPlace, SentPlace } from './sent-place.ts';
import { Subscription } from './subscription.ts';
import type { FilterOptions, Loss } from './subscription.ts';

/** What the subscriptions of a session are built from. */
export interface SubscriptionsParts {
  readonly hub: Hub;
  readonly encodings: Encodings;
  readonly delivery: Delivery;
  readonly version: Version;
  /** True when each message is to say where it stands. */
  readonly positions: boolean;
  /** True when the session outlives its connection: then places are kept. */
  readonly isDurable: boolean;
  readonly countMax: number;
  /** Who subscribes, now. */
  caller(): Caller;
  onLoss(loss: Loss): void;
}

/** A subscription as a record keeps it. */
export interface KeptSubscription extends FilterOptions {
  /** Up to where it was sent; absent where it begins anew each time. */
  readonly place?: string;
}

/** What became of a filter. */
export interface Subscribed {
  readonly subscription: Subscription;
  /** False when the filter was subscribed to before. */
  readonly isNew: boolean;
}

/** The subscriptions of one session. */
export class Subscriptions {
  readonly #parts: SubscriptionsParts;
  readonly #all = new Map<string, Subscription>();
  readonly #cursors: Overlaps;
  /** Which cursor reads on first at the next drain, so that none starves. */
  #turn = 0;
  #ended = false;

  constructor(parts: SubscriptionsParts) {
    this.#parts = parts;
    this.#cursors = parts.hub.overlaps();
  }

  get count(): number {
    return this.#all.size;
  }

  /** All of them, in the order in which they were subscribed to. */
  get all(): Iterable<Subscription> {
    return this.#all.values();
  }

  /**
   * Subscribes; where the filter is subscribed to, its options change and nothing is missed
   * ([MQTT-3.8.4-3]).
   *
   * @param kept of an earlier connection: where it goes on.
   * @throws {CodedError} that says why not.
   */
  async subscribe(options: FilterOptions, kept?: string): Promise<Subscribed> {
    const before = this.#all.get(options.filter);
    if (before !== undefined && isLike(before.options, options)) {
      this.#parts.hub.demand(this.#parts.caller().identity, 'subscribe', options.filter);
      before.options = options;
      this.#arrange();
      return { subscription: before, isNew: false };
    }
    if (before === undefined && this.#all.size >= this.#parts.countMax) {
      const message = `at most ${this.#parts.countMax} subscriptions a session`;
      throw new CodedError('rate_limited', message);
    }
    const subscription = await this.#open(options, kept);
    return { subscription, isNew: before === undefined };
  }

  /** @returns false when there was nothing to unsubscribe from. */
  unsubscribe(filter: string): boolean {
    const subscription = this.#all.get(filter);
    if (subscription === undefined) return false;
    this.#all.delete(filter);
    this.#cursors.remove(filter);
    this.#parts.delivery.drop(subscription.link);
    this.#leave(subscription);
    this.#arrange();
    return true;
  }

  /** The link has drained, or the window: whoever is behind reads on, each time another one first. */
  advance(): void {
    const { cursors } = this.#cursors;
    if (cursors.length === 0) return;
    this.#turn = (this.#turn + 1) % cursors.length;
    for (const cursor of cursors.slice(this.#turn)) this.#parts.hub.advance(cursor);
    for (const cursor of cursors.slice(0, this.#turn)) this.#parts.hub.advance(cursor);
    this.#cursors.rearrange();
  }

  /** What a record keeps of them. */
  kept(): readonly KeptSubscription[] {
    return [...this.#all.values()].map(({ options, link: { place } }) => ({
      ...options,
      ...(place === undefined ? {} : { place: place.toString() }),
    }));
  }

  /** How a message of this channel is sent: what all that match it ask for together. */
  formFor(channel: string): Form {
    return this.#joined((filter) => matchesPattern(filter, channel));
  }

  /** True when something is subscribed to that its user may not read. */
  hasForbidden(): boolean {
    const { identity } = this.#parts.caller();
    const { hub } = this.#parts;
    return [...this.#all.keys()].some((filter) => !hub.permits(identity, 'subscribe', filter));
  }

  /** Ends all of them, those being opened included. */
  end(): void {
    this.#ended = true;
    this.#cursors.end();
    for (const subscription of this.#all.values()) this.#leave(subscription);
  }

  async #open(options: FilterOptions, kept: string | undefined): Promise<Subscription> {
    const { hub, delivery } = this.#parts;
    const { filter } = options;
    const encoding = this.#parts.encodings.of(this.#formOf([options]));
    const subscription = new Subscription(options, { delivery, encoding }, this.#parts.onLoss);
    const start: Start = kept === undefined ? {} : { after: afterPlace(kept), partial: true };
    const beginnings = this.#cursors.beginningsFor(filter);
    const { cursor, place } = await this.#ask(subscription, start, beginnings);
    try {
      if (this.#ended) throw new CodedError('unavailable', 'the session has ended');
      // Its user may have been changed meanwhile.
      hub.demand(this.#parts.caller().identity, 'subscribe', filter);
      this.#enter(subscription);
    } catch (error) {
      hub.unsubscribe(cursor);
      throw error;
    }
    const before = this.#all.get(filter);
    if (before !== undefined) this.#leave(before);
    subscription.link.place = place;
    this.#keepPlace(subscription);
    this.#cursors.settle(filter);
    this.#all.set(filter, subscription);
    this.#arrange();
    this.#cursors.add(filter, cursor, beginnings);
    return subscription;
  }

  async #ask(
    subscription: Subscription,
    start: Start,
    beginnings: ReturnType<Overlaps['beginningsFor']>,
  ): Promise<{ readonly cursor: AnyCursor; readonly place: SentPlace }> {
    const { hub } = this.#parts;
    const { filter, noLocal } = subscription.options;
    const caller = this.#parts.caller();
    const options = { beginnings, ...(noLocal ? { mutedSession: caller.session } : {}) };
    const kept = start.after?.kind === 'mark' ? start.after.mark : '';
    if (!isWildcard(filter)) {
      const opened = await hub.subscribe(subscription, caller, filter, start, options);
      this.#tell(
        subscription,
        opened.gap === undefined ? [] : [{ channel: filter, gap: opened.gap }],
      );
      return { cursor: opened.cursor, place: new SentPlace(opened.position ?? '') };
    }
    const starts = new Map([[filter, start]]);
    const opened = await hub.subscribeMany(subscription, caller, starts, options);
    const { gap } = opened.verdicts.get(filter) ?? {};
    const isTold = gap === undefined || opened.losses.length > 0;
    this.#tell(subscription, isTold ? opened.losses : [{ channel: filter, gap }]);
    // A place that is too long for a mark is the one that it was opened with.
    return { cursor: opened.cursor, place: new SentPlace(opened.mark ?? kept) };
  }

  #tell({ options }: Subscription, losses: readonly Loss[]): void {
    if (options.qos === 0) return;
    for (const { channel, gap } of losses) this.#parts.onLoss({ channel, gap });
  }

  /** QoS 0 goes on from what comes then. */
  #keepPlace({ options, link }: Subscription): void {
    if (!this.#parts.isDurable || options.qos === 0) link.place = undefined;
  }

  #enter(subscription: Subscription): void {
    const { hub } = this.#parts;
    const { filter } = subscription.options;
    if (isWildcard(filter) || !hub.isListed(filter)) return;
    const { identity, session } = this.#parts.caller();
    const { user, info } = identity;
    subscription.stay = hub.presence.enter(filter, {
      session,
      ...(user === undefined ? {} : { user }),
      ...(info === undefined ? {} : { info }),
    });
  }

  #leave(subscription: Subscription): void {
    if (subscription.stay !== undefined) this.#parts.hub.presence.leave(subscription.stay);
    subscription.stay = undefined;
  }

  /** Each is told of by an encoding that knows what else its messages match. */
  #arrange(): void {
    const all = [...this.#all.values()];
    for (const subscription of all) {
      const { filter } = subscription.options;
      const others = all.filter(
        (other) => other !== subscription && overlaps(filter, other.options.filter),
      );
      const matching = [subscription, ...others].map(({ options }) => options);
      subscription.link.qos = highest(matching);
      subscription.encoding =
        others.length === 0
          ? this.#parts.encodings.of(this.#formOf(matching))
          : this.#parts.encodings.overlapping(matching, (those) => this.#formOf(those));
    }
    const { cursors } = this.#cursors;
    for (const cursor of cursors) {
      if (cursor instanceof Cursor) cursor.isAlone = cursors.length === 1;
    }
  }

  #joined(matches: (filter: string) => boolean): Form {
    const options = [...this.#all.values()].map((subscription) => subscription.options);
    return this.#formOf(options.filter(({ filter }) => matches(filter)));
  }

  #formOf(matching: readonly FilterOptions[]): Form {
    const { version, positions } = this.#parts;
    const ids = matching.flatMap(({ id }) => (id === undefined ? [] : [id]));
    return {
      version,
      qos: highest(matching),
      retainAsPublished: matching.some(({ retainAsPublished }) => retainAsPublished),
      ids: ids.sort((a, b) => a - b),
      positions,
    };
  }
}

/** True when a cursor serves the one as well as the other. */
function isLike(one: FilterOptions, other: FilterOptions): boolean {
  return one.noLocal === other.noLocal && (one.qos === 0) === (other.qos === 0);
}

function highest(options: readonly FilterOptions[]): Qos {
  return options.reduce<Qos>((max, { qos }) => (qos > max ? qos : max), 0);
}
