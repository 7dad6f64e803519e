/**
 * Subscription: one filter of a session, as the hub sees it: a subscriber with a link and an encoding of
 * its own.
 */
import type { Gap, Position } from '@trunkline/wire';
import type { Encoding } from '../../hub/hub-types.ts';
import type { Stay } from '../../hub/presence/presence.ts';
import type { SelectionSubscriber } from '../../hub/selection/selection-cursor.ts';
import type { Qos } from './codec/packets.ts';
import type { UserProperty } from './codec/property-table.ts';
import type { Delivery } from './delivery.ts';
import { Outlet } from './outlet.ts';

/** What a client asked for, by one filter. */
export interface FilterOptions {
  /** A channel or a pattern. */
  readonly filter: string;
  readonly qos: Qos;
  /** Not what the session itself published. */
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** The subscription identifier, where it has one. */
  readonly id?: number;
}

/** Messages that a subscription does not get: retention has removed them, or a purge. */
export interface Loss {
  readonly channel: string;
  readonly gap: Gap;
}

/** The property by which 5.0 is told of a loss: the channel, why, and the offsets where known. */
export const GAP_PROPERTY = 'trunkline.gap';

/** What says so in a packet; nothing where nothing is lost. */
export function lossProperties(losses: readonly Loss[]): {
  readonly userProperties?: readonly UserProperty[];
} {
  if (losses.length === 0) return {};
  return {
    userProperties: losses.map(({ channel, gap }) => {
      return [GAP_PROPERTY, JSON.stringify({ channel, ...gap })];
    }),
  };
}

/** A filter that is subscribed to. */
export class Subscription implements SelectionSubscriber {
  readonly link: Outlet;
  encoding: Encoding;
  options: FilterOptions;
  /** Where its namespace lists who subscribes. */
  stay: Stay | undefined;
  readonly #delivery: Delivery;
  readonly #onLoss: (loss: Loss) => void;

  constructor(
    options: FilterOptions,
    parts: { readonly delivery: Delivery; readonly encoding: Encoding },
    onLoss: (loss: Loss) => void,
  ) {
    this.options = options;
    this.encoding = parts.encoding;
    this.#delivery = parts.delivery;
    this.link = new Outlet(parts.delivery, options.qos);
    this.#onLoss = onLoss;
  }

  onMark(_filters: readonly string[], mark: string): void {
    this.#delivery.reach(this.link, { mark, places: [] });
  }

  onGap(channel: string, gap: Gap, position: Position): void {
    this.#delivery.reach(this.link, { mark: undefined, places: [{ channel, ...position }] });
    // At most once is what QoS 0 promises.
    if (this.options.qos > 0) this.#onLoss({ channel, gap });
  }
}
