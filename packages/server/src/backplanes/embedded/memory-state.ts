/** MemoryState: state records in memory, in key order. */
import type { StateRecord } from '../../broker/state.ts';
import { compareCodePoints, lowerBound } from './order.ts';
import type { Delete, Put } from './store.ts';

/** What a record takes beside its key and value, roughly. */
const RECORD_SIZE = 256;

interface Kept extends StateRecord {
  readonly expiresAt: number;
}

export class MemoryState {
  readonly #records = new Map<string, Kept>();
  /** All keys by code points. */
  #keys: string[] = [];
  #size = 0;

  /** Bytes that all records take, roughly. */
  get size(): number {
    return this.#size;
  }

  get(key: string, nowMs: number): StateRecord | undefined {
    const kept = this.#records.get(key);
    return kept === undefined || kept.expiresAt <= nowMs ? undefined : toRecord(kept);
  }

  /** @returns false when the condition does not hold. */
  put(put: Put, version: number, nowMs: number): boolean {
    if (!this.#holds(put, nowMs)) return false;
    const { key, value, expiresAt = Infinity } = put;
    const old = this.#records.get(key);
    if (old === undefined) this.#keys.splice(this.#indexOf(key), 0, key);
    else this.#size -= sizeOf(old);
    const kept = { key, value: Uint8Array.from(value), version, expiresAt };
    this.#records.set(key, kept);
    this.#size += sizeOf(kept);
    return true;
  }

  /** Bytes that the store would have more after this put. */
  growth({ key, value }: Put): number {
    const old = this.#records.get(key);
    return sizeOf({ key, value }) - (old === undefined ? 0 : sizeOf(old));
  }

  /** @returns false when there is no record or the condition does not hold. */
  delete(operation: Delete, nowMs: number): boolean {
    if (this.get(operation.key, nowMs) === undefined || !this.#holds(operation, nowMs))
      return false;
    this.#remove(operation.key);
    this.#keys.splice(this.#indexOf(operation.key), 1);
    return true;
  }

  list(
    prefix: string,
    after: string | undefined,
    countMax: number,
    sizeMax: number,
    nowMs: number,
  ): StateRecord[] {
    const page: StateRecord[] = [];
    let size = 0;
    const start = after !== undefined && compareCodePoints(after, prefix) > 0 ? after : prefix;
    for (let index = this.#indexOf(start); index < this.#keys.length; index += 1) {
      const key = this.#keys[index] ?? '';
      if (!key.startsWith(prefix) || page.length >= countMax) break;
      const record = key === after ? undefined : this.get(key, nowMs);
      if (record === undefined) continue;
      size += record.value.length;
      if (size > sizeMax && page.length > 0) break;
      page.push(record);
    }
    return page;
  }

  expire(nowMs: number): void {
    const before = this.#records.size;
    for (const [key, kept] of this.#records) if (kept.expiresAt <= nowMs) this.#remove(key);
    // All at once: taking them out of the order one by one would take long.
    if (this.#records.size < before)
      this.#keys = this.#keys.filter((key) => this.#records.has(key));
  }

  #holds({ key, ifVersion }: Put | Delete, nowMs: number): boolean {
    return ifVersion === undefined || ifVersion === (this.get(key, nowMs)?.version ?? 0);
  }

  #remove(key: string): void {
    const kept = this.#records.get(key);
    if (kept === undefined) return;
    this.#records.delete(key);
    this.#size -= sizeOf(kept);
  }

  /** Index of the first key that is not before `key`. */
  #indexOf(key: string): number {
    return lowerBound(0, this.#keys.length, (index) => {
      return compareCodePoints(this.#keys[index] ?? '', key) >= 0;
    });
  }
}

function sizeOf({ key, value }: Pick<Kept, 'key' | 'value'>): number {
  return RECORD_SIZE + key.length * 2 + value.length;
}

function toRecord({ key, value, version }: Kept): StateRecord {
  return { key, value, version };
}
