/**
 * Subscriptions: what one session subscribes to, as cursors of the hub.
 *
 * A message that several of them match is delivered once, with the highest QoS of them
 * ([MQTT-3.3.5-1]) and the identifiers of all ([MQTT-3.3.4-4]). What is asked for is done one after
 * another; the session sees to that.
 */
import { CodedError, isWildcard, matchesPattern, overlaps } from '@trunkline/wire';
import { Cursor } from '../../../hub/cursor.ts';
import type { Encoding } from '../../../hub/hub-types.ts';
import type { Overlaps } from '../../../hub/selection/overlaps.ts';
import { SelectionCursor } from '../../../hub/selection/selection-cursor.ts';
import type { Delivery } from '../delivery/delivery.ts';
import { SentPlace } from '../delivery/sent-place.ts';
import { formOf } from '../messages/form.ts';
import type { FilterOptions, Form } from '../messages/form.ts';
import type { Loss } from '../session/losses.ts';
import type { FiltersSession } from './filters.ts';
import { openCursor } from './opening.ts';
import { Subscription } from './subscription.ts';
import type { SubscriptionOwner } from './subscription.ts';

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

/**
 * Characters of all places in a record, above which marks are kept alone: a store takes 1 MB, and this
 * leaves enough for the rest.
 */
const PLACES_LENGTH_MAX = 400_000;

/** What most sessions have. */
const NONE_RETIRED: readonly Subscription[] = [];

/** The subscriptions of one session. */
export class Subscriptions implements SubscriptionOwner {
  readonly #session: FiltersSession;
  readonly #all = new Map<string, Subscription>();
  /** Those that were given up or replaced, and whose cursors go on for others. */
  #retired = NONE_RETIRED;
  readonly #cursors: Overlaps;
  /** Which cursor reads on first at the next drain, so that none starves. */
  #turn = 0;
  #ended = false;

  constructor(session: FiltersSession) {
    this.#session = session;
    this.#cursors = session.parts.hub.overlaps();
  }

  get delivery(): Delivery {
    return this.#session.delivery;
  }

  get count(): number {
    return this.#all.size;
  }

