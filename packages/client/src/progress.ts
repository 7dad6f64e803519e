/**
 * Progress: how far a subscription has come, over all its attempts and transports. Pure. It is why
 * no offset is delivered twice, whatever a server or a proxy repeats.
 */
import { formatPosition, parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import { positionOf } from './events.ts';
import type { ReceivedMessage, OpenEvent } from './events.ts';

export class Progress {
  #position: Position | undefined;

  /** Where to go on; `undefined` before the first opening. */
  get position(): string | undefined {
    return this.#position === undefined ? undefined : formatPosition(this.#position);
  }

  /** The server said where the cursor stands. */
  open(opening: OpenEvent): void {
    const stated = parsePosition(opening.position);
    const known = this.#position;
    // A resume without loss never goes back; after a loss the server's word counts.
    const wouldRewind =
      opening.recovered === true &&
      known !== undefined &&
      known.epoch === stated?.epoch &&
      known.offset > stated.offset;
    if (stated !== undefined && !wouldRewind) this.#position = stated;
  }

  /** The subscription goes on after `position`. */
  skipTo(position: string): void {
    this.#position = parsePosition(position) ?? this.#position;
  }

  /** Takes a message; false when it had been delivered before. */
  take(message: ReceivedMessage): boolean {
    const known = this.#position;
    if (known?.epoch === message.epoch && message.offset <= known.offset) return false;
    this.#position = positionOf(message);
    return true;
  }
}
