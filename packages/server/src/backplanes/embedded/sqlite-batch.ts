/**
 * SqliteBatch: what one transaction does to the log. It sees its own changes; all of it counts
 * with the commit or none.
 */
import { contentSize } from '@trunkline/wire';
import type { Random } from '../../random.ts';
import type { StoreLimits } from './config.ts';
import { draftFingerprint, sameBytes, scopedKey } from './fingerprint.ts';
import type { ChannelRow } from './sqlite-channels.ts';
import type { LogRow, SqliteTables } from './sqlite-tables.ts';
import { isOverfull, trim } from './sqlite-trim.ts';
import { NO_STREAM } from './store.ts';
import type { Append, Leave, Operation, Outcome, Purge } from './store.ts';

/** Messages removed from one channel in one commit, unless the commit adds more. */
const TRIM_STEP = 1024;

/** A channel touched in this transaction. */
interface Touched {
  readonly row: ChannelRow;
  readonly isNew: boolean;
  appended: number;
}

/** What a batch needs of its log. */
export interface BatchContext {
  readonly tables: SqliteTables;
  readonly limits: StoreLimits;
  readonly random: Random;
}

export class SqliteBatch {
  readonly #tables: SqliteTables;
  readonly #limits: StoreLimits;
  readonly #random: Random;
  readonly #log: LogRow;
  readonly #nowMs: number;
  readonly #touched = new Map<string, Touched>();