  get filters(): Iterable<string> {
    return this.#all.keys();
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
    if (before !== undefined) {
      this.#session.parts.hub.demand(this.#session.caller().identity, 'subscribe', options.filter);
      if (this.#change(before, options)) return { subscription: before, isNew: false };
    }
    const { subscriptionsMax } = this.#session.parts.config;
    // Those that were given up and go on for others count too. What was kept was within the limit of
    // its time.
    const countMax = before === undefined ? subscriptionsMax - 1 : subscriptionsMax;
    if (kept === undefined && this.#cursors.count > countMax) {
      const message = `at most ${subscriptionsMax} subscriptions a session`;
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
    // What others want of what waits is sent to its end.
    if (subscription.others.size === 0) this.#session.delivery.drop(subscription.link);
    this.#leave(subscription);
    this.#part(subscription);
    return true;
  }

  /** The link has drained, or the window: whoever is behind reads on, each time another one first. */
  advance(): void {
    const { cursors } = this.#cursors;
    if (cursors.length === 0) return;
    this.#turn = (this.#turn + 1) % cursors.length;
    for (const cursor of cursors.slice(this.#turn)) this.#session.parts.hub.advance(cursor);
    for (const cursor of cursors.slice(0, this.#turn)) this.#session.parts.hub.advance(cursor);
    this.#cursors.rearrange();
  }

  /** What a record keeps of them. */
  kept(): readonly KeptSubscription[] {
    let room = PLACES_LENGTH_MAX;
    return [...this.#all.values()].map(({ options, place }) => {
      if (place === undefined) return options;
      const text = place.textWithin(room);
      room -= text.length;
      return { ...options, place: text };
    });
  }

  /** How a message of this channel is sent: what all that match it ask for together. */
  formFor(channel: string): Form {
    const options = [...this.#all.values()].map((subscription) => subscription.options);
    return this.#formOf(options.filter(({ filter }) => matchesPattern(filter, channel)));
  }

  /** Ends all of them, those being opened included. */
  end(): void {
    this.#ended = true;
    this.#cursors.end();
    for (const subscription of this.#all.values()) this.#leave(subscription);
  }

  async #open(options: FilterOptions, kept: string | undefined): Promise<Subscription> {
    const { hub } = this.#session.parts;
    const { filter } = options;
    const subscription = new Subscription(options, this);
    const beginnings = this.#cursors.beginningsFor(filter);
    const caller = this.#session.caller();
    const opening = { caller, filter, kept, beginnings };
    const { cursor, losses, place } = await openCursor(hub, subscription, opening);
    if (options.qos > 0) for (const loss of losses) this.onLoss(loss);
    try {
      if (this.#ended) throw new CodedError('unavailable', 'the session has ended');
      // Its user may have been changed meanwhile.
      hub.demand(this.#session.caller().identity, 'subscribe', filter);
      this.#enter(subscription);
    } catch (error) {
      hub.unsubscribe(cursor);
      throw error;
    }
    const before = this.#all.get(filter);
    if (before !== undefined) {
      this.#leave(before);
      this.#part(before);
    }
    subscription.cursor = cursor;
    // QoS 0 goes on from what comes then.
    if (this.#isDurable && options.qos > 0) subscription.place = new SentPlace(place);
    this.#cursors.settle(filter);
    this.#all.set(filter, subscription);
    this.#join(subscription);
    this.#cursors.add(filter, cursor, beginnings);
    this.#tellAlone();
    return subscription;
  }

  onLoss(loss: Loss): void {
    this.#session.onLoss(loss);
  }

  #enter(subscription: Subscription): void {
    const { hub } = this.#session.parts;
    const { filter } = subscription.options;
    if (isWildcard(filter) || !hub.isListed(filter)) return;
    const { identity, session } = this.#session.caller();
    const { user, info } = identity;
    subscription.stay = hub.presence.enter(filter, {
      session,
      ...(user === undefined ? {} : { user }),
      ...(info === undefined ? {} : { info }),
    });
  }

  #leave(subscription: Subscription): void {
    if (subscription.stay !== undefined) this.#session.parts.hub.presence.leave(subscription.stay);
    subscription.stay = undefined;
  }

  /**
   * Gives a subscription other options, and leaves it where it is.
   *
   * @returns false where it needs a place and can't tell one: then it is opened anew.
   */
  #change(subscription: Subscription, options: FilterOptions): boolean {
    const { cursor, place } = subscription;
    if (options.qos === 0) {
      subscription.place = undefined;
    } else if (this.#isDurable && place === undefined) {
      // What a pattern still delivers for it is no place of its own.
      const isWaiting = cursor?.state === 'waiting';
      if (isWaiting || cursor instanceof SelectionCursor) return false;
      // A volatile channel has no places.
      if (cursor instanceof Cursor) subscription.place = new SentPlace(cursor.place);
    }
    subscription.options = options;
    for (const one of [subscription, ...subscription.others, ...this.#retired]) this.#arrange(one);
    return true;
  }

  /** Finds out once what it has in common with others. */
  #join(subscription: Subscription): void {
    this.#joinRetired(subscription);
    const { filter, qos, noLocal } = subscription.options;
    for (const other of this.#all.values()) {
      if (other === subscription || !overlaps(filter, other.options.filter)) continue;
      other.join(subscription);
      subscription.join(other);
      other.forgetEncoding();
      if (qos > other.link.qos) other.link.qos = qos;
      if (!noLocal) mute(other, undefined);
    }
    this.#arrange(subscription);
  }

  /** What still reads for others reads for this one too, where both match. */
  #joinRetired(subscription: Subscription): void {
    this.#retired = this.#retired.filter(isReading);
    for (const retired of this.#retired) {
      if (!overlaps(subscription.options.filter, retired.options.filter)) continue;
      retired.join(subscription);
      this.#arrange(retired);
    }
  }

  /** Nobody knows it any more. It knows the others as long as it goes on for them. */
  #part(subscription: Subscription): void {
    for (const other of subscription.others) {
      other.part(subscription);
      this.#arrange(other);
    }
    this.#retired = this.#retired.filter(isReading);
    for (const retired of this.#retired) {
      if (!retired.others.has(subscription)) continue;
      retired.part(subscription);
      this.#arrange(retired);
    }
    this.#retired = [...this.#retired, subscription];
    this.#arrange(subscription);
    this.#tellAlone();
  }

  /** What it has to do with others has changed. */
  #arrange(subscription: Subscription): void {
    const { options, others, link } = subscription;
    const isOwn = this.#all.get(options.filter) === subscription;
    let qos = isOwn ? options.qos : 0;
    let isMuted = !isOwn || options.noLocal;
    // Nothing is made of it: one that changes has this done for all that it overlaps with.
    for (const other of others) {
      if (other.options.qos > qos) qos = other.options.qos;
      isMuted &&= other.options.noLocal;
    }
    subscription.forgetEncoding();
    link.qos = qos;
    mute(subscription, isMuted ? this.#session.caller().session : undefined);
  }

  /** The session outlives its connection: then places are kept. */
  get #isDurable(): boolean {
    return this.#session.terms.expirySeconds > 0;
  }

  /** What may match the same messages, the subscription itself unless it was given up. */
  #matching(subscription: Subscription): readonly FilterOptions[] {
    const { options, others } = subscription;
    const own = this.#all.get(options.filter) === subscription ? [options] : [];
    return [...own, ...Array.from(others, (other) => other.options)];
  }

  encodingFor(subscription: Subscription): Encoding {
    const { encodings } = this.#session.parts;
    const matching = this.#matching(subscription);
    if (matching.length === 1) return encodings.of(this.#formOf(matching));
    const locals = matching.filter(({ noLocal }) => !noLocal).length;
    if (locals === 0 || locals === matching.length) {
      return encodings.overlapping(matching, (those) => this.#formOf(those));
    }
    // Whether its own messages are left out depends on the channel: a cursor knows one answer for all.
    const { session } = this.#session.caller();
    return encodings.own(matching, (those) => ({
      ...this.#formOf(those),
      mutedSession: those.every(({ noLocal }) => noLocal) ? session : undefined,
    }));
  }

  /** Who is the only one need not wait for what others have for the same link. */
  #tellAlone(): void {
    const { cursors } = this.#cursors;
    for (const cursor of cursors) {
      if (cursor instanceof Cursor) cursor.isAlone = cursors.length === 1;
    }
  }

  #formOf(matching: readonly FilterOptions[]): Form {
    return formOf(this.#session.terms, matching);
  }
}

/** Leaves out what a session published itself. */
function mute({ cursor }: Subscription, session: string | undefined): void {
  if (cursor !== undefined) cursor.mutedSession = session;
}

/** True for one whose cursor has not ended. */
function isReading({ cursor }: Subscription): boolean {
  return cursor !== undefined && cursor.state !== 'ended';
}
