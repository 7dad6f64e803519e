/**
 * A log store whose disk the test decides: how long a commit takes, whether it fails, and what is
 * left of it when the process is killed.
 *
 * The disk is the list of committed operations. A process that starts replays them into a store in
 * memory, with the same random words, and so finds every offset and epoch as it was. What a commit
 * did is on the disk in one moment: killed before it, nothing of it is left; killed after it,
 * everything is, whether or not anybody was told.
 */
import { MemoryStore } from '@trunkline/server/internal/backplanes/embedded/memory-store.ts';
import type {
  ChangedPage,
  LogIdentity,
  LogPlace,
  LogStore,
  Operation,
  Outcome,
} from '@trunkline/server/internal/backplanes/embedded/store.ts';
import { BrokerError } from '@trunkline/server/internal/broker/broker.ts';
import type {
  ChannelFilter,
  ReadRange,
  StreamSlice,
} from '@trunkline/server/internal/broker/broker.ts';
import type { StateRecord } from '@trunkline/server/internal/broker/state.ts';
import { seededRandom } from '../random.ts';
import type { SeededRandom } from '../random.ts';
import { MovedChannels } from './moved-channels.ts';
import type { ProcessClock } from './process-clock.ts';
import type { SpinGuard } from './spin-guard.ts';

/** What a store in memory is told. */
type StoreLimits = ConstructorParameters<typeof MemoryStore>[0]['limits'];

/** Something that changed the disk. */
type Entry =
  | {
      readonly kind: 'commit';
      readonly operations: readonly Operation[];
      readonly nowMs: number;
      readonly run: number;
    }
  | { readonly kind: 'sweep'; readonly nowMs: number };

/** What outlives a process. */
export class SimulatedDisk {
  readonly #entries: Entry[] = [];
  readonly #seed: number;
  readonly #limits: StoreLimits;
  #runs = 0;

  constructor(seed: number, limits: StoreLimits) {
    this.#seed = seed;
    this.#limits = limits;
  }

  /** Starts a process: what was committed, as it was. */
  replay(): {
    readonly store: MemoryStore;
    readonly moved: MovedChannels;
    readonly run: number;
  } {
    const store = new MemoryStore({ random: seededRandom(this.#seed), limits: this.#limits });
    const moved = new MovedChannels(store);
    for (const entry of this.#entries) {
      if (entry.kind === 'commit') moved.commit(entry.operations, entry.nowMs, entry.run);
      else store.sweep(entry.nowMs);
    }
    this.#runs += 1;
    return { store, moved, run: this.#runs };
  }

  /** From this moment on it survives. */
  write(entry: Entry): void {
    this.#entries.push(entry);
  }
}

/** What can be wrong with a disk, now. */
export interface DiskFaults {
  /** Every commit fails and certainly stored nothing. */
  full: boolean;
  /** Every read fails. */
  unreadable: boolean;
  /** The chance that a commit fails and nobody can say whether it stored anything. */
  unknownChance: number;
  /** The longest that a commit or a read takes. */
  delayMsMax: number;
}

/** What a simulated store needs. */
export interface SimulatedStoreParts {
  readonly disk: SimulatedDisk;
  readonly faults: DiskFaults;
  /** The clock of the process, so that what is under way dies with it. */
  readonly clock: ProcessClock;
  readonly random: SeededRandom;
  readonly guard: SpinGuard;
  /** Told what comes onto the disk at that moment, whether or not the process ever learns it. */
  readonly onCommitted?: (operations: readonly Operation[], outcomes: readonly Outcome[]) => void;
}

/** The store of one process. */
export class SimulatedStore implements LogStore {
  readonly joins = true;
  protected readonly parts: SimulatedStoreParts;
  /** What is on the disk, as it is read. */
  readonly memory: MemoryStore;
  protected readonly run: number;
  readonly #moved: MovedChannels;

  constructor(parts: SimulatedStoreParts) {
    this.parts = parts;
    const { store, moved, run } = parts.disk.replay();
    this.memory = store;
    this.#moved = moved;
    this.run = run;
  }

  open(): LogIdentity {
    return { ...this.memory.open(), run: this.run };
  }

  async commit(operations: readonly Operation[], nowMs: number): Promise<readonly Outcome[]> {
    await this.#wait();
    const { disk, faults, random } = this.parts;
    if (faults.full) throw new BrokerError('unavailable', 'the disk is full', { stored: false });
    const fails = random.chance(faults.unknownChance);
    if (fails && random.chance(0.5)) throw unknown();
    disk.write({ kind: 'commit', operations, nowMs, run: this.run });
    const outcomes = this.#moved.commit(operations, nowMs, this.run);
    this.parts.onCommitted?.(operations, outcomes);
    await this.#wait();
    if (fails) throw unknown();
    return outcomes;
  }

  async read(channel: string, range: ReadRange, nowMs: number): Promise<StreamSlice> {
    await this.#wait();
    if (this.parts.faults.unreadable) {
      throw new BrokerError('unavailable', 'the disk can not be read');
    }
    const slice = this.memory.read(channel, range, nowMs);
    await this.#wait();
    return slice;
  }

  async *changedSince(
    place: LogPlace | undefined,
    filter: ChannelFilter,
    nowMs: number,
  ): AsyncGenerator<ChangedPage | undefined, void> {
    await this.#wait();
    for (const page of this.memory.changedSince(place, filter, nowMs)) {
      yield page?.map((change) => this.#moved.correct(change, place, this.run));
      await this.#wait();
    }
    yield this.#moved.lostSince(place, filter, this.run, nowMs);
  }

  get(key: string, nowMs: number): StateRecord | undefined {
    return this.memory.get(key, nowMs);
  }

  list(
    prefix: string,
    after: string | undefined,
    countMax: number,
    nowMs: number,
  ): readonly StateRecord[] {
    return this.memory.list(prefix, after, countMax, nowMs);
  }

  sweep(nowMs: number): boolean {
    this.parts.disk.write({ kind: 'sweep', nowMs });
    return this.memory.sweep(nowMs);
  }

  close(): void {}

  async #wait(): Promise<void> {
    const { clock, faults, guard, random } = this.parts;
    guard.count('in the store');
    // What a dead process asks for is never answered.
    if (!clock.isAlive) await new Promise<never>(() => {});
    if (random.chance(0.3)) return;
    const delayMs = random.integer(faults.delayMsMax + 1);
    await new Promise<void>((resolve) => void clock.after(delayMs, resolve));
  }
}

function unknown(): BrokerError {
  return new BrokerError('unavailable', 'the disk does not answer', { stored: 'unknown' });
}

/** The memory of a process, for channels that end with it. */
export class GuardedMemoryStore extends MemoryStore {
  readonly #guard: SpinGuard;

  constructor(options: ConstructorParameters<typeof MemoryStore>[0], guard: SpinGuard) {
    super(options);
    this.#guard = guard;
  }

  override read(channel: string, range: ReadRange, nowMs: number): StreamSlice {
    this.#guard.count(`reading ${channel} from memory`);
    return super.read(channel, range, nowMs);
  }
}
