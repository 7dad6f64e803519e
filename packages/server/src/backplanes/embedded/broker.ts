/**
 * EmbeddedBroker: the broker of a single node. Durable channels live in one store, channels that
 * end with the process in another one, in memory; without a durable store all are of that kind.
 *
 * Messages are announced in the order in which they were stored, never before they were, and only
 * here: the stores know nobody. The memory that a channel moves to is entered in the durable log
 * first, so that a reader who comes back later is told that its stream is another one.
 */
import { contentSize, isWildcard } from '@trunkline/wire';
import type { Draft } from '@trunkline/wire';
import { BrokerError } from '../../broker/broker.ts';
import type {
  Broker,
  BrokerSink,
  ChangedChannel,
  ChannelFilter,
  Published,
  PublishOptions,
  ReadRange,
  StreamSlice,
} from '../../broker/broker.ts';
import type { StateStore } from '../../broker/state.ts';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../observe/log.ts';
import { CommitQueue } from './commit-queue.ts';
import type { Entry } from './commit-queue.ts';
import type { EmbeddedLimits } from './config.ts';
import { toBrokerError } from './errors.ts';
import { collectChanges } from './changes.ts';
import { parseMark } from './mark.ts';
import type { Mark } from './mark.ts';
import type { MemoryStore } from './memory-store.ts';
import { toMessage } from './message.ts';
import { Place } from './place.ts';
import { LogState } from './state.ts';
import { SharedLookups } from './shared-lookups.ts';
import type { Append, Appended, LogIdentity, LogStore, Outcome } from './store.ts';
import { Sweeper } from './sweeper.ts';

/** What an operation takes beside what it carries, for the bounds of the queue. */
const OVERHEAD_SIZE = 256;

/** No channel has this name, so leaving it changes nothing. */
const NO_CHANNEL = '';

/** How soon the store is asked again how far its order goes. */
const LEARN_RETRY_MS = 1_000;

/** What an embedded broker is made of. */
export interface EmbeddedBrokerParts {
  /** Where channels live that end with the process. */
  readonly memory: MemoryStore;
  /** Where durable channels and the state live; absent: in memory too. */
  readonly durable?: LogStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: Omit<EmbeddedLimits, 'readsWaitingMax' | 'fileSizeMax'>;
}

export class EmbeddedBroker implements Broker {
  readonly state: StateStore;
  readonly #memory: MemoryStore;
  /** The durable store if there is one. */
  readonly #main: LogStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #mainQueue: CommitQueue;
  readonly #memoryQueue: CommitQueue;
  readonly #sweeper: Sweeper;
  readonly #watched = new Set<string>();
  /** While there is one, the sink is told of every channel, and matches for itself. */
  readonly #patterns = new Set<string>();
  /** Moves into memory and purges under way: how many of each channel. See {@link #addAhead}. */
  readonly #ahead = new Map<string, number>();
  readonly #lookups = new SharedLookups<readonly ChangedChannel[] | undefined>();
  #opened: Promise<void> | undefined;
  #isOpen = false;
  /** Set as soon as closing begins. */
  #closed: Promise<void> | undefined;
  #sink: BrokerSink | undefined;
  #identity: LogIdentity = { id: '', run: 0, sequence: 0 };
  #place = new Place(this.#identity);
  /**
   * Set from a commit that nobody knows the end of until the store has said how far its order goes:
   * without that a mark would stand before messages that are read already.
   */
  #doubt: Promise<void> | undefined;

  constructor({ memory, durable, clock, log, limits }: EmbeddedBrokerParts) {
    this.#memory = memory;
    this.#main = durable ?? memory;
    this.#clock = clock;
    this.#log = log;
    const onDoubt = (entries: readonly Entry[]): void => this.#announceGaps(entries);
    this.#mainQueue = new CommitQueue({ store: this.#main, clock, limits, onDoubt });
    this.#memoryQueue =
      durable === undefined
        ? this.#mainQueue
        : new CommitQueue({ store: memory, clock, limits, onDoubt });
    const stores = durable === undefined ? [memory] : [durable, memory];
    const intervalMs = limits.sweepIntervalMs;
    this.#sweeper = new Sweeper({ stores, intervalMs, clock, log });
    this.state = new LogState({
      store: this.#main,
      clock,
      add: (entry) => this.#mainQueue.add(entry),
      requireOpen: () => this.#requireOpen(),
    });
  }

