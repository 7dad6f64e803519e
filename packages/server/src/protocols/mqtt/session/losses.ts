/**
 * Losses: messages that a session does not get, and what its client has heard of that.
 *
 * A loss is told until the client has certainly heard of it. So it is kept, in the record of the session
 * too, until the packet that told it is acknowledged, or the client has sent something after the CONNACK
 * that told it; the next CONNACK tells all others again.
 */
import type { Gap } from '@trunkline/wire';
import type { UserProperty } from '../codec/property-table.ts';
import { publishProperties } from '../codec/publish-frame.ts';

/** Messages that a subscription does not get: retention has removed them, or a purge. */
export interface Loss {
  readonly channel: string;
  readonly gap: Gap;
}

/** The property by which 5.0 is told of a loss: the channel, why, and the offsets where known. */
export const GAP_PROPERTY = 'trunkline.gap';

/** Losses that one packet tells of. */
export const LOSSES_MAX = 8;

/** The last one told where there are more: any channel may have lost messages. */
export const MORE_LOSSES: Loss = { channel: '#', gap: { reason: 'unknown' } };

/** What says so in a packet; nothing where nothing is lost. */
export function lossProperties(losses: readonly Loss[]): {
  readonly userProperties?: readonly UserProperty[];
} {
  if (losses.length === 0) return {};
  return {
    userProperties: bounded(losses).map(({ channel, gap }) => {
      return [GAP_PROPERTY, JSON.stringify({ channel, ...gap })];
    }),
  };
}

/** As many losses as one packet tells of. */
function bounded(losses: readonly Loss[]): readonly Loss[] {
  const hasMore = losses.length > LOSSES_MAX;
  return hasMore ? [...losses.slice(0, LOSSES_MAX - 1), MORE_LOSSES] : losses;
}

/** What nearly all sessions have lost. */
const NONE: readonly Loss[] = [];
const NO_BYTES = new Uint8Array(0);

/** The losses of one session with a connection. */
export class Losses {
  /** Known before the session began, and in no CONNACK. */
  #early = NONE;
  /** To be told by the next packet that has room. */
  #due = NONE;
  #untold = NONE;
  /** The packet that told all of `untold` last; 0 where no single one has, or nobody acknowledges it. */
  #toldBy: 'connack' | number = 'connack';

  /** All that the client may not have heard of; a record keeps it. */
  get untold(): readonly Loss[] {
    return this.#untold;
  }

  /** True while there is something to tell by a PUBLISH. */
  get isDue(): boolean {
    return this.#due.length > 0;
  }

  /** Something is lost before the client has its CONNACK. */
  addEarly(loss: Loss): void {
    this.#early = bounded([...this.#early, loss]);
  }

  /** The session goes on. @returns what its CONNACK tells: what is lost, and what was untold before. */
  resume(untold: readonly Loss[]): readonly Loss[] {
    this.#untold = bounded([...untold, ...this.#early]);
    this.#early = NONE;
    return this.#untold;
  }

  /** CONNACK has left. @returns what came to light since it was made, to be added. */
  takeEarly(): readonly Loss[] {
    const early = this.#early;
    this.#early = NONE;
    return early;
  }

  /** Something is lost while the client is there. */
  add(loss: Loss): void {
    this.#untold = bounded([...this.#untold, loss]);
    this.#due = bounded([...this.#due, loss]);
    this.#toldBy = 0;
  }

  /**
   * A PUBLISH leaves that may tell what is due.
   *
   * @param packetId 0 where nobody acknowledges it.
   * @param room bytes that the client takes beside the rest of the packet.
   * @returns properties of the packet; empty where they have no room in it: the next one may have.
   */
  tellBy(packetId: number, room: number): Uint8Array {
    if (this.#due.length === 0) return NO_BYTES;
    const told = publishProperties(lossProperties(this.#due));
    if (told.length > room) return NO_BYTES;
    this.#due = NONE;
    this.#toldBy = packetId;
    return told;
  }

  /** The client has sent something: so it has its CONNACK. @returns true when it has heard of losses. */
  onHeard(): boolean {
    return this.#toldBy === 'connack' && this.#forget();
  }

  /** A packet is acknowledged for the first time or again. @returns true when that told of losses. */
  onAcknowledged(packetId: number): boolean {
    return this.#toldBy === packetId && this.#forget();
  }

  #forget(): boolean {
    if (this.#untold.length === 0) return false;
    this.#untold = NONE;
    return true;
  }
}
