/** MarkTable: what each mark stood for when it was given, by all that its reader had. */
import type { Whereabouts } from './whereabouts.ts';

/** Where a reader stood in one channel when it was given a mark. */
export interface MarkEntry {
  /** Absent where another subscription delivered the channel, so that nobody can tell. */
  readonly where: Whereabouts | undefined;
  /** Sessions whose own messages it may not have been given. */
  readonly mutes: readonly string[];
  /** Which life the log had by then: it may stand before its first message, be it told of it or not. */
  readonly life: string | undefined;
}

/** Marks by reader and by the channel or pattern that they were given for. */
export class MarkTable {
  readonly #entries = new Map<string, Map<string, MarkEntry>>();

  /** All channels of which the mark says where a reader stood; `undefined` for a foreign mark. */
  get(reader: string, filter: string, mark: string): ReadonlyMap<string, MarkEntry> | undefined {
    return this.#entries.get(keyOf(reader, filter, mark));
  }

  put(reader: string, filter: string, mark: string, channel: string, entry: MarkEntry): void {
    const key = keyOf(reader, filter, mark);
    const entries = this.#entries.get(key) ?? new Map<string, MarkEntry>();
    this.#entries.set(key, entries.set(channel, entry));
  }
}

function keyOf(reader: string, filter: string, mark: string): string {
  return [reader, filter, mark].join('\n');
}