  constructor({ tables, limits, random }: BatchContext, log: LogRow, nowMs: number) {
    this.#tables = tables;
    this.#limits = limits;
    this.#random = random;
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /** Does all operations and writes what they changed. */
  run(operations: readonly Operation[]): Outcome[] {
    const { sequence } = this.#log;
    const outcomes = operations.map((operation) => this.#apply(operation));
    for (const { row, isNew, appended } of this.#touched.values()) {
      if (isOverfull(row)) {
        trim(this.#tables.messages, row, -Infinity, Math.max(TRIM_STEP, appended * 2));
      }
      if (isNew) this.#tables.channels.insert(row);
      else this.#tables.channels.update(row);
    }
    if (this.#log.sequence !== sequence) this.#tables.saveLog(this.#log);
    return outcomes;
  }

  #apply(operation: Operation): Outcome {
    switch (operation.kind) {
      case 'append':
        return this.#append(operation);
      case 'leave':
        return this.#leave(operation);
      case 'purge':
        return this.#purge(operation);
      case 'put': {
        const done = this.#tables.state.put(operation, this.#log.sequence + 1, this.#nowMs);
        return { kind: 'put', version: done ? this.#nextSequence() : undefined };
      }
      case 'delete': {
        return { kind: 'delete', deleted: this.#tables.state.delete(operation, this.#nowMs) };
      }
    }
  }

  #append(append: Append): Outcome {
    const { channel, draft, retention, idempotency } = append;
    const known = this.#find(channel);
    let key: { readonly text: string; readonly fingerprint: Uint8Array } | undefined;
    if (idempotency !== undefined) {
      key = { text: scopedKey(idempotency), fingerprint: draftFingerprint(draft) };
      const earlier = known === undefined ? undefined : this.#earlier(known.row, key);
      if (earlier !== undefined) return earlier;
    }
    const sequence = this.#nextSequence();
    const touched = this.#touch(channel, known, sequence);
    const { row } = touched;
    if (row.top === 0 || row.run > 0 || row.generation !== this.#log.generation) {
      this.#beginLife(row, sequence);
    }
    const offset = row.top + 1;
    const time = Math.max(this.#nowMs, row.newestTime);
    this.#tables.messages.insert(sequence, row.born, offset, time, draft);

    const ageMax = toBound(retention.ageMsMax);
    if (row.oldest > row.top) row.due = toBound(time + ageMax);
    else if (ageMax < row.ageMax) row.due = Math.min(row.due, this.#nowMs);
    row.ageMax = ageMax;
    row.countMax = toBound(retention.countMax);
    row.sizeMax = toBound(retention.sizeMax);
    row.top = offset;
    row.last = sequence;
    row.newestTime = time;
    row.size += contentSize(draft);
    touched.appended += 1;
    if (key !== undefined) this.#useKey(row, key, offset);
    return { kind: 'appended', epoch: row.epoch, offset, time, sequence };
  }

  /** What an earlier use of the key means for this one, if it is still remembered. */
  #earlier(row: ChannelRow, key: { text: string; fingerprint: Uint8Array }): Outcome | undefined {
    const used = this.#tables.keys.get(row.id, key.text);
    if (used === undefined || this.#nowMs - used.time >= this.#limits.keyWindowMs) return undefined;
    if (used.number <= row.keyNumber - this.#limits.keysPerChannelMax) return undefined;
    if (!sameBytes(used.fingerprint, key.fingerprint)) return { kind: 'conflict' };
    return { kind: 'duplicate', epoch: used.epoch, offset: used.offset };
  }

  #useKey(row: ChannelRow, key: { text: string; fingerprint: Uint8Array }, offset: number): void {
    const { keys } = this.#tables;
    row.keyNumber += 1;
    const used = { number: row.keyNumber, time: this.#nowMs, epoch: row.epoch, offset };
    keys.put(row.id, key.text, { ...used, fingerprint: key.fingerprint });
    const over = row.keyNumber - this.#limits.keysPerChannelMax;
    if (over > 0) keys.trim(row.id, over);
  }

  #leave({ channel }: Leave): Outcome {
    const known = this.#find(channel);
    if (known?.row.run === this.#log.run) return { kind: 'left', sequence: this.#log.sequence };
    const sequence = this.#nextSequence();
    const { row } = this.#touch(channel, known, sequence);
    this.#endLife(row, sequence);
    row.epoch = NO_STREAM.epoch;
    row.born = sequence;
    row.last = sequence;
    row.run = this.#log.run;
    row.due = toBound(this.#nowMs + this.#limits.metadataMs);
    return { kind: 'left', sequence };
  }

  #purge({ channel }: Purge): Outcome {
    const known = this.#find(channel);
    if (known === undefined || (known.row.top === 0 && known.row.run === 0)) {
      return { kind: 'purged', sequence: this.#log.sequence };
    }
    const sequence = this.#nextSequence();
    const { row } = this.#touch(channel, known, sequence);
    this.#endLife(row, sequence);
    this.#tables.keys.forget(row.id);
    row.epoch = NO_STREAM.epoch;
    row.born = sequence;
    row.last = sequence;
    // That it was purged is remembered as long as a last message would be.
    row.due = toBound(this.#nowMs + this.#limits.metadataMs);
    return { kind: 'purged', sequence };
  }

  #beginLife(row: ChannelRow, sequence: number): void {
    this.#endLife(row, sequence);
    row.epoch = this.#random.word(8);
    row.generation = this.#log.generation;
    row.born = sequence;
  }

  /** Ends the life that there is, if any, in the file or in the memory of a run. */
  #endLife(row: ChannelRow, sequence: number): void {
    if (row.oldest <= row.top) this.#tables.messages.drop(row.born);
    if (row.top > 0 || row.run > 0) row.ended = sequence;
    row.run = 0;
    row.trimmed = 0;
    row.oldest = 1;
    row.top = 0;
    row.size = 0;
  }

  #find(channel: string): Touched | undefined {
    const touched = this.#touched.get(channel);
    if (touched !== undefined) return touched;
    const row = this.#tables.channels.get(channel);
    return row === undefined ? undefined : { row, isNew: false, appended: 0 };
  }

  /** Sees to it that the channel's row is written with the transaction. */
  #touch(channel: string, known: Touched | undefined, sequence: number): Touched {
    const touched = known ?? { row: newRow(channel, sequence), isNew: true, appended: 0 };
    this.#touched.set(channel, touched);
    return touched;
  }

  #nextSequence(): number {
    this.#log.sequence += 1;
    return this.#log.sequence;
  }
}

function newRow(name: string, sequence: number): ChannelRow {
  return {
    id: sequence,
    name,
    epoch: NO_STREAM.epoch,
    generation: 0,
    born: sequence,
    last: sequence,
    trimmed: 0,
    oldest: 1,
    top: 0,
    size: 0,
    newestTime: 0,
    countMax: 0,
    sizeMax: 0,
    ageMax: 0,
    due: 0,
    keyNumber: 0,
    run: 0,
    ended: 0,
    stored: { due: 0, run: 0 },
  };
}

/** A bound as SQLite can keep it: it has no infinity. */
function toBound(bound: number): number {
  return Math.max(0, Math.min(Math.floor(bound), Number.MAX_SAFE_INTEGER));
}
