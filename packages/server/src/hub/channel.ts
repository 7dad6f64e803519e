/**
 * Channel: what this node knows of one channel that someone here listens to.
 *
 * The head is the newest offset that live cursors have been given. It moves only without holes:
 * a message that does not follow means that the log must be read (`accept` says so).
 */
import type { Message, Position } from '@trunkline/wire';
import type { NamespaceRules } from '../config/namespace-rules.ts';
import type { Alarm, AlarmMarks } from '../wheel.ts';
import type { Cursor } from './cursor.ts';
import { MessageBatch } from './message-batch.ts';
import { Tail } from './tail.ts';

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

/** Batches read from the log that are kept for others who ask for the same. */
const RECENT_COUNT_MAX = 8;

export class Channel implements Alarm {
  readonly name: string;
  readonly rules: NamespaceRules;
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
  whenWhole: (() => void)[] = [];
  /** Cursors that must wait until the channel is whole. */
  readonly stalled = new Set<Cursor>();
  /** Cursors and waiting reads. At 0 the channel is closed after a while. */
  users = 0;

  epoch = '0';
  head = 0;
  /** What this turn brought, not yet given to anyone. */
  pending: Message[] = [];
  readonly live: Cursor[] = [];
  readonly waiters = new Set<Waiter>();
  /** Reads of the log under way, by what they read: many who ask the same cost one. */
  readonly reads = new Map<string, Promise<unknown>>();
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly #recent = new Map<number, MessageBatch>();
  readonly #onAlarm: (channel: Channel) => void;

  constructor(
    name: string,
    rules: NamespaceRules,
    tailSizeMax: number,
    onAlarm: (channel: Channel) => void,
  ) {
    this.name = name;
    this.rules = rules;
    this.tail = new Tail(rules.history, tailSizeMax);
    this.#onAlarm = onAlarm;
  }

  /** Newest offset known here, this turn's messages included. */
  get newest(): number {
    return this.head + this.pending.length;
  }

  get position(): Position {
    return { epoch: this.epoch, offset: this.head };
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
    this.epoch = epoch;
    this.head = head;
    this.pending = [];
    this.tail.clear();
    this.#recent.clear();
  }

  /** What comes after `offset` as far as it is in memory, at most up to the head. */
  batchAfter(offset: number): MessageBatch | undefined {
    const recent = this.#recent.get(offset);
    if (recent !== undefined) return recent;
    const batch = this.tail.after(offset);
    if (batch === undefined || batch.first === offset + 1) return batch;
    const part = batch.after(offset);
    this.remember(offset, part);
    return part;
  }

  /** Keeps a batch for others who are at the same place. */
  remember(after: number, batch: MessageBatch): void {
    this.#recent.set(after, batch);
    if (this.#recent.size <= RECENT_COUNT_MAX) return;
    const oldest = this.#recent.keys().next();
    if (oldest.done !== true) this.#recent.delete(oldest.value);
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

  /** Calls all who wait for news; they may wait again afterwards. */
  wakeWaiters(): void {
    if (this.waiters.size === 0) return;
    const woken = [...this.waiters];
    this.waiters.clear();
    for (const waiter of woken) waiter.onNews();
  }

  onAlarm(): void {
    this.#onAlarm(this);
  }
}
