/**
 * Subscription: what one listener reads of one name or pattern, from a place of its own. Any number
 * of them share what is read on the wire: see `subscriptions.ts`.
 */
import type {
  GapEvent,
  OpenEvent,
  PresenceEvent,
  ReceivedMessage,
  SnapshotEvent,
} from '../events.ts';
import type { Wish } from '../transports/transport.ts';
import { Place } from './place.ts';

/** What a listener hears, in order. */
export type ReadingEvent = OpenEvent | ReceivedMessage | GapEvent | PresenceEvent | SnapshotEvent;

/** How a subscription begins, and what it asks for beside messages. */
export type ReadingOptions = {
  readonly [Name in keyof Omit<Wish, 'filter'>]?: Wish[Name] | undefined;
};

/** Who reads. Nothing is told after `onEnd`. */
export interface ReadingListener {
  onEvent(event: ReadingEvent): void;
  /** Of a pattern: everything up to the mark was told. */
  onMark?(mark: string): void;
  /** The server will not have it read. */
  onEnd(error: Error): void;
}

export class Subscription {
  readonly filter: string;
  readonly options: ReadingOptions;
  readonly listener: ReadingListener;
  readonly place: Place;
  /** True when it has begun: from then on its place alone says where it goes on. */
  hasBegun: boolean;
  /** True while it takes what comes; else it waits for an opening that suits its place. */
  isOpen = false;
  /** True while its listener has no room for more. */
  isPaused = false;
  /** Of the wire it reads by. */
  key = '';
  /** After which place offsets were missing last. */
  hole: string | undefined;

  constructor(filter: string, options: ReadingOptions, listener: ReadingListener) {
    this.filter = filter;
    this.options = options;
    this.listener = listener;
    this.place = new Place(filter, options.after);
    this.hasBegun = options.after !== undefined;
  }

  /** True when only an answer to its own wish can begin it. */
  get wantsOwnStart(): boolean {
    return !this.hasBegun && (this.options.last !== undefined || this.options.snapshot === true);
  }
}
