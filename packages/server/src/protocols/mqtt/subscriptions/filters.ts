/**
 * Filters: all that one session subscribes to, each according to what it is: channels and patterns, shared
 * subscriptions, topics of the server; and what is still to be sent of what is retained.
 */
import type { Caller } from '../../../hub/hub-types.ts';
import type { Terms } from '../connection/terms.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { Window } from '../delivery/window.ts';
import type { FilterOptions, Form } from '../messages/form.ts';
import type { Place } from '../messages/place.ts';
import type { Loss } from '../session/losses.ts';
import type { SessionRecord } from '../session/record.ts';
import type { SessionParts } from '../session/session.ts';
import { SharedPlace } from '../share/shared-place.ts';
import { sharedPart, Shares } from '../share/shares.ts';
import { SysSubscriptions } from '../sys/sys-subscriptions.ts';
import { isSysFilter } from '../sys/sys.ts';
import { Retained } from './retained.ts';
import { checkFilter } from './subscribing.ts';
import { Subscriptions } from './subscriptions.ts';

/** What the filters of a session need of it. */
export interface FiltersSession {
  readonly parts: SessionParts;
  readonly terms: Terms;
  readonly delivery: Delivery;
  readonly window: Window;
  /** Resolves when all that the session keeps by now is stored; absent where it keeps nothing. */
  readonly store: (() => Promise<void>) | undefined;
  /** Who subscribes, now. */
  caller(): Caller;
  onLoss(loss: Loss): void;
  /** What is kept has changed, and need not be stored at once. */
  onProgress(): void;
}

/** The filters of one session. */
export class Filters {
  readonly #session: FiltersSession;
  readonly #subscriptions: Subscriptions;
  readonly #shares: Shares;
  readonly #sys: SysSubscriptions;
  readonly #retained: Retained;

  constructor(session: FiltersSession) {
    this.#session = session;
    this.#subscriptions = new Subscriptions(session);
    this.#shares = new Shares(session);
    this.#sys = new SysSubscriptions(session);
    this.#retained = new Retained(session);
  }

  get count(): number {
    return this.#subscriptions.count + this.#shares.count + this.#sys.count;
  }

  /** True when something is subscribed to that its user may not read. */
  hasForbidden(): boolean {
    const all = [this.#subscriptions, this.#shares, this.#sys];
    return all.some(({ filters }) => [...filters].some((filter) => !this.#permits(filter)));
  }

  /**
   * Goes on with those of an earlier connection; what is not allowed any more is not read any more.
   *
   * @throws {CodedError} when it can't be read now.
   */
  async resume({ subscriptions, retained = [] }: SessionRecord): Promise<void> {
    for (const { place, ...options } of subscriptions) {
      const { filter } = options;
      const shared = sharedPart(filter);
      if (isSysFilter(filter)) this.#sys.restore(options);
      else if (shared !== undefined) await this.#shares.resume(options, shared);
      else if (this.#permits(filter)) {
        await this.#subscriptions.subscribe(options, place);
      }
    }
    this.#retained.restore(retained, this.#subscriptions.all);
  }

  /** The client has what it was sent before. */
  begin(): void {
    this.#retained.advance();
  }

  /**
   * Subscribes.
   *
   * @returns what sends the retained messages, where they are wanted; to be called after the answer.
   * @throws {CodedError} that says why not.
   */
  async subscribe(options: FilterOptions, retainHandling: 0 | 1 | 2): Promise<() => void> {
    const { subscriptionsMax } = this.#session.parts.config;
    if (isSysFilter(options.filter)) return this.#sys.subscribe(options, retainHandling);
    const shared = sharedPart(options.filter);
    checkFilter(shared ?? options.filter);
    if (shared !== undefined) {
      await this.#shares.subscribe(options, shared, subscriptionsMax - this.#subscriptions.count);
      return () => {}; // What is retained is not sent (5.0 §4.8.2).
    }
    const { subscription, isNew } = await this.#subscriptions.subscribe(options);
    const isWanted = retainHandling === 0 || (retainHandling === 1 && isNew);
    return this.#retained.add(subscription, isWanted);
  }

  /** @returns false when there was nothing to unsubscribe from. */
  unsubscribe(filter: string): boolean {
    if (isSysFilter(filter)) return this.#sys.unsubscribe(filter);
    this.#retained.drop(filter);
    return this.#subscriptions.unsubscribe(filter) || this.#shares.unsubscribe(filter);
  }

  /** What a record keeps of them. */
  kept(): Pick<SessionRecord, 'subscriptions' | 'retained'> {
    return {
      subscriptions: [...this.#subscriptions.kept(), ...this.#shares.kept(), ...this.#sys.kept()],
      retained: this.#retained.kept(),
    };
  }

  /** How a message that was sent is sent again. */
  formFor(place: Place): Form {
    return place instanceof SharedPlace
      ? this.#shares.formFor(place)
      : this.#subscriptions.formFor(place.channel);
  }

  /** The link has drained, or the window: who is behind reads on. */
  advance(): void {
    this.#subscriptions.advance();
    this.#shares.onRoom();
    this.#retained.advance();
  }

  /**
   * What is shared goes over to others; to be called before it is asked what is kept.
   *
   * @param expirySeconds how long the session is kept from now on.
   */
  leaveShares(expirySeconds: number): Promise<void> {
    return this.#shares.end(expirySeconds);
  }

  /** Ends all others. */
  end(): void {
    this.#subscriptions.end();
    this.#retained.end();
    this.#sys.end();
  }

  #permits(filter: string): boolean {
    const { identity } = this.#session.caller();
    return this.#session.parts.hub.permits(identity, 'subscribe', filter);
  }
}
