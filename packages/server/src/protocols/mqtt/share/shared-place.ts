/**
 * SharedPlace: the place of a message that one member of a group was sent for all of them.
 *
 * It stands in the member's window as any other does. With QoS 1 it is lent: the group knows who has it
 * until that member is done with it, and may take it back when the member goes. With QoS 2 it is the
 * member's alone ([MQTT-4.8.2-4], [MQTT-4.8.2-5]), and nobody but the window knows of it.
 */
import type { Place } from '../messages/place.ts';

/** Who lent a message. */
export interface Lender {
  /** The member has acknowledged it, or refused it ([MQTT-4.8.2-6]): nobody else gets it. */
  onDone(place: SharedPlace): void;
}

export class SharedPlace implements Place {
  readonly channel: string;
  readonly epoch: string;
  readonly offset: number;
  /** The whole filter, `$share/group/filter`, which is the name of the group. */
  readonly share: string;
  /** Absent where nobody waits for the member to be done with it. */
  lender: Lender | undefined;
  /** The group took it back: it is no more this member's to acknowledge. */
  isTakenBack = false;

  constructor({ channel, epoch, offset }: Place, share: string) {
    this.channel = channel;
    this.epoch = epoch;
    this.offset = offset;
    this.share = share;
  }

  onDone(): void {
    this.lender?.onDone(this);
  }
}

/** The same for two places of one message alone. No channel's name has a line break. */
export function placeKey({ channel, epoch, offset }: Place): string {
  return `${epoch}:${offset}\n${channel}`;
}
