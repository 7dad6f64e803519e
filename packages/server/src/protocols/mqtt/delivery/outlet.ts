/**
 * Outlet: the link of a session as one of its subscriptions sees it. It is full when the window is, so
 * that a client which does not acknowledge is a slow reader like any other, whose cursors fall behind.
 */
import type { Frame } from '../../../link/link.ts';
import type { Close, Link, LinkInfo, LinkTraits } from '../../../link/link.ts';
import type { SharedBatch } from '../../../link/shared-batch.ts';
import type { Qos } from '../codec/packets.ts';
import { PublishBatch } from '../messages/encoding.ts';
import type { Delivery } from './delivery.ts';
import type { SentPlace } from './sent-place.ts';

/** One for each subscription of a session. */
export class Outlet implements Link {
  /** The highest QoS of what comes through it. */
  qos: Qos;
  /** Who is to know up to where it was sent. */
  place: Pick<SentPlace, 'reach' | 'reachPlace'> | undefined;
  /** Resolves when QoS 2 may leave; absent where it need only be stored by the session. */
  store: (() => Promise<void>) | undefined;
  readonly #delivery: Delivery;

  constructor(delivery: Delivery, qos: Qos) {
    this.#delivery = delivery;
    this.qos = qos;
  }

  get info(): LinkInfo {
    return this.#delivery.link.info;
  }

  get traits(): LinkTraits {
    return this.#delivery.link.traits;
  }

  get pendingBytes(): number {
    return this.#delivery.pendingBytes(this);
  }

  send(frame: Frame): void {
    this.#delivery.link.send(frame);
  }

  sendShared(batch: SharedBatch, isLast = false): void {
    if (!(batch instanceof PublishBatch)) throw new TypeError('an outlet carries PUBLISH packets');
    this.#delivery.deliver(this, batch, isLast);
  }

  requestDrain(): void {
    this.#delivery.requestDrain(this);
  }

  setPaused(paused: boolean): void {
    this.#delivery.link.setPaused(paused);
  }

  close(close: Close): void {
    this.#delivery.link.close(close);
  }
}
