/**
 * Channel: what this node knows of one channel that someone here listens to.
 *
 * The head is the newest offset that live cursors have been given. It moves only without holes:
 * a message that does not follow means that the log must be read (`accept` says so).
 */
import type { Message, Position } from '@trunkline/wire';
import type { NamespaceRules } from '../config/namespace-rules.ts';
import type { Alarm, AlarmMarks } from '../wheel.ts';
import { RECENT_COUNT_MAX, TAIL_SIZE_MAX } from './config.ts';
import type { Cursor } from './cursor.ts';
import type { MessageBatch } from './message-batch.ts';
import type { Selection } from './selection/selection.ts';
import { Tail } from './tail.ts';

const NO_SELECTIONS: readonly Selection[] = [];

/** What `Channel.accept` found. */
export type Acceptance =
  /** It follows the head and waits for this turn's flush. */
  | 'queued'
  /** Known already. */
  | 'known'
  /** Something is missing before it, or it is of another life of the stream. */
  | 'hole';

/** Someone who waits for anything new in a channel. */
export interface Waiter {
  /** Called once, in a flush; the waiter has been removed by then. Must not throw. */
  onNews(): void;
}

/** What all channels of a node keep in memory for readers who come back. */
export interface KeptMemory {
  /** Bytes, roughly. */
  size: number;
}

/** What a channel is made with. */
export interface ChannelParts {
  readonly rules: NamespaceRules;
  /** Counted up and down by every channel. */
  readonly kept: KeptMemory;
  /** Time to look at the channel: it is unused, or may have missed something. */
  readonly onAlarm: (channel: Channel) => void;
}

/** There may be very many of these with one cursor each: what few need is made when needed. */
export class Channel implements Alarm {
  readonly name: string;
  readonly rules: NamespaceRules;
  /** The newest messages. Changed through the channel alone, which counts its memory. */
  readonly tail: Tail;
  /** Set while the channel can't be used yet; all who want it wait for the same promise. */
  opening: Promise<void> | undefined;
  /** True while the log is being read because something was missed. */
  healing = false;
  /** True after a read of the log failed, until one works again. */
  away = false;
  /** True when news came while the log was being read: read again. */
  stale = false;
  /** True while it waits for this turn's flush. */
  dirty = false;
  /** Called once when the log has been read and nothing is missing, or when that failed. */
  whenWhole: (() => void)[] | undefined;
  /** Cursors for which the log could not be read; they try again together. */
  stalled: Set<Cursor> | undefined;
  /** Cursors and waiting reads. At 0 the channel is closed after a while. */
  users = 0;

  /**
   * True when nobody asked for the channel by name: a pattern brought its messages here, and its
   * head is only followed while one does.
   */
  adopted = false;
  /** The message that came first while the channel was being opened, of which nothing was known. */
  first: Position | undefined;
  /** True once it is known where the stream stands. */
  isKnown = false;
  /** Those who follow it among others; right as long as the version is that of their index. */
  selections: readonly Selection[] = NO_SELECTIONS;
  matchedVersion = -1;

  epoch = '0';
  head = 0;
  /**
   * Newest offset of this epoch that the broker told by itself: a mark it gives later is not
   * before it. What was read from the log may be ahead of that.
   */
  told = 0;
  /**
   * Up to here it was read when nobody followed it by a pattern. What of it the broker tells later,
   * as a log may be ahead of that, is news to those who do by then.
   */
  unshared = 0;
  /** What this turn brought, not yet given to anyone. */
  pending: Message[] = [];
  readonly live: Cursor[] = [];
  /** Reads of the log under way, by what they read: many who ask the same cost one. */
  reads: Map<string, Promise<unknown>> | undefined;
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly #parts: ChannelParts;
  #waiters: Set<Waiter> | undefined;
  #recent: Map<number, MessageBatch> | undefined;
  #recentSize = 0;
  #keptSize = 0;
  #closed = false;

  constructor(name: string, parts: ChannelParts) {
    this.name = name;
    this.rules = parts.rules;
    this.tail = new Tail(parts.rules.history, TAIL_SIZE_MAX);
    this.#parts = parts;
  }

  /** Where live cursors will be after this turn, as far as that is known. */
  get knownPlace(): Position | undefined {
    if (this.isKnown) return { epoch: this.epoch, offset: this.newest };
    return this.first === undefined
      ? undefined
      : { epoch: this.first.epoch, offset: this.first.offset - 1 };
  }

