/**
 * Retained: of each channel the last message that was published with `retain` [RET-1].
 *
 * It lies beside the log and outlives retention, until another one replaces it or an empty payload
 * clears it. Of two the one with the later position stays, in whatever order and at whatever node
 * they are written [RET-2]: writes of one channel follow each other here, and compare versions with
 * those of other nodes. What is cleared or over leaves its place behind for a while, so that an
 * earlier one that is still on its way does not come back.
 */
import { CodedError, contentSize, isWildcard, matchesPattern } from '@trunkline/wire';
import type { Draft, Message, Position } from '@trunkline/wire';
import { BrokerError } from '../broker/broker.ts';
import type { Broker } from '../broker/broker.ts';
import type { StateRecord, StateStore } from '../broker/state.ts';
import type { Clock } from '../clock.ts';
import { decodeKept, encodeKept, payloadSizeMax } from './kept-value.ts';
import type { KeptValue } from './kept-value.ts';

/** A retained message. */
export interface RetainedMessage {
  readonly channel: string;
  /** Empty where the channel is volatile; the message's offset is 0 then. */
  readonly epoch: string;
  readonly message: Message;
}

/** Which part of what is retained is asked for. */
export interface RetainedPageRequest {
  readonly countMax: number;
  /** Only channels that come after this one. */
  readonly after?: string;
  /** Bytes of messages, where less than usual are wanted; one message comes all the same. */
  readonly sizeMax?: number;
  /** Asked when a search has waited for its turn: false where nobody waits for it any more. */
  isWanted?(): boolean;
}

/** Part of what is retained, by channel in the order of code points. */
export interface RetainedPage {
  readonly messages: readonly RetainedMessage[];
  /** There may be more after this channel; of those that match or not. */
  readonly next?: string;
}

/** Where the log put a message. */
export interface RetainedPlace {
  /** Absent in a volatile channel: there the last one written stays. */
  readonly position?: Position;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** What retained messages are kept with. */
export interface RetainedParts {
  readonly state: StateStore;
  /** Asked for a stream's bounds when it may have begun anew. */
  readonly log: Pick<Broker, 'read'>;
  readonly clock: Clock;
}

/** How long a place is known after what stood there is gone: as long as keys are, by default. */
const PLACE_MS = 60 * 60 * 1000;

/** Records of one read while looking for those that match. */
const PAGE_COUNT = 500;

/** Records, and bytes of messages, that one search looks at, whether they match or not. */
const SEARCH_COUNT_MAX = 100_000;
const SEARCH_SIZE_MAX = 64 * 1024 * 1024;

/** Searches under way at once: each may look at very much to find little. Others wait in their order. */
export const SEARCHES_MAX = 4;

/** Bytes of the messages of one page of matches; one message comes all the same. */
const PAGE_SIZE_MAX = 4 * 1024 * 1024;

/** Writes over what another node wrote meanwhile, before it is given up. */
const ATTEMPT_COUNT_MAX = 16;

const PREFIX = 'retained/';

/** A write that has not begun, and those who wait for it. */
interface Write {
  value: KeptValue;
  readonly done: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Holds a draft against what can be retained; to be asked before it is published.
 *
 * @throws {CodedError} `too_large`, not stored.
 */
export function checkRetainable(channel: string, draft: Draft): void {
  const { payload, ttl: _ttl, slot: _slot, ...content } = draft;
  const sizeMax = payloadSizeMax(content);
  if (payload.length <= sizeMax) return;
  const message = `a retained message in ${channel} may have ${sizeMax} bytes, got ${payload.length}`;
  throw new CodedError('too_large', message, { stored: false });
}

/** The retained messages of all channels, as one node sees them. */
export class Retained {
  readonly #parts: RetainedParts;
  /** By channel: an entry while one is written, with those that wait for their turn. */
  readonly #writes = new Map<string, Write[]>();
  #searchCount = 0;
  /** What lets those begin that wait, in their order. */
  readonly #waiting = new Set<() => void>();

  constructor(parts: RetainedParts) {
    this.#parts = parts;
  }

