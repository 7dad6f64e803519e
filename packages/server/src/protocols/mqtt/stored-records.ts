/**
 * StoredRecords: all records of one kind, read in pages, one after the other and however long that takes,
 * while clients are served: when the server starts, and to count them again.
 */
import type { StateRecord, StateStore } from '../../broker/state.ts';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../observe/log.ts';

/** What reading them needs. */
export interface StoredRecordsParts {
  readonly state: Pick<StateStore, 'list'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Records of one page. */
const PAGE_COUNT = 100;

/** How long after a failure the page is asked for again. */
const RETRY_MS = 1000;

/** Reads what is stored. */
export class StoredRecords {
  readonly #parts: StoredRecordsParts;
  #isStopped = false;

  constructor(parts: StoredRecordsParts) {
    this.#parts = parts;
  }

  /**
   * Calls `onRecord` for each record whose key begins with `prefix`, a page at a time. Resolves when
   * there are no more or it was stopped; what fails is tried again and never rejects.
   */
  async each(
    prefix: string,
    onRecord: (record: StateRecord) => Promise<void> | void,
  ): Promise<void> {
    let after: string | undefined;
    while (!this.#isStopped) {
      try {
        const page = await this.#parts.state.list(prefix, {
          countMax: PAGE_COUNT,
          ...(after === undefined ? {} : { after }),
        });
        if (page.length === 0) return;
        for (const record of page) {
          // Checked again: the store may be closed by now.
          if (this.#isStopped) return;
          await onRecord(record);
          after = record.key;
        }
        // A store may answer in this turn: clients have theirs between two pages.
        await new Promise<void>((resolve) => this.#parts.clock.defer(resolve));
      } catch (error) {
        if (this.#isStopped) return;
        this.#parts.log.warn({ error, prefix }, 'records of MQTT could not be read');
        await new Promise<void>((resolve) => void this.#parts.clock.after(RETRY_MS, resolve));
      }
    }
  }

  /** Nothing more is read. */
  stop(): void {
    this.#isStopped = true;
  }
}
