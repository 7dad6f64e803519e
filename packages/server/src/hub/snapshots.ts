/**
 * Snapshots: what an application said the state of a channel is, at a position of its stream, so
 * that a client that could not be brought up by the log starts there and goes on from the log
 * [SNAP-1].
 *
 * A storm of clients asks for the same few snapshots: what was read is kept in memory, many who ask
 * at once share one read, and what is older than a moment is read again, since other nodes write
 * too.
 */
import { CodedError, formatPosition, isOrigin, payloadMembers } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import { BrokerError } from '../broker/broker.ts';
import type { Broker, StreamBounds } from '../broker/broker.ts';
import type { StateRecord, StateStore } from '../broker/state.ts';
import type { Clock } from '../clock.ts';
import { decodeKept, encodeKept } from './kept-value.ts';

/** What a channel's state was at a position. */
export interface Snapshot {
  readonly position: Position;
  /** When it was put, milliseconds since 1970. */
  readonly time: number;
  readonly payload: Uint8Array;
  /** Absent is JSON. */
  readonly contentType?: string;
}

/** What an application gives. */
export type SnapshotDraft = Omit<Snapshot, 'time'>;

/** What snapshots are kept with. */
export interface SnapshotParts {
  readonly state: StateStore;
  /** Asked where a stream stands. */
  readonly log: Pick<Broker, 'read'>;
  readonly clock: Clock;
}

/** Payload bytes of a snapshot: what a state record holds, less what is said of it. */
export const SNAPSHOT_BYTES_MAX = 1024 * 1024 - 1024;

/** Memory of all snapshots that are kept for readers. */
const CACHE_SIZE_MAX = 16 * 1024 * 1024;

/** What an entry takes beside its payload; also one that says that there is none. */
const ENTRY_OVERHEAD_SIZE = 512;

/** A snapshot in memory is taken as it is for so long; then it is read again. */
const FRESH_MS = 5_000;

/** Writes over what another node wrote meanwhile, before it is given up. */
const ATTEMPT_COUNT_MAX = 16;

/** Bytes of the snapshots of one answer, or of one stream's beginning: four of the largest. */
const TOGETHER_SIZE_MAX = 4 * 1024 * 1024;

const PREFIX = 'snapshot/';

interface Entry {
  readonly snapshot: Snapshot | undefined;
  readonly version: number;
  readonly size: number;
  /** When it was last known to be what is stored; monotonic. */
  knownAtMs: number;
}

/** The snapshots of all channels, as one node sees them. */
export class Snapshots {
  readonly #parts: SnapshotParts;
  /** By channel, the one used longest ago first. */
  readonly #entries = new Map<string, Entry>();
  readonly #reads = new Map<string, Promise<Snapshot | undefined>>();
  #size = 0;

  constructor(parts: SnapshotParts) {
    this.#parts = parts;
  }

  /**
   * The snapshot of a channel: what this node wrote, or what was stored a few seconds ago at most.
   *
   * @throws {BrokerError} when it can't be read.
   */
  get(channel: string): Promise<Snapshot | undefined> {
    const entry = this.#entries.get(channel);
    if (entry !== undefined && this.#nowMs() - entry.knownAtMs < FRESH_MS) {
      this.#keep(channel, entry); // It becomes the one used last.
      return Promise.resolve(entry.snapshot);
    }
    const underWay = this.#reads.get(channel);
    if (underWay !== undefined) return underWay;
    const read = this.#read(channel, () => this.#reads.get(channel) === read);
    this.#reads.set(channel, read);
    return read;
  }

  /**
   * Stores a snapshot. Resolves when it is what every node gives, soon after.
   *
   * @throws {CodedError} `conflict` when its position is not one of the stream, or older than that
   *   of the snapshot there is; `too_large`.
   * @throws {BrokerError} when nobody knows whether it is stored.
   */
  async put(channel: string, draft: SnapshotDraft): Promise<Snapshot> {
    const { payload } = draft;
    if (payload.length > SNAPSHOT_BYTES_MAX) {
      const message = `a snapshot may have ${SNAPSHOT_BYTES_MAX} bytes, got ${payload.length}`;
      throw new CodedError('too_large', message, { stored: false });
    }
    const { state, clock } = this.#parts;
    for (let attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt += 1) {
      const record = await state.get(PREFIX + channel);
      const stream = await this.#boundsOf(channel);
      const position = placeIn(stream, draft.position);
      const kept = record === undefined ? undefined : toSnapshot(record);
      checkPlace(channel, position, stream, kept);
      const time = Math.floor(clock.unixMs());
      const snapshot: Snapshot = { ...draft, position, time };
      const ifVersion = record?.version ?? 0;
      const version = await state.put(PREFIX + channel, encodeKept(snapshot), { ifVersion });
      if (version === undefined) continue;
      await this.#requireLife(channel, position, version);
      this.#remember(channel, snapshot, version);
      return snapshot;
    }
    const message = `the snapshot of ${channel} changes faster than it can be written`;
    throw new BrokerError('unavailable', message);
  }

  /** @returns false when there was none. @throws {BrokerError} when nobody knows whether it is gone. */
  async delete(channel: string): Promise<boolean> {
    const deleted = await this.#parts.state.delete(PREFIX + channel);
    this.#remember(channel, undefined, 0);
    return deleted;
  }

  /** Bytes kept in memory, roughly. */
  get keptSize(): number {
    return this.#size;
  }

