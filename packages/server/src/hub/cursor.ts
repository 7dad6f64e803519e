/**
 * Cursor: a subscription's moving place in a channel's stream.
 *
 * - `waiting`: opened, not started; its answer has not been sent yet.
 * - `live`: at the head; it gets each turn's batch as it is.
 * - `behind`: its link had too much unsent; it reads on when the link has drained.
 * - `reading`: behind, and a read of the log is under way for it, or is to be tried again.
 * - `ended`: nothing is delivered any more.
 */
import type { Position } from '@trunkline/wire';
import type { Channel } from './channel.ts';
import type { Subscriber } from './hub-types.ts';
import type { MessageBatch } from './message-batch.ts';

/** What becomes of the messages that come meanwhile; see above. */
export type CursorState = 'waiting' | 'live' | 'behind' | 'reading' | 'ended';

/** Whose reading of several channels a cursor is a leg of: it ends at the head. */
export interface LegOwner {
  /** The leg is about to be given `batch`: what to go on from after it, if that can be said. */
  markAfter(leg: Cursor, batch: MessageBatch): string | undefined;
  /** The leg's subscriber was told of a loss; it goes on after `position`. */
  onLoss(leg: Cursor, position: Position): void;
  /** The leg is at the head of its channel. */
  onHead(leg: Cursor): void;
}

/** A place, and who is served from it. Thousands of these are idle at any time; only the hub changes one. */
export class Cursor {
  readonly subscriber: Subscriber;
  readonly channel: Channel;
  state: CursorState = 'waiting';
  /** The life of the stream that `offset` belongs to. */
  epoch: string;
  /** Offset of the last message handed to the link; kept up to date only while not live. */
  offset: number;
  /** Where it began, or went back to: everything after it was delivered, or will be. */
  begin: number;
  /** Its place among the channel's live cursors; −1 when it is not live. */
  liveIndex = -1;
  /**
   * True when no other cursor serves its link: what it gets need not wait for what others have for
   * the same link in this turn.
   */
  isAlone = false;
  /** The session whose own messages are left out. */
  mutedSession: string | undefined;
  /** Set for a cursor that is only to read up to the head. */
  leg: LegOwner | undefined;

  /** Where it stands: everything up to here was handed to the link. */
  get place(): Position {
    if (this.state === 'live') return this.channel.position;
    return { epoch: this.epoch, offset: this.offset };
  }

  constructor(subscriber: Subscriber, channel: Channel, position: Position) {
    this.subscriber = subscriber;
    this.channel = channel;
    this.epoch = position.epoch;
    this.offset = position.offset;
    this.begin = position.offset;
  }
}
