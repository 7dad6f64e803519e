/**
 * SelectionTable: the selections that someone on this node follows, found by the channels that
 * their filters match.
 *
 * A selection's patterns are watched at the broker and its names are channels that stay open, so
 * that nothing of either can be missed.
 */
import type { Broker } from '../../broker/broker.ts';
import { isWildcard } from '@trunkline/wire';
import type { Channel } from '../channel.ts';
import type { ChannelTable } from '../channel-table.ts';
import { refusal, unavailable } from '../refusals.ts';
import { SETTLE_COUNT_MAX } from '../config.ts';
import { FilterIndex } from '../filter-index.ts';
import { NOWHERE_ELSE } from '../place-mark.ts';
import type { PlaceMark } from '../place-mark.ts';
import { Selection, selectionKey } from './selection.ts';

const NONE: readonly Selection[] = [];

/** Keeps channels open by their names, be they of a log or volatile. */
export interface ChannelNames {
  hold(name: string): Promise<unknown>;
  release(name: string): void;
}

/** One node's selections. */
export class SelectionTable {
  readonly #broker: Broker;
  readonly #table: ChannelTable;
  readonly #names: ChannelNames;
  readonly #selections = new Map<string, Selection>();
  readonly #index = new FilterIndex<Selection>();
  /** Selections by the pattern they have: watched while there is one. */
  readonly #patterns = new Map<string, number>();
  #here: PlaceMark = { mark: '', behind: NOWHERE_ELSE };

  /** @param names holds the channels that selections name. */
  constructor(broker: Broker, table: ChannelTable, names: ChannelNames) {
    this.#broker = broker;
    this.#table = table;
    this.#names = names;
  }

  /** All selections. */
  get selections(): Iterable<Selection> {
    return this.#selections.values();
  }

  /** True when a selection matches the channel, so that its messages must not be missed. */
  covers(name: string): boolean {
    return this.#index.matchesAny(name);
  }

  /** The selections that a channel belongs to, remembered with it. */
  of(channel: Channel): readonly Selection[] {
    if (this.#index.size === 0) return NONE;
    if (channel.matchedVersion !== this.#index.version) {
      const found = this.#index.match(channel.name);
      channel.selections = found.length === 0 ? NONE : found;
      channel.matchedVersion = this.#index.version;
    }
    return channel.selections;
  }

  /** The selections that a channel's name belongs to. */
  ofName(name: string): readonly Selection[] {
    return this.#index.size === 0 ? NONE : this.#index.match(name);
  }

  /**
   * The selection of these filters, counted as used until `release`.
   *
   * @param filters as `toFilters` gives them.
   * @throws {CodedError} `unavailable` when the broker can't watch them.
   */
  async acquire(filters: readonly string[]): Promise<Selection> {
    const key = selectionKey(filters);
    let selection = this.#selections.get(key);
    if (selection === undefined) {
      selection = new Selection(filters);
      this.#selections.set(key, selection);
      selection.opening = this.#open(selection);
    }
    selection.users += 1;
    if (selection.opening === undefined) return selection;
    try {
      await selection.opening;
      return selection;
    } catch (error) {
      selection.users -= 1;
      throw refusal(error);
    }
  }

  /** One user less; a selection without users is forgotten. */
  release(selection: Selection): void {
    selection.users -= 1;
    if (selection.users > 0 || this.#selections.get(selection.key) !== selection) return;
    this.#selections.delete(selection.key);
    for (const filter of selection.filters) {
      this.#index.remove(filter, selection);
      if (isWildcard(filter)) this.#unwatch(filter);
      else this.#names.release(filter);
    }
    this.#table.dropUncovered(selection.filters);
  }

  /**
   * The place up to which this node was given everything that the selection is about, and where
   * channels stand that are being read just now. `undefined` while the broker can't say.
   */
  placeOf(selection: Selection): PlaceMark | undefined {
    const mark = this.#broker.place();
    if (mark === undefined) return undefined;
    const { unsettled } = this.#table;
    if (unsettled.size === 0) {
      // Nearly always the same for all selections of a turn: one object serves them.
      if (this.#here.mark !== mark) this.#here = { mark, behind: NOWHERE_ELSE };
      return this.#here;
    }
    const behind = new Map<string, { epoch: string; offset: number }>();
    for (const channel of unsettled) {
      const place = channel.knownPlace;
      if (place !== undefined && this.of(channel).includes(selection)) {
        behind.set(channel.name, place);
      }
    }
    return { mark, behind };
  }

  /** The same, waiting for a broker that is in doubt. @throws {CodedError} `unavailable`. */
  async settledPlace(selection: Selection): Promise<PlaceMark> {
    for (let round = 0; round < SETTLE_COUNT_MAX; round += 1) {
      const place = this.placeOf(selection);
      if (place !== undefined) return place;
      try {
        await this.#broker.mark();
      } catch (error) {
        throw refusal(error);
      }
    }
    throw unavailable('the log can not say where it stands');
  }

  /**
   * Waits until those who follow a selection are given what is known to be there already: who begins
   * from now on must not be.
   */
  settleChannels(selection: Selection): Promise<void> {
    return this.#table.settleAll((channel) => this.of(channel).includes(selection));
  }

  async #open(selection: Selection): Promise<void> {
    const done: (() => void)[] = [];
    try {
      for (const filter of selection.filters) {
        if (isWildcard(filter)) {
          await this.#watch(filter);
          done.push(() => this.#unwatch(filter));
        } else {
          await this.#names.hold(filter);
          done.push(() => this.#names.release(filter));
        }
      }
      // Only from here on its channels are covered: before, messages could be missed.
      for (const filter of selection.filters) {
        this.#index.add(filter, selection);
        done.push(() => this.#index.remove(filter, selection));
      }
      selection.place = await this.settledPlace(selection);
    } catch (error) {
      for (const undo of done) undo();
      this.#selections.delete(selection.key);
      this.#table.dropUncovered(selection.filters);
      throw error;
    }
    selection.opening = undefined;
  }

  async #watch(pattern: string): Promise<void> {
    this.#patterns.set(pattern, (this.#patterns.get(pattern) ?? 0) + 1);
    try {
      await this.#broker.watchPattern(pattern);
    } catch (error) {
      this.#unwatch(pattern);
      throw error;
    }
  }

  #unwatch(pattern: string): void {
    const users = (this.#patterns.get(pattern) ?? 1) - 1;
    if (users > 0) {
      this.#patterns.set(pattern, users);
      return;
    }
    this.#patterns.delete(pattern);
    this.#broker.unwatchPattern(pattern);
  }
}