  /** Newest offset known here, this turn's messages included. */
  get newest(): number {
    return this.head + this.pending.length;
  }

  get position(): Position {
    return { epoch: this.epoch, offset: this.head };
  }

  /** True once nobody on this node listens any more; nothing is kept then. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Takes a message from the broker. */
  accept(epoch: string, message: Message): Acceptance {
    if (epoch !== this.epoch) {
      // The first message ever begins the stream; any other change of epoch is a loss.
      if (this.epoch !== '0' || message.offset !== 1) return 'hole';
      this.epoch = epoch;
    }
    if (message.offset <= this.newest) return 'known';
    if (message.offset !== this.newest + 1) return 'hole';
    this.pending.push(message);
    return 'queued';
  }

  /** Begins at this place of this life of the stream, whatever was known before. */
  reset(epoch: string, head: number): void {
    this.isKnown = true;
    this.epoch = epoch;
    this.head = head;
    this.told = 0;
    this.unshared = 0;
    this.pending = [];
    this.forget();
  }

  /** Keeps a batch that live cursors are given for those who resume; what no longer fits goes. */
  keep(batch: MessageBatch): void {
    this.tail.push(batch);
    this.#count();
  }

  /** Keeps what was read from the log and comes right before the tail, as much as fits. */
  keepOlder(batches: readonly MessageBatch[]): void {
    this.tail.prepend(batches);
    this.#count();
  }

  /** What comes after `offset` as far as it is in memory, at most up to the head. */
  batchAfter(offset: number): MessageBatch | undefined {
    const recent = this.#recent?.get(offset);
    if (recent !== undefined) return recent;
    const batch = this.tail.after(offset);
    if (batch === undefined || batch.first === offset + 1) return batch;
    const part = batch.after(offset);
    this.remember(offset, part);
    return part;
  }

  /** Keeps a batch for others who are at the same place. */
  remember(after: number, batch: MessageBatch): void {
    const recent = (this.#recent ??= new Map<number, MessageBatch>());
    this.#recentSize += batch.size - (recent.get(after)?.size ?? 0);
    recent.set(after, batch);
    const [oldest] = recent;
    if (recent.size > RECENT_COUNT_MAX && oldest !== undefined) {
      recent.delete(oldest[0]);
      this.#recentSize -= oldest[1].size;
    }
    this.#count();
  }

  /** Lets go of what was made for several readers at one place. The messages themselves stay. */
  forgetRecent(): void {
    this.tail.forgetEncoded();
    this.#recent = undefined;
    this.#recentSize = 0;
    this.#count();
  }

  /** Lets go of everything that can be read from the log again. */
  forget(): void {
    this.tail.clear();
    this.forgetRecent();
  }

  /** Nobody listens any more. */
  close(): void {
    this.#closed = true;
    this.forget();
  }

  /** The cursor is at the head and gets each turn's batch from now on. */
  makeLive(cursor: Cursor): void {
    cursor.state = 'live';
    cursor.liveIndex = this.live.length;
    this.live.push(cursor);
  }

  /** Takes a cursor out of the live ones, in constant time; order among them does not matter. */
  removeLive(cursor: Cursor): void {
    const index = cursor.liveIndex;
    const last = this.live.pop();
    if (last !== undefined && last !== cursor) {
      this.live[index] = last;
      last.liveIndex = index;
    }
    cursor.liveIndex = -1;
  }

  /** Calls `waiter` at the next news, unless it is removed before. */
  addWaiter(waiter: Waiter): void {
    this.#waiters ??= new Set();
    this.#waiters.add(waiter);
  }

  /** The waiter waits no more. Idempotent. */
  removeWaiter(waiter: Waiter): void {
    this.#waiters?.delete(waiter);
    if (this.#waiters?.size === 0) this.#waiters = undefined;
  }

  /** Calls all who wait for news; they may wait again afterwards. */
  wakeWaiters(): void {
    const woken = this.#waiters;
    this.#waiters = undefined;
    for (const waiter of woken ?? []) waiter.onNews();
  }

  onAlarm(): void {
    this.#parts.onAlarm(this);
  }

  /** Brings the node's count of kept memory up to date. */
  #count(): void {
    const size = this.#closed ? 0 : this.tail.size + this.#recentSize;
    this.#parts.kept.size += size - this.#keptSize;
    this.#keptSize = size;
  }
}
