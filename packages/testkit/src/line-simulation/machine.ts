/**
 * Machine: where the server of a run lives: its disk and its processes, one after the other, which
 * are killed, stopped and started again, and what an operator does to its channels.
 */
import { EMBEDDED_DEFAULTS } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import type { NamespaceRules } from '@trunkline/server/internal/config/namespace-rules.ts';
import type { StreamLog, StreamState } from '../history.ts';
import type { ManualClock } from '../manual-clock.ts';
import type { SeededRandom } from '../random.ts';
import { payloadId } from '../simulation/publication.ts';
import { SimulatedServer } from '../simulation/simulated-server.ts';
import type { ServerSetup } from '../simulation/simulated-server.ts';
import { SimulatedDisk } from '../simulation/simulated-store.ts';
import type { DiskFaults } from '../simulation/simulated-store.ts';
import {
  CHANNELS,
  retainedMin,
  rulesOf,
  setupOf,
  VOLATILE_CHANNELS,
} from '../simulation/surroundings.ts';

/** Longer than the disk ever takes while a server opens or closes. */
const OPENING_MS = 1_000;

const decoder = new TextDecoder();

/** What a machine is made from, and whom it tells. */
export interface MachineParts {
  readonly clock: ManualClock;
  readonly random: SeededRandom;
  /** What is kept of a channel ends, or begins to. */
  readonly onPurged: (channel: string) => void;
  /** The process has ended, and with it whatever was asked of it. */
  readonly onGone: () => void;
  readonly onFailure: (error: unknown) => void;
}

/** One server over all its lives. */
export class Machine {
  readonly setup: ServerSetup;
  readonly faults: DiskFaults = {
    full: false,
    unreadable: false,
    unknownChance: 0,
    delayMsMax: 10,
  };
  readonly #parts: MachineParts;
  readonly #rules: (channel: string) => NamespaceRules;
  readonly #disk: SimulatedDisk;
  /** Channels that end with the process, as it was told when it started. */
  #fleeting = new Set<string>();
  /** Purges whose end nobody knows yet. */
  readonly #purges = new Set<() => void>();
  #server: SimulatedServer | undefined;
  /** The last process, dead or alive: its store still knows what the disk holds. */
  #latest: SimulatedServer;
  crashes = 0;

  constructor(parts: MachineParts) {
    const { random } = parts;
    this.#parts = parts;
    this.setup = setupOf(random);
    this.#rules = rulesOf(random);
    this.#disk = new SimulatedDisk(random.integer(2 ** 31), {
      ...EMBEDDED_DEFAULTS,
      keyWindowMs: this.setup.keyWindowMs,
    });
    this.#latest = this.#newServer();
  }

  /** The server, while one runs and takes clients. */
  get server(): SimulatedServer | undefined {
    return this.#server;
  }

  /** Starts a process from what the disk holds. */
  async start(): Promise<void> {
    const { random, clock } = this.#parts;
    if (this.#server !== undefined) return;
    if (random.chance(0.2)) this.#changeDurability();
    const server = this.#newServer();
    this.#latest = server;
    const opening = server.open();
    // Time must pass for the disk to answer.
    await clock.pass(OPENING_MS);
    await opening;
    this.#server = server;
  }

  /** `kill -9`. */
  crash(): void {
    if (this.#server === undefined) return;
    this.#server.kill();
    this.crashes += 1;
    this.#end();
  }

  /** An orderly end. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const stopping = server.stop();
    await this.#parts.clock.pass(OPENING_MS);
    await stopping;
    this.#end();
  }

  /** All that is kept of a channel is removed; when, the purge itself does not say. */
  purge(channel: string): void {
    const server = this.#server;
    if (server === undefined) return;
    const { onPurged } = this.#parts;
    const end = (): void => {
      if (this.#purges.delete(end)) onPurged(channel);
    };
    this.#purges.add(end);
    onPurged(channel);
    // What failed may have happened all the same.
    server.purge(channel).then(end, end);
  }

  /** What ails the disk is over. */
  heal(): void {
    Object.assign(this.faults, { full: false, unreadable: false, unknownChance: 0 });
    this.#server?.heal();
  }

  /** Where a channel stands in the log, past the server. */
  stateOf(channel: string): StreamState {
    const { epoch, oldest, top } = this.#latest.inspect(channel);
    return { epoch, oldest, top };
  }

  /** The log as it is, for the checks. */
  logs(): ReadonlyMap<string, StreamLog> {
    const logs = new Map<string, StreamLog>();
    for (const channel of CHANNELS) {
      const { epoch, oldest, top, messages } = this.#latest.inspect(channel);
      const payloads = new Map<number, string>();
      for (const { offset, payload } of messages) {
        payloads.set(offset, payloadId(JSON.parse(decoder.decode(payload))));
      }
      logs.set(channel, { epoch, oldest, top, payloads });
    }
    return logs;
  }

  /**
   * The newest messages of a channel that are there for sure, as many as one resume may carry. Where
   * age decides there are none: a clock that jumps hides what is there again later.
   */
  countMin(channel: string): number {
    const rules = this.#rules(channel);
    return Math.min(retainedMin(rules), rules.resumeCountMax ?? Infinity);
  }

  #end(): void {
    const { onPurged, onGone } = this.#parts;
    this.#server = undefined;
    onGone();
    for (const end of [...this.#purges]) end();
    for (const channel of this.#fleeting) onPurged(channel);
  }

  /** An operator declares one channel durable, or not, before the next start. */
  #changeDurability(): void {
    const channel = this.#parts.random.pick(CHANNELS);
    const fleeting = new Set(this.#fleeting);
    if (!fleeting.delete(channel)) fleeting.add(channel);
    this.#fleeting = fleeting;
    this.#parts.onPurged(channel);
  }

  #newServer(): SimulatedServer {
    const { clock, random, onFailure } = this.#parts;
    const names = this.#fleeting;
    const rules = new Map(
      [...CHANNELS, ...VOLATILE_CHANNELS].map((channel) => {
        const own = this.#rules(channel);
        return [channel, names.has(channel) ? { ...own, durable: false } : own];
      }),
    );
    return new SimulatedServer({
      clock,
      random: random.fork(),
      disk: this.#disk,
      faults: this.faults,
      setup: this.setup,
      rulesOf: (channel) => rules.get(channel) ?? this.#rules(channel),
      plant: undefined,
      onFailure,
    });
  }
}