  /**
   * Keeps a message that was published with `retain`; an empty payload clears. Resolves when that,
   * or something later, is stored.
   *
   * @throws {BrokerError} when nobody knows whether it is stored.
   */
  retain(channel: string, draft: Draft, place: RetainedPlace): Promise<void> {
    const value = toValue(draft, place);
    const waiting = this.#writes.get(channel);
    const last = waiting?.at(-1);
    // Of those that wait only the latest needs to be written.
    if (last !== undefined && last.value.position?.epoch === value.position?.epoch) {
      if (!isBefore(value, last.value)) last.value = value;
      return last.done;
    }
    const { promise: done, resolve, reject } = Promise.withResolvers<void>();
    const write: Write = { value, done, resolve, reject };
    // Never rejects: each write has its own answer.
    if (waiting === undefined) void this.#writeAll(channel, [write]);
    else waiting.push(write);
    return done;
  }

  /**
   * Clears what is retained in a channel, and what is on its way of an earlier life of its stream.
   *
   * @returns false when nothing was retained.
   * @throws {BrokerError} when nobody knows whether it is.
   */
  async clear(channel: string): Promise<boolean> {
    let found = false;
    const time = Math.floor(this.#parts.clock.unixMs());
    await this.#replace(channel, (kept) => {
      found = kept !== undefined && this.#isGiven(kept);
      const { position } = kept ?? {};
      return toValue({ payload: EMPTY }, { time, ...(position === undefined ? {} : { position }) });
    });
    return found;
  }

  /** What is retained in a channel. @throws {BrokerError} when it can't be read. */
  async get(channel: string): Promise<RetainedMessage | undefined> {
    const record = await this.#parts.state.get(PREFIX + channel);
    return record === undefined ? undefined : this.#toMessage(record);
  }

  /**
   * What is retained in the channels that match.
   *
   * @param filter a channel name, or a pattern in the sense of `matchesPattern`.
   * @throws {BrokerError} when it can't be read.
   */
  async find(filter: string, page: RetainedPageRequest): Promise<RetainedPage> {
    if (!isWildcard(filter)) {
      const found = await this.get(filter);
      return { messages: found === undefined ? [] : [found] };
    }
    await this.#beginSearch();
    try {
      return page.isWanted?.() === false ? { messages: [] } : await this.#search(filter, page);
    } finally {
      this.#endSearch();
    }
  }

  /** Whoever ends hands its place on, so that nobody who comes then takes it first. */
  async #beginSearch(): Promise<void> {
    if (this.#searchCount < SEARCHES_MAX) this.#searchCount += 1;
    else await new Promise<void>((resolve) => void this.#waiting.add(resolve));
  }

  #endSearch(): void {
    for (const begin of this.#waiting) {
      this.#waiting.delete(begin);
      begin();
      return;
    }
    this.#searchCount -= 1;
  }

  async #search(filter: string, page: RetainedPageRequest): Promise<RetainedPage> {
    const search = new Search(filter, page);
    // `a/#` matches `a`, which stands before everything that begins with `a/`.
    const parent = /^([^+#]*)\/#$/.exec(filter)?.[1];
    if (parent !== undefined && (page.after === undefined || page.after < parent)) {
      search.look(parent, await this.get(parent));
    }
    const prefix = PREFIX + filter.slice(0, filter.search(/[+#]/));
    let after = page.after === undefined ? undefined : PREFIX + page.after;
    while (!search.isFull) {
      const records = await this.#parts.state.list(prefix, {
        countMax: PAGE_COUNT,
        ...(after === undefined ? {} : { after }),
      });
      after = records.at(-1)?.key;
      if (after === undefined) return { messages: search.messages };
      for (const record of records) {
        search.look(record.key.slice(PREFIX.length), this.#toMessage(record));
        if (search.isFull) break;
      }
      // A store may answer in this turn: everybody else has theirs between two pages.
      const { clock } = this.#parts;
      if (records.length === PAGE_COUNT && !search.isFull) {
        await new Promise<void>((resolve) => clock.defer(resolve));
      }
    }
    return { messages: search.messages, next: search.last };
  }

  /** Writes one after the other; those that wait may be replaced until their turn has come. */
  async #writeAll(channel: string, writes: Write[]): Promise<void> {
    this.#writes.set(channel, writes);
    for (let write = writes.shift(); write !== undefined; write = writes.shift()) {
      const { value, resolve, reject } = write;
      await this.#write(channel, value).then(resolve, reject);
    }
    this.#writes.delete(channel);
  }

  #write(channel: string, value: KeptValue): Promise<void> {
    return this.#replace(channel, async (kept) => {
      return kept !== undefined && (await this.#isOver(channel, value, kept)) ? undefined : value;
    });
  }

