/**
 * Resend: what a session was sent over an earlier connection and has not acknowledged, sent again with
 * the same packet identifiers and in the same order ([MQTT-4.4.0-1], [MQTT-4.6.0-1]). The messages are
 * read from the log.
 *
 * 1. Some are read and sent, and so on. Nothing else leaves before the last of them.
 * 2. The client may take fewer now than it was sent before: then the rest waits for its
 *    acknowledgements ([MQTT-3.3.4-9]). It waits for the link as well, if that is full.
 * 3. A message may be gone, or be too large for the client by now. With QoS 1 that is its end. With
 *    QoS 2 the client may have it, and would take the next one with its identifier for the same:
 *    PUBREL follows as if it had said so, and its PUBCOMP ends it.
 */
import type { Message } from '@trunkline/wire';
import type { Identity } from '../../../auth/identity.ts';
import type { Hub } from '../../../hub/hub.ts';
import { encode } from '../codec/encode.ts';
import { toPublication } from '../messages/encoding.ts';
import type { Form } from '../messages/form.ts';
import type { Place } from '../messages/place.ts';
import type { Loss } from '../session/losses.ts';
import type { Delivery } from './delivery.ts';
import type { Sent, Window } from './window.ts';

/** What is needed to send again. */
export interface ResendParts {
  readonly hub: Pick<Hub, 'messagesAt' | 'permits'>;
  readonly identity: Identity;
  readonly window: Window;
  readonly delivery: Delivery;
  /** Unix time, now. */
  nowMs(): number;
  /** How the message of this place is sent now. */
  formFor(place: Place): Form;
  /** A message is gone that the client may not have. */
  onLoss(loss: Loss): void;
}

/** Messages that are read at once. */
const READ_COUNT = 32;

/** Unsent bytes of the link above which no more are read. */
const PENDING_SIZE_MAX = 256 * 1024;

/** Sends all of the window again: what may leave now is sent when it resolves. */
export async function resend(parts: ResendParts): Promise<void> {
  const again = new Resend(parts);
  parts.delivery.putFirst(again);
  await again.begin();
}

/** One session's window on its way again. */
export class Resend {
  readonly #parts: ResendParts;
  #left: readonly Sent[];
  #isReading = false;

  constructor(parts: ResendParts) {
    this.#parts = parts;
    this.#left = [...parts.window.sent()];
  }

  /** @throws {CodedError} when the messages can't be read. */
  async begin(): Promise<void> {
    this.#isReading = true;
    for (let next = this.#take(); next.length > 0; next = this.#take()) {
      await this.#send(next);
    }
    this.#isReading = false;
    if (this.#left.length === 0) this.#parts.delivery.endFirst(this);
  }

  /** The window may have room, or the link. */
  onRoom(): void {
    if (this.#isReading) return;
    this.begin().catch(() => {
      // The client comes back, and all of it is tried again.
      this.#parts.delivery.link.close({ code: 'unavailable' });
    });
  }

  /** Those that may leave next, taken off what is left. */
  #take(): readonly Sent[] {
    const { window, delivery } = this.#parts;
    if (delivery.link.pendingBytes > PENDING_SIZE_MAX) {
      delivery.link.requestDrain();
      return [];
    }
    const underWay = window.count - this.#left.length;
    let room = Math.min(READ_COUNT, window.countMax - underWay);
    let count = 0;
    for (const { awaited } of this.#left) {
      if (awaited !== 'pubcomp' && room <= 0) break;
      if (awaited !== 'pubcomp') room -= 1;
      count += 1;
    }
    const taken = this.#left.slice(0, count);
    this.#left = this.#left.slice(count);
    return taken;
  }

  async #send(taken: readonly Sent[]): Promise<void> {
    const { hub, identity, window, delivery } = this.#parts;
    const wanted = taken.filter(({ awaited }) => awaited !== 'pubcomp').map(({ place }) => place);
    const messages = wanted.length === 0 ? [] : await hub.messagesAt(identity, wanted);
    const found = new Map(wanted.map((place, index) => [place, messages[index]]));
    const pieces: Uint8Array[] = [];
    let needsStored = false;
    for (const one of taken) {
      const { packetId } = one;
      const awaited = window.awaitedOf(packetId);
      // It may have been acknowledged meanwhile, though it was not sent again.
      if (awaited === undefined) continue;
      const packet = awaited === 'pubcomp' ? undefined : this.#packetOf(one, found.get(one.place));
      if (packet !== undefined) pieces.push(packet);
      else if (awaited === 'puback') window.acknowledge(packetId, 'puback');
      else {
        needsStored ||= awaited === 'pubrec';
        window.acknowledge(packetId, 'pubrec');
        pieces.push(this.#pubrel(one));
      }
    }
    if (pieces.length > 0) delivery.send(Buffer.concat(pieces), needsStored);
  }

  /** The message as it is sent again; `undefined` when it can't be. */
  #packetOf({ packetId, awaited, place }: Sent, message: Message | undefined) {
    const { hub, identity, delivery, formFor, onLoss } = this.#parts;
    const { channel, offset } = place;
    const nowMs = this.#parts.nowMs();
    if (message === undefined) {
      // Whoever may not read it any more has not lost it, and what was retained is replaced.
      if (place.isRetained !== true && hub.permits(identity, 'subscribe', channel)) {
        onLoss({ channel, gap: { reason: 'trimmed', from: offset, to: offset } });
      }
      return undefined;
    }
    // What it was sent with holds, whatever was asked for since. Its time counts no more, as it was sent
    // within it ([MQTT-4.3.3-7], [MQTT-4.4.0-1]).
    const qos = awaited === 'puback' ? 1 : 2;
    const told = { nowMs, isRetained: place.isRetained === true };
    const { frame } = toPublication(place, message, { ...formFor(place), qos }, told);
    if (frame.shared.qos !== qos) return undefined;
    if (delivery.isTooLarge(frame)) {
      delivery.counts.dropped.too_large += 1;
      return undefined;
    }
    return delivery.packet(frame, packetId, true);
  }

  #pubrel({ packetId, place }: Sent): Uint8Array {
    const { version } = this.#parts.formFor(place);
    return encode({ kind: 'pubrel', packetId, reason: 0, properties: {} }, version);
  }
}
