/** MemoryState: state records in memory, in key order. */
import type { StateRecord } from '../../broker/state.ts';
import { compareCodePoints, lowerBound } from './order.ts';
import type { Delete, Put } from './store.ts';

interface Kept extends StateRecord {
  readonly expiresAt: number;
}

export class MemoryState {
  readonly #records = new Map<string, Kept>();
  /** All keys by code points. */
  readonly #keys: string[] = [];

  get(key: string, nowMs: number): StateRecord | undefined {
    const kept = this.#records.get(key);
    return kept === undefined || kept.expiresAt <= nowMs ? undefined : toRecord(kept);
  }

  /** @returns false when the condition does not hold. */
  put(put: Put, version: number, nowMs: number): boolean {
    if (!this.#holds(put, nowMs)) return false;
    const { key, value, expiresAt = Infinity } = put;
    if (!this.#records.has(key)) this.#keys.splice(this.#indexOf(key), 0, key);
    this.#records.set(key, { key, value: Uint8Array.from(value), version, expiresAt });
    return true;
  }

  /** @returns false when there is no record or the condition does not hold. */
  delete(operation: Delete, nowMs: number): boolean {
    if (this.get(operation.key, nowMs) === undefined || !this.#holds(operation, nowMs))
      return false;
    this.#remove(operation.key);
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
    for (const [key, kept] of this.#records) if (kept.expiresAt <= nowMs) this.#remove(key);
  }

  #holds({ key, ifVersion }: Put | Delete, nowMs: number): boolean {
    return ifVersion === undefined || ifVersion === (this.get(key, nowMs)?.version ?? 0);
  }

  #remove(key: string): void {
    this.#records.delete(key);
    this.#keys.splice(this.#indexOf(key), 1);
  }

  /** Index of the first key that is not before `key`. */
  #indexOf(key: string): number {
    return lowerBound(0, this.#keys.length, (index) => {
      return compareCodePoints(this.#keys[index] ?? '', key) >= 0;
    });
  }
}

function toRecord({ key, value, version }: Kept): StateRecord {
  return { key, value, version };
}