  /** Puts what `make` gives over what it was given, again when another node came between. */
  async #replace(
    channel: string,
    make: (kept: KeptValue | undefined) => Promise<KeptValue | undefined> | KeptValue | undefined,
  ): Promise<void> {
    const { state } = this.#parts;
    const key = PREFIX + channel;
    for (let attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt += 1) {
      const record = await state.get(key);
      const value = await make(record === undefined ? undefined : decodeKept(record.value));
      if (value === undefined) return;
      const expiresAt = endOf(value);
      const version = await state.put(key, encodeKept(value), {
        ifVersion: record?.version ?? 0,
        ...(expiresAt === undefined ? {} : { expiresAt }),
      });
      if (version !== undefined) return;
    }
    const message = `what is retained in ${channel} changes faster than it can be written`;
    throw new BrokerError('unavailable', message, { stored: 'unknown' });
  }

  /** True when `value` comes too late: something later is kept, or the same, or it was purged. */
  async #isOver(channel: string, value: KeptValue, kept: KeptValue): Promise<boolean> {
    const { position } = value;
    const before = kept.position;
    const isCleared = kept.cleared === true;
    if (position === undefined) return false;
    if (before?.epoch === position.epoch && position.offset <= before.offset) return true;
    if (!isCleared && (before === undefined || before.epoch === position.epoch)) return false;
    // Offsets of two lives don't compare, and a purge ends one: what is of the present life stays.
    const { epoch } = await this.#parts.log.read(channel, { after: 0, countMax: 0, sizeMax: 0 });
    if (epoch === position.epoch) return false;
    return isCleared || epoch === before?.epoch;
  }

  #isGiven({ cleared, expiresAt }: KeptValue): boolean {
    return cleared !== true && (expiresAt === undefined || expiresAt > this.#parts.clock.unixMs());
  }

  #toMessage({ key, value }: StateRecord): RetainedMessage | undefined {
    const kept = decodeKept(value);
    if (kept === undefined || !this.#isGiven(kept)) return undefined;
    const { position, cleared: _, ...message } = kept;
    return {
      channel: key.slice(PREFIX.length),
      epoch: position?.epoch ?? '',
      message: { ...message, offset: position?.offset ?? 0 },
    };
  }
}

/** Gathers what matches, up to its bounds. */
class Search {
  readonly messages: RetainedMessage[] = [];
  /** The channel looked at last. */
  last = '';
  readonly #filter: string;
  readonly #countMax: number;
  readonly #sizeMax: number;
  #lookedCount = 0;
  #lookedSize = 0;
  #size = 0;

  constructor(filter: string, { countMax, sizeMax = PAGE_SIZE_MAX }: RetainedPageRequest) {
    this.#filter = filter;
    this.#countMax = countMax;
    this.#sizeMax = Math.min(sizeMax, PAGE_SIZE_MAX);
  }

  get isFull(): boolean {
    return (
      this.messages.length >= this.#countMax ||
      this.#size >= this.#sizeMax ||
      this.#lookedCount >= SEARCH_COUNT_MAX ||
      this.#lookedSize >= SEARCH_SIZE_MAX
    );
  }

  look(channel: string, found: RetainedMessage | undefined): void {
    this.#lookedCount += 1;
    this.last = channel;
    if (found === undefined) return;
    const size = contentSize(found.message);
    this.#lookedSize += size;
    if (!matchesPattern(this.#filter, channel)) return;
    this.messages.push(found);
    this.#size += size;
  }
}

const EMPTY = new Uint8Array(0);

function toValue(draft: Draft, { position, time }: RetainedPlace): KeptValue {
  const { payload, ttl, slot: _, ...content } = draft;
  const place = { time, ...(position === undefined ? {} : { position }) };
  if (payload.length === 0) return { ...place, cleared: true, payload };
  const expiresAt = ttl === undefined ? {} : { expiresAt: time + ttl };
  return { ...content, ...place, ...expiresAt, payload };
}

/** When nothing needs to be known of a value any more. */
function endOf({ cleared, expiresAt, time }: KeptValue): number | undefined {
  if (cleared === true) return time + PLACE_MS;
  return expiresAt === undefined ? undefined : expiresAt + PLACE_MS;
}

/** Of one epoch, or both of a volatile channel, where the one that comes last is the later. */
function isBefore(value: KeptValue, other: KeptValue): boolean {
  const { position } = value;
  if (position === undefined || other.position === undefined) return false;
  return position.offset < other.position.offset;
}
