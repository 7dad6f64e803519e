/**
 * ShareReader: a group as the hub sees it, one subscriber with one cursor. Its link is full while no
 * member has room, so that a group of slow members is a slow reader like any other.
 *
 * What it is given is not encoded yet: each message goes to one member, and that one decides how.
 */
import type { Gap, Position } from '@trunkline/wire';
import type { Caller, Encoding, Run } from '../../../hub/hub-types.ts';
import type { Hub } from '../../../hub/hub.ts';
import type { AnyCursor } from '../../../hub/selection/overlap-entry.ts';
import type { SelectionSubscriber } from '../../../hub/selection/selection-cursor.ts';
import type { Link, LinkInfo, LinkTraits } from '../../../link/link.ts';
import { SharedBatch } from '../../../link/shared-batch.ts';
import { endOf } from '../messages/place.ts';
import type { BatchEnd } from '../messages/place.ts';
import type { Loss } from '../session/losses.ts';
import { openCursor } from '../subscriptions/opening.ts';
import type { OpenedCursor } from '../subscriptions/opening.ts';

/** What the hub has for a group at once. */
export interface Portion {
  readonly runs: readonly Run[];
  readonly end: BatchEnd;
}

/** Who the messages are for. */
export interface ShareSink {
  /** True while nothing more can be given. */
  readonly isFull: boolean;
  take(portion: Portion): void;
  /** The hub has more, or will: `advance` is to be called when there is room. */
  onWanted(): void;
  /** Messages are lost to the group. */
  onLoss(loss: Loss): void;
  /** The hub can't go on with the cursor, which has ended. */
  onBroken(): void;
}

/** The messages as they are; shared by all groups that read the same. */
class ShareBatch extends SharedBatch implements Portion {
  readonly runs: readonly Run[];
  readonly end: BatchEnd;

  constructor(runs: readonly Run[], mark: string | undefined) {
    super(NO_BYTES, false);
    this.runs = runs;
    this.end = endOf(runs, mark);
  }
}

const NO_BYTES = new Uint8Array(0);

/** One for all groups: it is a key. */
const ENCODING: Encoding = {
  name: 'mqtt-share',
  encode: (runs, mark) => new ShareBatch(runs, mark),
};

const INFO: LinkInfo = { transport: 'share', remoteAddress: '' };
const TRAITS: LinkTraits = { duplex: false, binary: true, reliable: true, framed: true };

class ShareLink implements Link {
  readonly info = INFO;
  readonly traits = TRAITS;
  readonly #sink: ShareSink;

  constructor(sink: ShareSink) {
    this.#sink = sink;
  }

  get pendingBytes(): number {
    return this.#sink.isFull ? Number.POSITIVE_INFINITY : 0;
  }

  /** Nobody has anything to say to a group. */
  send(): void {}

  sendShared(batch: SharedBatch): void {
    if (!(batch instanceof ShareBatch)) throw new TypeError('a group is given messages alone');
    this.#sink.take(batch);
  }

  requestDrain(): void {
    this.#sink.onWanted();
  }

  setPaused(): void {}

  close(): void {
    this.#sink.onBroken();
  }
}

/** One group's cursor. */
export class ShareReader implements SelectionSubscriber {
  readonly link: Link;
  readonly encoding = ENCODING;
  readonly #hub: Hub;
  readonly #sink: ShareSink;
  #cursor: AnyCursor | undefined;

  constructor(hub: Hub, sink: ShareSink) {
    this.#hub = hub;
    this.#sink = sink;
    this.link = new ShareLink(sink);
  }

  get isOpen(): boolean {
    return this.#cursor !== undefined;
  }

  /**
   * Opens a cursor; nothing is given before `start`.
   *
   * @param kept where to go on; absent: with what comes from now on.
   * @throws {CodedError} that says why not.
   */
  async open(
    caller: Caller,
    filter: string,
    kept: string | undefined,
  ): Promise<Pick<OpenedCursor, 'losses' | 'place'>> {
    // A volatile channel has no places.
    const opening = { caller, filter, kept: kept === '' ? undefined : kept };
    const { cursor, losses, place } = await openCursor(this.#hub, this, opening);
    this.#cursor = cursor;
    return { losses, place };
  }

  /** Lets it run. */
  start(): void {
    if (this.#cursor !== undefined) this.#hub.start(this.#cursor);
  }

  /** There is room again. */
  advance(): void {
    if (this.#cursor !== undefined) this.#hub.advance(this.#cursor);
  }

  /** Nothing more is given. Idempotent. */
  close(): void {
    const cursor = this.#cursor;
    this.#cursor = undefined;
    if (cursor !== undefined) this.#hub.unsubscribe(cursor);
  }

  onMark(_filters: readonly string[], mark: string): void {
    this.#sink.take({ runs: [], end: { mark, places: [] } });
  }

  onGap(channel: string, gap: Gap, position: Position): void {
    this.#sink.take({ runs: [], end: { mark: undefined, places: [{ channel, ...position }] } });
    this.#sink.onLoss({ channel, gap });
  }
}
