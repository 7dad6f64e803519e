/**
 * World: one server, its disk, its clients and the network between them, moved step by step by
 * chance. A step is one thing that happens to somebody, then a moment in which it takes effect.
 */
import { EMBEDDED_DEFAULTS } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import type { NamespaceRules } from '@trunkline/server/internal/config/namespace-rules.ts';
import type { StreamLog } from '../history.ts';
import { ManualClock } from '../manual-clock.ts';
import { faulty } from '../memory-link.ts';
import type { MemoryLink } from '../memory-link.ts';
import { seededRandom } from '../random.ts';
import type { SeededRandom } from '../random.ts';
import { Followers, Readers } from './audience.ts';
import { Device } from './device.ts';
import { Follower } from './follower.ts';
import { happen, publishVolatile } from './happenings.ts';
import type { Plant } from './plants.ts';
import { payloadId } from './publication.ts';
import { Reader, Recorder } from './recorder.ts';
import { SimulatedServer } from './simulated-server.ts';
import type { ServerSetup } from './simulated-server.ts';
import { SimulatedDisk } from './simulated-store.ts';
import type { DiskFaults } from './simulated-store.ts';
import {
  CHANNELS,
  FOLLOWINGS,
  READ_CHANNELS,
  retainedMin,
  rulesOf,
  setupOf,
  VOLATILE_CHANNELS,
} from './surroundings.ts';

/** Devices that read single channels, and such that follow several. */
const READING_DEVICES = 5;
const FOLLOWING_DEVICES = 4;

/** Seconds without faults, in which everyone must arrive; longer than any retry or wait. */
const REST_SECONDS = 40;

/** So many steps later there is one more channel. */
const BIRTH_STEPS = 30;

/** Longer than the disk ever takes while a server opens. */
const OPENING_MS = 1_000;

/** Everything of one run. The same seed makes the same world and the same steps. */
export class World {
  readonly clock = new ManualClock();
  readonly random: SeededRandom;
  readonly recorder: Recorder;
  readonly setup: ServerSetup;
  readonly faults: DiskFaults = {
    full: false,
    unreadable: false,
    unknownChance: 0,
    delayMsMax: 10,
  };
  readonly devices: readonly Device[];
  readonly #rules: (channel: string) => NamespaceRules;
  /** Channels that end with the process, as it was told when it started. */
  #fleeting = new Set<string>();
  readonly #disk: SimulatedDisk;
  readonly #plant: Plant | undefined;
  /** Purges whose end nobody knows yet. */
  readonly #purges = new Set<{ end(): void }>();
  #server: SimulatedServer | undefined;
  /** The last process, dead or alive: its store still knows what the disk holds. */
  #latest: SimulatedServer;
  crashes = 0;

