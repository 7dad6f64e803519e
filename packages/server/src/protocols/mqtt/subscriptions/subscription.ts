/**
 * Subscription: one filter of a session, as the hub sees it: a subscriber with a link and an encoding of
 * its own.
 */
import { matchesPattern } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { Encoding } from '../../../hub/hub-types.ts';
import type { Stay } from '../../../hub/presence/presence.ts';
import type { AnyCursor } from '../../../hub/selection/overlap-entry.ts';
import type { SelectionSubscriber } from '../../../hub/selection/selection-cursor.ts';
import type { Delivery } from '../delivery/delivery.ts';
import { Outlet } from '../delivery/outlet.ts';
import type { SentPlace } from '../delivery/sent-place.ts';
import type { FilterOptions } from '../messages/form.ts';
import type { BatchEnd, Place } from '../messages/place.ts';
import type { Loss } from '../session/losses.ts';

/** What a subscription needs of those that its session has. */
export interface SubscriptionOwner {
  readonly delivery: Delivery;
  /** How its messages are to be told, by what else they match. */
  encodingFor(subscription: Subscription): Encoding;
  onLoss(loss: Loss): void;
}

const NO_OTHERS: ReadonlySet<Subscription> = new Set();

/** A filter that is subscribed to. */
export class Subscription implements SelectionSubscriber {
  readonly link: Outlet;
  options: FilterOptions;
  /** What reads for it, once that is opened. */
  cursor: AnyCursor | undefined;
  /** Up to where it was sent; kept for sessions that outlive their connection. */
  place: SentPlace | undefined;
  /** Where its namespace lists who subscribes. */
  stay: Stay | undefined;
  readonly #owner: SubscriptionOwner;
  #encoding: Encoding | undefined;
  /** Made for those that overlap: most do not. */
  #others: Set<Subscription> | undefined;

  constructor(options: FilterOptions, owner: SubscriptionOwner) {
    this.options = options;
    this.#owner = owner;
    this.link = new Outlet(owner.delivery, options.qos);
    this.link.place = this;
  }

  /** Made when it is needed: what it depends on may change a thousand times before. */
  get encoding(): Encoding {
    this.#encoding ??= this.#owner.encodingFor(this);
    return this.#encoding;
  }

  /** Others of its session that match a channel which it matches too. */
  get others(): ReadonlySet<Subscription> {
    return this.#others ?? NO_OTHERS;
  }

  /** Another one matches a channel which it matches too. */
  join(other: Subscription): void {
    this.#others ??= new Set();
    this.#others.add(other);
  }

  /** The other one has ended. */
  part(other: Subscription): void {
    this.#others?.delete(other);
    if (this.#others?.size === 0) this.#others = undefined;
  }

  /** It is to be told otherwise from here on. */
  forgetEncoding(): void {
    this.#encoding = undefined;
  }

  /**
   * All messages up to here were sent. A channel has one reader in a session, whoever else matches it:
   * so this says of the others too where they stand in it.
   */
  reach(end: BatchEnd): void {
    this.place?.reach(end);
    if (this.#others !== undefined) for (const place of end.places) this.#tellOthers(place);
  }

  /** In one channel all messages up to here were sent; see `reach`. */
  reachPlace(place: Place): void {
    this.place?.reachPlace(place);
    if (this.#others !== undefined) this.#tellOthers(place);
  }

  onMark(_filters: readonly string[], mark: string): void {
    this.#owner.delivery.reach(this.link, { mark, places: [] });
  }

  onGap(channel: string, gap: Gap, position: Position): void {
    this.#owner.delivery.reach(this.link, { mark: undefined, places: [{ channel, ...position }] });
    // At most once is what QoS 0 promises.
    if (this.link.qos > 0) this.#owner.onLoss({ channel, gap });
  }

  #tellOthers(place: Place): void {
    for (const { options, place: known } of this.others) {
      if (known !== undefined && matchesPattern(options.filter, place.channel)) {
        known.reachPlace(place);
      }
    }
  }
}