  open(sink: BrokerSink): Promise<void> {
    if (this.#opened !== undefined || this.#closed !== undefined) {
      return Promise.reject(new BrokerError('closed', 'a broker is opened once'));
    }
    this.#opened = this.#open(sink);
    return this.#opened;
  }

  publish(channel: string, draft: Draft, options: PublishOptions): Promise<Published> {
    return new Promise((resolve, reject) => {
      this.#requireOpen();
      const { retention, durable, idempotency } = options;
      const given = { kind: 'append', channel, draft, retention } as const;
      const operation = idempotency === undefined ? given : { ...given, idempotency };
      const moves = !durable && this.#main !== this.#memory;
      const entry = {
        operation,
        size: contentSize(draft) + OVERHEAD_SIZE,
        onOutcome: (outcome: Outcome) => {
          if (outcome.kind === 'appended') this.#announce(operation, outcome, moves);
          const published = toPublished(outcome);
          if (published === undefined) reject(refusal(operation, outcome));
          else resolve(published);
        },
        onError: reject,
      };
      if (moves) this.#publishInMemory(channel, entry);
      else this.#mainQueue.add(entry);
    });
  }

  async read(channel: string, range: ReadRange): Promise<StreamSlice> {
    this.#requireOpen();
    const store = this.#memory.has(channel) ? this.#memory : this.#main;
    return store.read(channel, range, this.#nowMs());
  }

  watch(channel: string): Promise<void> {
    this.#watched.add(channel);
    return Promise.resolve();
  }

  unwatch(channel: string): void {
    this.#watched.delete(channel);
  }

  watchPattern(pattern: string): Promise<void> {
    this.#patterns.add(pattern);
    return Promise.resolve();
  }

  unwatchPattern(pattern: string): void {
    this.#patterns.delete(pattern);
  }

  broadcast(channel: string, draft: Draft): void {
    this.#requireOpen();
    if (!this.#isWatched(channel)) return;
    try {
      this.#sink?.onBroadcast(channel, draft);
    } catch (error) {
      this.#onSinkError(error);
    }
  }

  purge(channel: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#requireOpen();
      this.#addAhead(channel, {
        operation: { kind: 'purge', channel },
        size: OVERHEAD_SIZE,
        onOutcome: (outcome) => {
          if (outcome.kind === 'purged') this.#place.reach(outcome.sequence);
          this.#onPurged(channel);
          resolve();
        },
        onError: (error) => {
          // In doubt the memory goes as well: what nobody knows to be whole is told as lost.
          if (error.stored === 'unknown') this.#onPurged(channel);
          reject(error);
        },
      });
    });
  }

  async mark(): Promise<string> {
    this.#requireOpen();
    while (this.#doubt !== undefined) await this.#doubt;
    return this.#place.text;
  }

  place(): string | undefined {
    const isKnown = this.#isOpen && this.#closed === undefined && this.#doubt === undefined;
    return isKnown ? this.#place.text : undefined;
  }

  async changedSince(
    text: string | undefined,
    filter: ChannelFilter,
  ): Promise<readonly ChangedChannel[] | undefined> {
    this.#requireOpen();
    const mark = text === undefined ? undefined : parseMark(text);
    if (text !== undefined && mark?.id !== this.#identity.id) return undefined;
    // Few names are looked up as they come; a walk over all that changed is worth sharing.
    if (!filter.some(isWildcard)) return this.#changedSince(mark, filter);
    const key = JSON.stringify([text, filter]);
    return this.#lookups.look(key, () => this.#changedSince(mark, filter));
  }

  /**
   * Writes a copy of the durable log to the file `target` while the log is in use.
   *
   * @throws {BrokerError} when there is none, or it can't be written.
   */
  async backUp(target: string): Promise<void> {
    this.#requireOpen();
    if (this.#main.backUp !== undefined) return this.#main.backUp(target);
    throw new BrokerError('unavailable', 'a log in memory has nothing to back up');
  }

  /** What waits for the next commit, for the metrics. */
  get waiting(): { readonly count: number; readonly size: number } {
    return this.#mainQueue.waiting;
  }

  /** Removes now what would be removed by and by: what no reader can see any more. */
  async sweep(): Promise<void> {
    this.#requireOpen();
    await this.#sweeper.sweep();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #open(sink: BrokerSink): Promise<void> {
    this.#sink = sink;
    this.#identity = await this.#main.open();
    this.#place = new Place(this.#identity);
    this.#isOpen = true;
    this.#sweeper.start();
  }

  async #close(): Promise<void> {
    try {
      await this.#opened;
    } catch {
      // Who opened was told why it could not be; there is nothing to close then.
    }
    if (!this.#isOpen) return;
    await this.#sweeper.stop();
    await this.#mainQueue.idle();
    await this.#memoryQueue.idle();
    this.#sink = undefined;
    await this.#main.close();
    this.#memory.close();
  }

  async #changedSince(
    mark: Mark | undefined,
    filter: ChannelFilter,
  ): Promise<readonly ChangedChannel[] | undefined> {
    this.#requireOpen();
    const sources = { main: this.#main, clock: this.#clock };
    // The memory of an earlier run is gone, so everything in this one is younger than the mark.
    const sequence = mark?.run === this.#identity.run ? mark.memory : 0;
    const place = mark === undefined ? undefined : { run: 1, sequence };
    const memory = this.#memory === this.#main ? {} : { memory: { store: this.#memory, place } };
    const changed = await collectChanges({ ...sources, ...memory }, mark, filter);
    // What was collected while the stores were closed is not all.
    this.#requireOpen();
    return changed;
  }

  /** A channel's first message in memory waits until the durable log knows that it moved. */
  #publishInMemory(channel: string, entry: Entry): void {
    const isFree = !this.#ahead.has(channel);
    if (isFree && this.#memory.has(channel)) return this.#memoryQueue.add(entry);
    this.#addAhead(channel, {
      operation: { kind: 'leave', channel },
      size: entry.size,
      onOutcome: (outcome) => {
        if (outcome.kind === 'left') this.#place.reach(outcome.sequence);
        try {
          this.#memoryQueue.add(entry);
        } catch (error) {
          entry.onError(toBrokerError(error));
        }
      },
      onError: (error) => {
        // Whatever became of the move: the message itself was not stored.
        entry.onError(new BrokerError(error.kind, error.message, { cause: error }));
      },
    });
  }

  /** Asks the main store for what the channel's next messages in memory have to wait for. */
  #addAhead(channel: string, entry: Entry): void {
    const count = (change: 1 | -1): void => {
      const left = (this.#ahead.get(channel) ?? 0) + change;
      if (left === 0) this.#ahead.delete(channel);
      else this.#ahead.set(channel, left);
    };
    const { operation, size } = entry;
    const onOutcome = (outcome: Outcome): void => {
      count(-1);
      entry.onOutcome(outcome);
    };
    const onError = (error: BrokerError): void => {
      count(-1);
      entry.onError(error);
    };
    count(1);
    try {
      this.#mainQueue.add({ operation, size, onOutcome, onError });
    } catch (error) {
      count(-1);
      throw error;
    }
  }

  /** Tells the sink of a message that is in the log now. */
  #announce({ channel, draft }: Append, appended: Appended, inMemory: boolean): void {
    const { epoch, offset, time, sequence } = appended;
    if (inMemory) this.#place.reachInMemory(sequence);
    else this.#place.reach(sequence);
    if (!inMemory && this.#main !== this.#memory && this.#memory.has(channel)) {
      // The channel is durable from here on; what it had in memory is another life.
      this.#memory.commit([{ kind: 'leave', channel }], this.#nowMs());
    }
    if (!this.#isWatched(channel)) return;
    const message = appended.message ?? toMessage(draft, offset, time);
    this.#tell((sink) => sink.onMessage(channel, epoch, message));
  }

  /** Asks the store how far its order goes, by an operation that changes nothing. */
  #learnOrder(): void {
    const doubt = new Promise<void>((resolve, reject) => {
      const onError = (error: BrokerError): void => {
        reject(error);
        this.#clock.after(LEARN_RETRY_MS, () => {
          if (this.#doubt === doubt && this.#closed === undefined) this.#learnOrder();
        });
      };
      const onOutcome = (outcome: Outcome): void => {
        if (outcome.kind === 'left') this.#place.reach(outcome.sequence);
        if (this.#doubt === doubt) this.#doubt = undefined;
        resolve();
      };
      const operation = { kind: 'leave', channel: NO_CHANNEL } as const;
      try {
        this.#mainQueue.add({ operation, size: 0, onOutcome, onError });
      } catch (error) {
        onError(toBrokerError(error));
      }
    });
    doubt.catch(() => {}); // Whoever wants a mark meanwhile is told.
    this.#doubt = doubt;
  }

  /** Nobody knows whether these were stored: whoever watches has to look. */
  #announceGaps(entries: readonly Entry[]): void {
    this.#learnOrder();
    const channels = new Set<string>();
    for (const { operation } of entries) {
      // A move may have ended a life, which no message tells.
      const isMove = operation.kind === 'leave' && operation.channel !== NO_CHANNEL;
      if (operation.kind === 'append' || isMove) channels.add(operation.channel);
    }
    for (const channel of channels) this.#tellGap(channel);
  }

  #onPurged(channel: string): void {
    if (this.#memory !== this.#main) {
      const [outcome] = this.#memory.commit([{ kind: 'purge', channel }], this.#nowMs());
      if (outcome?.kind === 'purged') this.#place.reachInMemory(outcome.sequence);
    }
    this.#tellGap(channel);
  }

  #isWatched(channel: string): boolean {
    return this.#watched.has(channel) || this.#patterns.size > 0;
  }

  #tellGap(channel: string): void {
    if (this.#isWatched(channel)) this.#tell((sink) => sink.onGap(channel));
  }

  /** A sink that throws has a bug, which must not keep others from their messages. */
  #tell(call: (sink: BrokerSink) => void): void {
    try {
      if (this.#sink !== undefined) call(this.#sink);
    } catch (error) {
      this.#onSinkError(error);
    }
  }

  #onSinkError(error: unknown): void {
    this.#log.error({ error }, 'the sink of the broker threw');
  }

  #requireOpen(): void {
    if (this.#isOpen && this.#closed === undefined) return;
    const what = this.#closed === undefined ? 'not open yet' : 'closed';
    throw new BrokerError('closed', `the broker is ${what}`);
  }

  #nowMs(): number {
    return Math.floor(this.#clock.unixMs());
  }
}

function toPublished(outcome: Outcome): Published | undefined {
  if (outcome.kind !== 'appended' && outcome.kind !== 'duplicate') return undefined;
  const position = { epoch: outcome.epoch, offset: outcome.offset };
  return { position, duplicate: outcome.kind === 'duplicate' };
}

function refusal({ channel, idempotency }: Append, outcome: Outcome): BrokerError {
  if (outcome.kind === 'full') {
    const message = `the memory for channels is full: nothing was stored in channel ${channel}`;
    return new BrokerError('unavailable', message);
  }
  const key = JSON.stringify(idempotency?.key);
  const message = `the key ${key} was used for another message in channel ${channel}`;
  return new BrokerError('conflict', message);
}
