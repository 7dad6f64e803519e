/**
 * Selection: the channels and patterns that one or more readers follow as one stream.
 *
 * All readers of the same filters share a selection, and with it every encoded byte: what a turn
 * brought is written once, with one mark at its end that is the same for all of them.
 */
import type { MessageBatch } from '../message-batch.ts';
import { NOWHERE_ELSE } from '../place-mark.ts';
import type { PlaceMark } from '../place-mark.ts';
import { Slots } from '../volatile/slots.ts';
import type { SlotEntry } from '../volatile/slots.ts';
import type { SelectionCursor } from './selection-cursor.ts';
import type { SelectionNews } from './selection-news.ts';

/** Someone who waits for anything new in a selection. */
export interface SelectionWaiter {
  /**
   * Called once, in a flush; the waiter has been removed by then. Must not throw.
   *
   * @param news absent when only the log can tell what is new.
   */
  onNews(news: SelectionNews | undefined): void;
}

/** What several readers follow. Changed by the table and the fan-out of selections alone. */
export class Selection {
  /** Names and patterns, sorted, each once. */
  readonly filters: readonly string[];
  /** The same as text: two selections with one key are one. */
  readonly key: string;
  /** Cursors and waiting reads. At 0 the selection is forgotten. */
  users = 0;
  /** Set while it can't be used yet; all who want it wait for the same promise. */
  opening: Promise<void> | undefined;
  /** Readers at the head: they get each turn's messages as they are. */
  readonly live: SelectionCursor[] = [];
  /** Readers on their way to the head: they are told which channels have news. */
  readonly catching = new Set<SelectionCursor>();
  /** What this turn brought, not yet given to anyone. */
  pending: MessageBatch[] = [];
  /** The newest of volatile channels, while a reader is not live. */
  slots: Slots | undefined;
  /** Readers behind or on their way. */
  away = 0;
  /** Up to here live readers were given everything, and nothing after it. */
  place: PlaceMark = { mark: '', behind: NOWHERE_ELSE };
  readonly #waiters = new Set<SelectionWaiter>();

  constructor(filters: readonly string[]) {
    this.filters = filters;
    this.key = selectionKey(filters);
  }

  /** True when nobody has to be told of news. */
  get isIdle(): boolean {
    return this.live.length === 0 && this.away === 0 && this.#waiters.size === 0;
  }

  /** Calls `waiter` at the next news, unless it is removed before. */
  addWaiter(waiter: SelectionWaiter): void {
    this.#waiters.add(waiter);
  }

  /** The waiter waits no more. Idempotent. */
  removeWaiter(waiter: SelectionWaiter): void {
    this.#waiters.delete(waiter);
  }

  /** True when someone waits. */
  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  /** Calls all who wait; they may wait again at once. @param news see `SelectionWaiter`. */
  wakeWaiters(news?: SelectionNews): void {
    const woken = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of woken) waiter.onNews(news);
  }

  /** The reader is not live: of volatile channels it gets the newest of each slot later. */
  sendAway(cursor: SelectionCursor): void {
    this.slots ??= new Slots();
    cursor.slotSequence = this.slots.sequence;
    this.away += 1;
  }

  /** Of volatile channels the reader has what comes from now on, as one that it replaces had. */
  skipSlots(cursor: SelectionCursor): void {
    cursor.slotSequence = this.slots?.sequence ?? 0;
  }

  /** Keeps what was given of volatile channels for those who are not live. */
  keepSlots(given: readonly MessageBatch[]): void {
    if (this.slots === undefined) return;
    for (const { channel, epoch, messages } of given) {
      if (epoch !== '') continue;
      for (const message of messages) this.slots.put(channel, message);
    }
  }

  /** The reader is live or gone. @returns what it missed of volatile channels. */
  takeBack(cursor: SelectionCursor): readonly SlotEntry[] {
    const missed = this.slots?.after(cursor.slotSequence) ?? [];
    this.away -= 1;
    if (this.away === 0) this.slots = undefined;
    return missed;
  }

  /** The reader gets each turn's messages from now on. */
  makeLive(cursor: SelectionCursor): void {
    cursor.state = 'live';
    cursor.liveIndex = this.live.length;
    this.live.push(cursor);
  }

  /** Takes a reader out of the live ones, in constant time. */
  removeLive(cursor: SelectionCursor): void {
    const last = this.live.pop();
    if (last !== undefined && last !== cursor) {
      this.live[cursor.liveIndex] = last;
      last.liveIndex = cursor.liveIndex;
    }
    cursor.liveIndex = -1;
  }
}

/** The text by which equal selections are found. No filter has a line feed [CH-1]. */
export function selectionKey(filters: readonly string[]): string {
  return filters.join('\n');
}

/** Filters as a selection has them: sorted, each once. */
export function toFilters(given: Iterable<string>): readonly string[] {
  return [...new Set(given)].sort();
}
