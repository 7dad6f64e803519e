/** Worlds for embedded brokers: a directory or none, and a clock that the test moves. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '@trunkline/testkit';
import type { BrokerSettings, BrokerWorld } from '@trunkline/testkit/contracts/broker';
import { createEmbeddedBroker } from '@trunkline/server/internal/backplanes/embedded/create.ts';
import type { EmbeddedBroker } from '@trunkline/server/internal/backplanes/embedded/broker.ts';
import type { EmbeddedOptions } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import { systemClock } from '@trunkline/server/internal/clock.ts';
import type { Clock, Timer } from '@trunkline/server/internal/clock.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { systemRandom } from '@trunkline/server/internal/random.ts';

/** Time is moved by the test, but turns of the event loop are real: threads need them. */
export class SteppedClock implements Clock {
  readonly manual = new ManualClock();

  monotonicMs(): number {
    return this.manual.monotonicMs();
  }

  unixMs(): number {
    return this.manual.unixMs();
  }

  after(delayMs: number, task: () => void): Timer {
    return this.manual.after(delayMs, task);
  }

  defer(task: () => void): void {
    systemClock.defer(task);
  }
}

/** A directory that is removed with the test. */
export async function temporaryDirectory(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'trunkline-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A world whose brokers are made by `make`. */
export class EmbeddedWorld implements BrokerWorld {
  readonly traits: { readonly durable: boolean };
  readonly clock = new SteppedClock();
  readonly #settings: Partial<EmbeddedOptions>;
  readonly #directories: ({ path: string } & AsyncDisposable)[] = [];
  readonly #brokers: EmbeddedBroker[] = [];

  constructor(durable: boolean, settings: Partial<EmbeddedOptions>) {
    this.traits = { durable };
    this.#settings = settings;
  }

  /** Where the present process keeps its log. */
  get directory(): string {
    return this.#directories.at(-1)?.path ?? '';
  }

  async start(changes: Partial<EmbeddedOptions> = {}): Promise<EmbeddedBroker> {
    if (this.traits.durable && this.#directories.length === 0) {
      this.#directories.push(await temporaryDirectory());
    }
    const broker = createEmbeddedBroker({
      ...(this.traits.durable && { directory: this.directory }),
      clock: this.clock,
      random: systemRandom,
      log: silentLog,
      ...this.#settings,
      ...changes,
    });
    this.#brokers.push(broker);
    return broker;
  }

  /** What is on the disk at this moment is what the next process finds, in another directory. */
  async crash(): Promise<void> {
    if (!this.traits.durable) return;
    const { directory } = this;
    const copy = await temporaryDirectory();
    this.#directories.push(copy);
    await cp(directory, copy.path, { recursive: true, filter: (path) => !path.endsWith('-shm') });
  }

  async pass(ms: number): Promise<void> {
    this.clock.manual.advance(ms);
    await this.#brokers.at(-1)?.sweep();
  }

  stepUnix(ms: number): void {
    this.clock.manual.stepUnix(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const broker of this.#brokers) await broker.close();
    for (const directory of this.#directories) await directory[Symbol.asyncDispose]();
  }
}

/** Makes a world of brokers on disk. */
export async function sqliteWorld(settings: BrokerSettings): Promise<EmbeddedWorld> {
  return new EmbeddedWorld(true, settings);
}

/** Makes a world of brokers in memory. */
export async function memoryWorld(settings: BrokerSettings): Promise<EmbeddedWorld> {
  return new EmbeddedWorld(false, settings);
}
