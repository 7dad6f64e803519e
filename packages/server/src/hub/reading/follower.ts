/**
 * Follower: a poll that waits for several channels is told what each turn brings to them, like a
 * reader that is live, from before the log is read for it: nothing falls between the two.
 */
import type { Waiter } from '../channel.ts';
import type { Selection, SelectionWaiter } from '../selection/selection.ts';
import type { SelectionNews } from '../selection/selection-news.ts';
import type { SelectionTable } from '../selection/selection-table.ts';
import type { NewsSource } from '../patience.ts';
import { Passing } from './passing.ts';

/** What came since it was looked last. */
export type Heard =
  | { readonly kind: 'nothing' }
  /** One turn brought this, and nothing else came. */
  | { readonly kind: 'news'; readonly news: SelectionNews }
  /** Only the log can tell. */
  | { readonly kind: 'something' };

const NOTHING: Heard = { kind: 'nothing' };
const SOMETHING: Heard = { kind: 'something' };

/** One poll's ear at a selection. */
export class Follower implements SelectionWaiter, NewsSource {
  readonly passing: Passing;
  readonly #table: SelectionTable;
  readonly #selection: Selection;
  #heard: Heard = NOTHING;
  #waiter: Waiter | undefined;

  private constructor(table: SelectionTable, selection: Selection, countMax: number) {
    this.#table = table;
    this.#selection = selection;
    this.passing = new Passing(countMax);
    selection.addWaiter(this);
  }

  /** Follows until `close`. @throws {CodedError} `unavailable` when the log can't be followed. */
  static async open(
    table: SelectionTable,
    filters: readonly string[],
    countMax: number,
  ): Promise<Follower> {
    return new Follower(table, await table.acquire(filters), countMax);
  }

  /** What came since the last call. Messages of volatile channels are kept in `passing`. */
  hear(): Heard {
    const heard = this.#heard;
    this.#heard = NOTHING;
    return heard;
  }

  /** True when something came since `hear`. */
  get hasHeard(): boolean {
    return this.#heard !== NOTHING || !this.passing.isEmpty;
  }

  onNews(news: SelectionNews | undefined): void {
    this.#selection.addWaiter(this);
    for (const batch of news?.passing ?? []) this.passing.add(batch);
    const isOnly = this.#heard === NOTHING && news !== undefined;
    this.#heard = isOnly ? { kind: 'news', news } : SOMETHING;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.onNews();
  }

  addWaiter(waiter: Waiter): void {
    this.#waiter = waiter;
  }

  removeWaiter(): void {
    this.#waiter = undefined;
  }

  /** Hears nothing any more. To be called once. */
  close(): void {
    this.#selection.removeWaiter(this);
    this.#table.release(this.#selection);
  }
}
