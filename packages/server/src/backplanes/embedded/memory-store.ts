/**
 * MemoryStore: a log in the memory of the process. It answers at once, and what it holds ends with
 * the process; its epochs are new at each start, so nobody takes a new message for an old one.
 */
import { contentSize, ORIGIN } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type {
  ChangedChannel,
  ChannelFilter,
  ReadRange,
  StreamBounds,
  StreamSlice,
} from '../../broker/broker.ts';
import type { StateRecord } from '../../broker/state.ts';
import type { Random } from '../../random.ts';
import { inPieces, matchesAny, splitFilter } from './channel-filter.ts';
import type { EmbeddedLimits, StoreLimits } from './config.ts';
import { draftFingerprint, sameBytes, scopedKey } from './fingerprint.ts';
import { MemoryState } from './memory-state.ts';
import { MemoryStream, STREAM_SIZE } from './memory-stream.ts';
import { CHANGED_PAGE, LOST_LIFE, NO_BOUNDS, NO_STREAM, STATE_PAGE_SIZE_MAX } from './store.ts';
import type {
  Append,
  ChangedPage,
  LogIdentity,
  LogPlace,
  LogStore,
  Operation,
  Outcome,
} from './store.ts';

/** Channels looked at in one step of a sweep. */
const SWEEP_STEP = 1000;

/** What a remembered key and a channel that was purged take, roughly. */
const KEY_SIZE = 256;
const PURGED_SIZE = 512;

/** Where the message of an idempotency key went. */
interface UsedKey {
  readonly time: number;
  readonly epoch: string;
  readonly offset: number;
  readonly fingerprint: Uint8Array;
}

/** A channel of the store. */
interface MemoryChannel {
  /** Absent when it was purged and nothing has come since. */
  stream: MemoryStream | undefined;
  /** In the order of their use; most channels have none. */
  keys: Map<string, UsedKey> | undefined;
  /** Sequence and time of the newest purge; 0 for none. */
  purged: number;
  purgedMs: number;
}

/** Of a name that nothing is known of. */
const NO_CHANNEL: Readonly<MemoryChannel> = {
  stream: undefined,
  keys: undefined,
  purged: 0,
  purgedMs: 0,
};

/** What a memory store has to be given. */
export interface MemoryStoreOptions {
  readonly random: Random;
  readonly limits: Omit<StoreLimits, 'fileSizeMax'> & Pick<EmbeddedLimits, 'memorySizeMax'>;
}

export class MemoryStore implements LogStore {
  readonly joins = false;
  readonly #random: Random;
  readonly #limits: MemoryStoreOptions['limits'];
  readonly #id: string;
  readonly #channels = new Map<string, MemoryChannel>();
  readonly #state = new MemoryState();
  #sequence = 0;
  /** Sequence of the newest message or purge; state has the others. */
  #newest = 0;
  /** Bytes that all channels take, roughly. */
  #size = 0;
  /** The highest sequence of a channel that was forgotten. */
  #forgotten = 0;
  #sweeping: MapIterator<[string, MemoryChannel]> | undefined;

  constructor(options: MemoryStoreOptions) {
    this.#random = options.random;
    this.#limits = options.limits;
    this.#id = options.random.word(16);
  }

