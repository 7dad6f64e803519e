/**
 * SelectionCursor: a subscription to several channels, or to all that a pattern matches. It is one
 * place in the order of all of them, a mark, however many there are.
 *
 * - `waiting`: opened, not started; its answer has not been sent yet.
 * - `live`: at the head; it gets each turn's messages as they are.
 * - `behind`: its link had too much unsent; it stands at `place` and costs nothing more.
 * - `catching`: it reads on, channel by channel, and is told of news meanwhile (see `CatchUp`).
 * - `ended`: nothing is delivered any more.
 */
import type { Subscriber } from '../hub-types.ts';
import type { PlaceMark } from '../place-mark.ts';
import type { CatchUp } from './catch-up.ts';
import type { Selection } from './selection.ts';

/** What becomes of the messages that come meanwhile; see above. */
export type SelectionState = 'waiting' | 'live' | 'behind' | 'catching' | 'ended';

/** What a subscriber may hear beside its messages. */
export interface SelectionSubscriber extends Subscriber {
  /** Everything up to `mark` was delivered, which no message said. */
  onMark(filters: readonly string[], mark: string): void;
}

/** A place in a selection, and who is served from it. Only the hub changes one. */
export class SelectionCursor {
  readonly subscriber: SelectionSubscriber;
  readonly selection: Selection;
  state: SelectionState = 'waiting';
  /** Its place among the live readers; −1 when it is not live. */
  liveIndex = -1;
  /** Where it stands while behind. */
  place: PlaceMark;
  /** What it began at: everything after it was delivered, or will be. */
  begin: PlaceMark;
  /** How far it had come in the slots of volatile channels when it was live last. */
  slotSequence = 0;
  /** Present while waiting and catching. */
  catchUp: CatchUp | undefined;
  /**
   * Channels that its session reads by another subscription, which delivers them; what matches
   * several subscriptions is delivered once. Absent where nothing overlaps.
   */
  omits: ((channel: string) => boolean) | undefined;
  /** The session whose own messages are left out. */
  readonly mutedSession: string | undefined;

  constructor(
    subscriber: SelectionSubscriber,
    selection: Selection,
    begin: PlaceMark,
    mutedSession?: string,
  ) {
    this.subscriber = subscriber;
    this.selection = selection;
    this.begin = begin;
    this.place = begin;
    this.mutedSession = mutedSession;
  }
}
