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
import type { Position } from '@trunkline/wire';
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

/** What a cursor has in common with others of its session [WILD-4]. */
export interface Sharing {
  /** True when messages match several patterns: a mark on one would be taken for that of each. */
  readonly marksApart: boolean;
  /** True for a channel that another one delivers. */
  omits(channel: string): boolean;
  /** True when all that deliver for it are at the head, so that a mark holds for all it matches. */
  isWhole(): boolean;
  /** Where those stand that deliver single channels by their names. */
  namedPlaces(): ReadonlyMap<string, Position>;
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
  /** Absent where nothing overlaps. */
  sharing: Sharing | undefined;
  /** The session whose own messages are left out. */
  mutedSession: string | undefined;

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

  /** True when a mark that holds for the selection can be told on the last of its messages. */
  get isMarked(): boolean {
    return this.sharing === undefined || (!this.sharing.marksApart && this.sharing.isWhole());
  }

  /** True for a channel that another subscription of its session delivers. */
  omits(channel: string): boolean {
    return this.sharing?.omits(channel) === true;
  }
}
