/** ScriptedState: state records in memory; the test decides when calls are answered, and how. */
import type { Clock } from '../../src/clock.ts';
import type { StateCondition, StatePut, StateRecord, StateStore } from '../../src/broker/state.ts';

interface Kept extends StateRecord {
  readonly expiresAt: number;
}

export class ScriptedState implements StateStore {
  /** While set, every call fails with it. */
  failure: Error | undefined;
  /** Called before a put is looked at, e.g. to write as another node would. */
  onPut: ((key: string) => void) | undefined;
  getCount = 0;
  putCount = 0;
  readonly #clock: Clock;
  readonly #records = new Map<string, Kept>();
  #version = 0;
  #held: Promise<void> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls that come from now on are carried out when the returned function is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = promise;
    return () => {
      this.#held = undefined;
      resolve();
    };
  }

  async get(key: string): Promise<StateRecord | undefined> {
    this.getCount += 1;
    await this.#turn();
    return this.#find(key);
  }

  async put(key: string, value: Uint8Array, options: StatePut = {}): Promise<number | undefined> {
    this.putCount += 1;
    await this.#turn();
    this.onPut?.(key);
    if (!this.#holds(key, options)) return undefined;
    return this.write(key, value, options.expiresAt);
  }

  /** Puts at once, as another node. */
  write(key: string, value: Uint8Array, expiresAt = Infinity): number {
    this.#version += 1;
    this.#records.set(key, { key, value: value.slice(), version: this.#version, expiresAt });
    return this.#version;
  }

  async delete(key: string, condition: StateCondition = {}): Promise<boolean> {
    await this.#turn();
    if (this.#find(key) === undefined || !this.#holds(key, condition)) return false;
    return this.#records.delete(key);
  }

  async list(
    prefix: string,
    { after, countMax }: { readonly after?: string; readonly countMax: number },
  ): Promise<readonly StateRecord[]> {
    await this.#turn();
    return [...this.#records.keys()]
      .filter((key) => key.startsWith(prefix) && (after === undefined || key > after))
      .sort()
      .flatMap((key) => this.#find(key) ?? [])
      .slice(0, countMax);
  }

  /** Records that have not expired. */
  get count(): number {
    return [...this.#records.keys()].filter((key) => this.#find(key) !== undefined).length;
  }

  async #turn(): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    await this.#held;
  }

  #find(key: string): StateRecord | undefined {
    const kept = this.#records.get(key);
    return kept === undefined || kept.expiresAt <= this.#clock.unixMs() ? undefined : kept;
  }

  #holds(key: string, { ifVersion }: StateCondition): boolean {
    return ifVersion === undefined || ifVersion === (this.#find(key)?.version ?? 0);
  }
}