  #boundsOf(channel: string): Promise<StreamBounds> {
    return this.#parts.log.read(channel, { after: 0, countMax: 0, sizeMax: 0 });
  }

  /**
   * A purge may have come between the look at the stream and the write, and have found nothing to
   * remove yet [PURGE-1]: then what was written is taken back. A later one finds it.
   *
   * @throws {CodedError} `conflict`.
   */
  async #requireLife(channel: string, position: Position, version: number): Promise<void> {
    const stream = await this.#boundsOf(channel);
    if (stream.epoch === placeIn(stream, position).epoch) return;
    await this.#parts.state.delete(PREFIX + channel, { ifVersion: version });
    this.#remember(channel, undefined, 0);
    checkPlace(channel, position, stream, undefined);
  }

  /** @param isLatest false when a write of this node came after this read began. */
  async #read(channel: string, isLatest: () => boolean): Promise<Snapshot | undefined> {
    try {
      const record = await this.#parts.state.get(PREFIX + channel);
      const entry = this.#entries.get(channel);
      const version = record?.version ?? 0;
      // What did not change stays the same object, with what was made of it.
      const same = entry !== undefined && entry.version === version;
      const snapshot = same ? entry.snapshot : record && toSnapshot(record);
      if (isLatest()) this.#remember(channel, snapshot, version);
      return snapshot;
    } finally {
      if (isLatest()) this.#reads.delete(channel);
    }
  }

  /** What is known now; reads that began before know less. */
  #remember(channel: string, snapshot: Snapshot | undefined, version: number): void {
    this.#reads.delete(channel);
    // Twice: the payload, and what it is written as.
    const size = ENTRY_OVERHEAD_SIZE + 2 * (snapshot?.payload.length ?? 0);
    this.#keep(channel, { snapshot, version, size, knownAtMs: this.#nowMs() });
    for (const [oldest, { size: freed }] of this.#entries) {
      if (this.#size <= CACHE_SIZE_MAX) return;
      this.#entries.delete(oldest);
      this.#size -= freed;
    }
  }

  #keep(channel: string, entry: Entry): void {
    this.#size += entry.size - (this.#entries.get(channel)?.size ?? 0);
    // A map iterates in the order of insertion, so this makes it the newest.
    this.#entries.delete(channel);
    this.#entries.set(channel, entry);
  }

  #nowMs(): number {
    return this.#parts.clock.monotonicMs();
  }
}

/**
 * True when the log has everything after the snapshot, so that a client that starts with it misses
 * nothing [SNAP-3]. Pure.
 *
 * @param resumeCountMax the most messages one resume may carry.
 */
export function isUseful(
  { position }: Pick<Snapshot, 'position'>,
  stream: StreamBounds,
  resumeCountMax = Infinity,
): boolean {
  const { epoch, offset } = placeIn(stream, position);
  if (epoch !== stream.epoch || offset > stream.top) return false;
  return offset + 1 >= stream.oldest && stream.top - offset <= resumeCountMax;
}

/** What still fits of the snapshots that are given together [POLL-8]. */
export class SnapshotRoom {
  #left = TOGETHER_SIZE_MAX;

  /** @throws {CodedError} `too_large` when it does not fit any more. */
  take(snapshot: Snapshot | undefined): void {
    this.#left -= snapshot?.payload.length ?? 0;
    if (this.#left >= 0) return;
    const message = `the snapshots have more than ${TOGETHER_SIZE_MAX} bytes: ask for fewer`;
    throw new CodedError('too_large', message);
  }
}

const written = new WeakMap<Snapshot, string>();

/**
 * A snapshot as JSON members, without braces and without a comma before them; its payload stands
 * there as a message's does [MSG-3]. Written once for one snapshot.
 */
export function snapshotMembers(snapshot: Snapshot): string {
  const known = written.get(snapshot);
  if (known !== undefined) return known;
  const { position, time } = snapshot;
  const members =
    `"position":"${formatPosition(position)}","time":${time},` + payloadMembers(snapshot);
  written.set(snapshot, members);
  return members;
}

/** `0:0` is a place in every life of a stream. */
function placeIn({ epoch }: StreamBounds, position: Position): Position {
  return isOrigin(position) ? { epoch, offset: 0 } : position;
}

function checkPlace(
  channel: string,
  position: Position,
  stream: StreamBounds,
  kept: Snapshot | undefined,
): void {
  const place = formatPosition(position);
  const top = formatPosition({ epoch: stream.epoch, offset: stream.top });
  if (position.epoch !== stream.epoch) {
    throw conflict(`${place} is not of the present life of ${channel}, which is at ${top}`);
  }
  if (position.offset > stream.top) {
    throw conflict(`${place} is beyond ${channel}, which is at ${top}`);
  }
  if (kept?.position.epoch === position.epoch && kept.position.offset > position.offset) {
    const newer = formatPosition(kept.position);
    throw conflict(`there is a newer snapshot of ${channel}, at ${newer}: ${place} is older`);
  }
}

function toSnapshot({ value }: StateRecord): Snapshot | undefined {
  const kept = decodeKept(value);
  if (kept?.position === undefined) return undefined;
  const { position, time, payload, contentType } = kept;
  return { position, time, payload, ...(contentType === undefined ? {} : { contentType }) };
}

function conflict(message: string): CodedError {
  return new CodedError('conflict', message, { stored: false });
}
