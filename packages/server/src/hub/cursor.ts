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

/** What becomes of the messages that come meanwhile; see above. */
export type CursorState = 'waiting' | 'live' | 'behind' | 'reading' | 'ended';

/** A place, and who is served from it. Thousands of these are idle at any time; only the hub changes one. */
export class Cursor {
  readonly subscriber: Subscriber;
  readonly channel: Channel;
  state: CursorState = 'waiting';
  /** The life of the stream that `offset` belongs to. */
  epoch: string;
  /** Offset of the last message handed to the link; kept up to date only while not live. */
  offset: number;
  /** Its place among the channel's live cursors; −1 when it is not live. */
  liveIndex = -1;

  constructor(subscriber: Subscriber, channel: Channel, position: Position) {
    this.subscriber = subscriber;
    this.channel = channel;
    this.epoch = position.epoch;
    this.offset = position.offset;
  }
}
