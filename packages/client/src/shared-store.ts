/**
 * Shared store: a state that frameworks can follow. `get` gives it as a value that never changes, the
 * same one until something has changed; `subscribe` tells that it has, once for all changes of a turn.
 *
 * Whoever asks for the same thing of the same line shares one store, and nothing is read before
 * somebody subscribes. After the last one has gone it goes on for a moment: a framework that takes a
 * part of its page away and puts it back does not touch the wire.
 */
import type { Line } from './line.ts';
import type { Clock, Timer } from './platform.ts';
import { Listeners } from './reading/listeners.ts';

/** So long it goes on when the last one has gone. */
const LINGER_MS = 5000;

/** And so long when somebody waits for it to begin and has not come yet. */
const AWAITED_MS_MAX = 30_000;

/** A state to follow. Its functions may be called by themselves. */
export interface Store<Snapshot> {
  /** Tells of changes until the returned function is called. */
  readonly subscribe: (listener: () => void) => () => void;
  /** The state now. It may be asked for without a subscription. */
  readonly get: () => Snapshot;
  /**
   * Begins to read and resolves when there is something to show, or when it has failed. It may have
   * to be asked again: nobody having come, the reading ends. `undefined` when nothing is to be
   * waited for.
   */
  ready(): Promise<void> | undefined;
}

/** What a store shows. */
export interface Source<Snapshot> {
  /** Begins to follow, and calls `changed` after every change; returns what ends it. */
  open(changed: () => void): () => void;
  /** As it is now. Its members are compared to tell whether it has changed. */
  read(): Snapshot;
  /** Nothing is to be waited for any more. */
  readonly hasBegun: boolean;
}

class SharedStore<Snapshot extends object> implements Store<Snapshot> {
  readonly #source: Source<Snapshot>;
  /** Absent where nothing is gained by going on for a moment. */
  readonly #clock: Clock | undefined;
  readonly #listeners = new Listeners();
  #snapshot: Snapshot | undefined;
  #close: (() => void) | undefined;
  #linger: Timer | undefined;
  #awaited: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(source: Source<Snapshot>, clock: Clock | undefined) {
    this.#source = source;
    this.#clock = clock;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#open();
    const end = this.#listeners.add(listener);
    return () => {
      end();
      if (this.#listeners.size > 0 || this.#close === undefined) return;
      if (this.#clock === undefined) this.#end();
      else this.#endAfter(LINGER_MS, this.#clock);
    };
  };

  readonly get = (): Snapshot => {
    const now = this.#source.read();
    if (this.#snapshot === undefined || !isSame(this.#snapshot, now)) this.#snapshot = now;
    return this.#snapshot;
  };

  ready(): Promise<void> | undefined {
    if (this.#source.hasBegun) return undefined;
    if (this.#awaited === undefined) {
      let resolve = (): void => {};
      const promise = new Promise<void>((settle) => (resolve = settle));
      this.#awaited = { promise, resolve };
      this.#open();
      if (this.#clock !== undefined && this.#listeners.size === 0) {
        this.#endAfter(AWAITED_MS_MAX, this.#clock);
      }
    }
    return this.#awaited.promise;
  }

  #open(): void {
    this.#linger?.cancel();
    this.#close ??= this.#source.open(() => {
      if (this.#source.hasBegun) this.#settle();
      this.#listeners.tell();
    });
  }

  #endAfter(ms: number, clock: Clock): void {
    this.#linger?.cancel();
    this.#linger = clock.after(ms, () => this.#end());
  }

  #end(): void {
    this.#close?.();
    this.#close = undefined;
    this.#settle();
  }

  #settle(): void {
    this.#awaited?.resolve();
    this.#awaited = undefined;
  }
}

/** The stores of each line that somebody holds, by what they show. */
const stores = new WeakMap<Line, Map<string, WeakRef<object>>>();

/** The store with this key, which always shows the same. */
export function sharedStore<Snapshot extends object>(
  line: Line,
  key: string,
  clock: Clock | undefined,
  sourceOf: () => Source<Snapshot>,
): Store<Snapshot> {
  const known = stores.get(line) ?? new Map<string, WeakRef<object>>();
  const one = known.get(key)?.deref();
  if (one !== undefined) return one as Store<Snapshot>;
  for (const [other, reference] of known) {
    if (reference.deref() === undefined) known.delete(other);
  }
  const made = new SharedStore(sourceOf(), clock);
  known.set(key, new WeakRef(made));
  stores.set(line, known);
  return made;
}

/** Compares what they have, not what that consists of. */
function isSame(one: object, other: object): boolean {
  const members = Object.entries(one);
  const others = new Map<string, unknown>(Object.entries(other));
  return (
    members.length === others.size && members.every(([name, value]) => others.get(name) === value)
  );
}