  constructor(seed: number, plant: Plant | undefined, following = true) {
    this.random = seededRandom(seed);
    this.setup = setupOf(this.random);
    this.#rules = rulesOf(this.random);
    this.#plant = plant;
    this.#disk = new SimulatedDisk(this.random.integer(2 ** 31), {
      ...EMBEDDED_DEFAULTS,
      keyWindowMs: this.setup.keyWindowMs,
    });
    this.recorder = new Recorder(this.clock, (channel) => this.#latest.inspect(channel));
    const count = READING_DEVICES + (following ? FOLLOWING_DEVICES : 0);
    this.devices = Array.from({ length: count }, (_, index) => this.#device(index));
    this.#latest = this.#newServer();
  }

  /** The server, while one runs and takes clients. */
  get server(): SimulatedServer | undefined {
    return this.#server;
  }

  /** Does one thing, chosen by chance, and lets some time pass. */
  async step(): Promise<void> {
    this.recorder.step += 1;
    await happen(this);
    const passMs = this.random.chance(0.05) ? 2_000 : this.random.integer(30);
    if (this.random.chance(0.7)) await this.clock.pass(passMs);
  }

  /** Starts a process from what the disk holds. */
  async start(): Promise<void> {
    if (this.#server !== undefined) return;
    if (this.random.chance(0.2)) this.#changeDurability();
    const server = this.#newServer();
    this.#latest = server;
    const opening = server.open();
    // Time must pass for the disk to answer.
    await this.clock.pass(OPENING_MS);
    await opening;
    this.#server = server;
  }

  /** `kill -9`. */
  crash(): void {
    const server = this.#server;
    if (server === undefined) return;
    server.kill();
    this.crashes += 1;
    this.#end();
  }

  /** An orderly end. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const stopping = server.stop();
    await this.clock.pass(OPENING_MS);
    await stopping;
    this.#end();
  }

  /** Every fault ends, everyone comes back and has all the time it needs. */
  async rest(): Promise<void> {
    this.recorder.step += 1;
    Object.assign(this.faults, { full: false, unreadable: false, unknownChance: 0 });
    await this.start();
    const server = this.#server;
    if (server === undefined) return;
    server.heal();
    for (const link of this.links()) {
      faulty(link, {});
      link.release();
    }
    for (let second = 0; second < REST_SECONDS; second += 1) {
      for (const device of this.devices) {
        device.connect(server);
        device.retry(server);
      }
      publishVolatile(this);
      await this.clock.pass(1_000);
    }
  }

  /** The log as it is, for the checker. */
  logs(): ReadonlyMap<string, StreamLog> {
    const logs = new Map<string, StreamLog>();
    for (const channel of CHANNELS) {
      const { epoch, oldest, top, messages } = this.#latest.inspect(channel);
      const payloads = new Map<number, string>();
      for (const { offset, payload } of messages) {
        payloads.set(offset, payloadId(JSON.parse(new TextDecoder().decode(payload))));
      }
      logs.set(channel, { epoch, oldest, top, payloads });
    }
    return logs;
  }

  /** The links of everyone who is connected. */
  links(): MemoryLink[] {
    return this.devices.flatMap((device) => [...(device.connection?.links ?? [])]);
  }

  /** Devices that follow several channels. */
  get followingDevices(): readonly Device[] {
    return this.devices.slice(READING_DEVICES);
  }

  /** A channel is about to be purged: it happens until `end` is called, or the server dies. */
  beginPurge(channel: string): { end(): void } {
    const purge = {
      end: () => {
        if (this.#purges.delete(purge)) this.recorder.record({ kind: 'purged', channel });
      },
    };
    this.#purges.add(purge);
    this.recorder.record({ kind: 'purged', channel });
    return purge;
  }

  /** Channels in which something may have been said by now: some are born late. */
  get bornChannels(): readonly string[] {
    if (this.followingDevices.length === 0) return READ_CHANNELS;
    const born = READ_CHANNELS.length + 1 + Math.floor(this.recorder.step / BIRTH_STEPS);
    return CHANNELS.slice(0, born);
  }

  /** Messages of a channel that retention must leave. */
  retainedMin(channel: string): number {
    return retainedMin(this.#rules(channel));
  }

  #end(): void {
    this.#server = undefined;
    for (const device of this.devices) device.loseServer();
    for (const purge of this.#purges) purge.end();
    for (const channel of this.#fleeting) this.recorder.record({ kind: 'purged', channel });
  }

  /** An operator declares one channel durable, or not, before the next start. */
  #changeDurability(): void {
    const channel = this.random.pick(CHANNELS);
    const fleeting = new Set(this.#fleeting);
    if (!fleeting.delete(channel)) fleeting.add(channel);
    this.#fleeting = fleeting;
    this.recorder.record({ kind: 'purged', channel });
  }

  #newServer(): SimulatedServer {
    const names = this.#fleeting;
    const rules = new Map(
      [...CHANNELS, ...VOLATILE_CHANNELS].map((channel) => {
        const own = this.#rules(channel);
        return [channel, names.has(channel) ? { ...own, durable: false } : own];
      }),
    );
    return new SimulatedServer({
      clock: this.clock,
      random: this.random.fork(),
      disk: this.#disk,
      faults: this.faults,
      setup: this.setup,
      rulesOf: (channel) => rules.get(channel) ?? this.#rules(channel),
      plant: this.#plant,
      onFailure: (error) => this.recorder.fail(error),
    });
  }

  #device(index: number): Device {
    const { recorder, random } = this;
    return new Device({
      user: `user-${index % 3}`,
      audience: index < READING_DEVICES ? this.#readers() : this.#followers(),
      recorder,
      random: random.fork(),
      clock: this.clock,
    });
  }

  #readers(): Readers {
    const count = 1 + this.random.integer(READ_CHANNELS.length);
    const channels = READ_CHANNELS.slice(0, count);
    return new Readers(channels.map((channel) => new Reader(this.recorder, channel)));
  }

  #followers(): Followers {
    const followings = new Map<string, readonly string[]>();
    for (let count = 1 + this.random.integer(3); count > 0; count -= 1) {
      const filters = this.random.pick(FOLLOWINGS);
      const isNew = filters.every((filter) => ![...followings.values()].flat().includes(filter));
      if (isNew) followings.set(filters.join(), filters);
    }
    const followers = [...followings.values()].map(
      (filters) => new Follower(this.recorder, filters),
    );
    return new Followers(followers, CHANNELS);
  }
}