  open(): LogIdentity {
    return { id: this.#id, run: 1, sequence: this.#sequence };
  }

  /** True when the channel has a stream here. */
  has(channel: string): boolean {
    return this.#channels.get(channel)?.stream !== undefined;
  }

  /** True when the channel has a stream here whose present life had begun by a place. */
  hadBegun(channel: string, { sequence }: LogPlace): boolean {
    const stream = this.#channels.get(channel)?.stream;
    return stream !== undefined && stream.born <= sequence;
  }

  commit(operations: readonly Operation[], nowMs: number): Outcome[] {
    return operations.map((operation) => this.#apply(operation, nowMs));
  }

  read(channel: string, range: ReadRange, nowMs: number): StreamSlice {
    return this.#channels.get(channel)?.stream?.read(range, nowMs) ?? NO_STREAM;
  }

  /** Where the channel's stream stands. */
  bounds(channel: string, nowMs: number): StreamBounds {
    return this.#channels.get(channel)?.stream?.bounds(nowMs) ?? NO_BOUNDS;
  }

  *changedSince(
    place: LogPlace | undefined,
    filter: ChannelFilter,
    nowMs: number,
  ): Generator<ChangedPage | undefined, void> {
    const { names, patterns } = splitFilter(filter);
    for (const piece of inPieces(names, CHANGED_PAGE)) {
      yield this.#changedOf(place, piece, nowMs);
    }
    if (patterns.length === 0) return;
    // Nearly always nothing has changed since a mark that was just given.
    if (place !== undefined && place.sequence >= this.#newest) {
      yield this.#changedOf(place, [], nowMs);
      return;
    }
    let found: string[] = [];
    let looked = 0;
    // Between two steps channels come and go; the map's iterator minds that.
    for (const channel of this.#channels.keys()) {
      if (matchesAny(patterns, channel)) found.push(channel);
      looked += 1;
      if (looked % CHANGED_PAGE > 0) continue;
      yield this.#changedOf(place, found, nowMs);
      found = [];
    }
    yield this.#changedOf(place, found, nowMs);
  }

  get(key: string, nowMs: number): StateRecord | undefined {
    return this.#state.get(key, nowMs);
  }

  list(prefix: string, after: string | undefined, countMax: number, nowMs: number): StateRecord[] {
    return this.#state.list(prefix, after, countMax, STATE_PAGE_SIZE_MAX, nowMs);
  }

  sweep(nowMs: number): boolean {
    this.#sweeping ??= this.#channels.entries();
    for (let step = 0; step < SWEEP_STEP; step += 1) {
      const next = this.#sweeping.next();
      if (next.done === true) {
        this.#sweeping = undefined;
        this.#state.expire(nowMs);
        return false;
      }
      this.#expire(...next.value, nowMs);
    }
    return true;
  }

  close(): void {
    this.#size = 0;
    this.#channels.clear();
  }

  #apply(operation: Operation, nowMs: number): Outcome {
    switch (operation.kind) {
      case 'append':
        return this.#append(operation, nowMs);
      case 'leave':
        this.#forget(operation.channel);
        return { kind: 'left', sequence: this.#sequence };
      case 'purge':
        this.#purge(operation.channel, nowMs);
        return { kind: 'purged', sequence: this.#sequence };
      case 'put': {
        const growth = this.#state.growth(operation);
        if (growth > 0 && this.#isFull(growth)) return { kind: 'full' };
        const done = this.#state.put(operation, this.#sequence + 1, nowMs);
        if (done) this.#sequence += 1;
        return { kind: 'put', version: done ? this.#sequence : undefined };
      }
      case 'delete':
        return { kind: 'delete', deleted: this.#state.delete(operation, nowMs) };
    }
  }

  /** What changed in these channels since `place`; `undefined` when that can't be told. */
  #changedOf(
    place: LogPlace | undefined,
    names: readonly string[],
    nowMs: number,
  ): ChangedChannel[] | undefined {
    const { sequence } = place ?? { sequence: 0 };
    if (place !== undefined && (sequence > this.#sequence || sequence < this.#forgotten)) {
      return undefined;
    }
    const changed: ChangedChannel[] = [];
    for (const name of names) {
      const { stream, purged } = this.#channels.get(name) ?? NO_CHANNEL;
      if (stream !== undefined && stream.last > sequence) {
        const position = place === undefined ? ORIGIN : positionAt(stream, purged, sequence);
        changed.push({ channel: name, position, stream: stream.bounds(nowMs) });
      } else if (place !== undefined && stream === undefined && purged > sequence) {
        changed.push({ channel: name, position: LOST_LIFE, stream: NO_BOUNDS });
      }
    }
    return changed;
  }

  #append({ channel: name, draft, retention, idempotency }: Append, nowMs: number): Outcome {
    let channel = this.#channels.get(name);
    let key: { readonly text: string; readonly fingerprint: Uint8Array } | undefined;
    if (idempotency !== undefined) {
      key = { text: scopedKey(idempotency), fingerprint: draftFingerprint(draft) };
      const used = channel?.keys?.get(key.text);
      if (used !== undefined && nowMs - used.time < this.#limits.keyWindowMs) {
        const same = sameBytes(used.fingerprint, key.fingerprint);
        return same
          ? { kind: 'duplicate', epoch: used.epoch, offset: used.offset }
          : { kind: 'conflict' };
      }
    }
    // A channel whose oldest message makes room for the new one goes on all the same.
    const size = contentSize(draft);
    const growth = channel?.stream?.growth(size, retention) ?? size + STREAM_SIZE;
    if (growth > 0 && this.#isFull(growth)) return { kind: 'full' };
    this.#sequence += 1;
    this.#newest = this.#sequence;
    const sizeBefore = channel === undefined ? 0 : sizeOf(channel);
    if (channel === undefined) {
      channel = { stream: undefined, keys: undefined, purged: 0, purgedMs: 0 };
      this.#channels.set(name, channel);
    }
    const stream = (channel.stream ??= new MemoryStream(this.#random.word(8), this.#sequence));
    const message = stream.append(draft, retention, this.#sequence, nowMs);
    const { offset, time } = message;
    const { epoch } = stream;
    if (key !== undefined) {
      const keys = (channel.keys ??= new Map<string, UsedKey>());
      keys.delete(key.text); // An expired one must not keep its old place in the order.
      keys.set(key.text, { time: nowMs, epoch, offset, fingerprint: key.fingerprint });
      if (keys.size > this.#limits.keysPerChannelMax) deleteFirst(keys);
    }
    this.#size += sizeOf(channel) - sizeBefore;
    return { kind: 'appended', epoch, offset, time, sequence: this.#sequence, message };
  }

  #isFull(growth: number): boolean {
    return this.#size + this.#state.size + growth > this.#limits.memorySizeMax;
  }

  #expire(name: string, channel: MemoryChannel, nowMs: number): void {
    const { stream, keys, purged, purgedMs } = channel;
    if (stream === undefined) {
      if (nowMs - purgedMs < this.#limits.metadataMs) return;
      this.#forgotten = Math.max(this.#forgotten, purged);
      this.#forget(name);
      return;
    }
    const sizeBefore = sizeOf(channel);
    for (const [key, used] of keys ?? []) {
      if (nowMs - used.time < this.#limits.keyWindowMs) break;
      keys?.delete(key);
    }
    const empty = stream.expire(nowMs);
    this.#size += sizeOf(channel) - sizeBefore;
    if (!empty || nowMs - stream.newestTime < this.#limits.metadataMs) return;
    this.#forgotten = Math.max(this.#forgotten, stream.last);
    this.#forget(name);
  }

  /** Leaves of the channel only that it was purged, for the marks of before. */
  #purge(name: string, nowMs: number): void {
    const channel = this.#channels.get(name);
    if (channel?.stream === undefined) return;
    const sizeBefore = sizeOf(channel);
    this.#sequence += 1;
    this.#newest = this.#sequence;
    channel.stream = undefined;
    channel.keys = undefined;
    channel.purged = this.#sequence;
    channel.purgedMs = nowMs;
    this.#size += sizeOf(channel) - sizeBefore;
  }

  #forget(name: string): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    this.#size -= sizeOf(channel);
    this.#channels.delete(name);
  }
}

function positionAt(stream: MemoryStream, purged: number, sequence: number): Position {
  if (stream.born <= sequence) return { epoch: stream.epoch, offset: stream.offsetAt(sequence) };
  return purged > sequence ? LOST_LIFE : ORIGIN;
}

function sizeOf({ stream, keys }: MemoryChannel): number {
  return (stream?.size ?? PURGED_SIZE) + (keys?.size ?? 0) * KEY_SIZE;
}

function deleteFirst(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
