/**
 * World: one server, its disk, its clients and the network between them, moved step by step by
 * chance. A step is one thing that happens to somebody, then a moment in which it takes effect.
 */
import { EMBEDDED_DEFAULTS } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import { DEFAULT_NAMESPACE } from '@trunkline/server/internal/config/namespace-rules.ts';
import type { NamespaceRules } from '@trunkline/server/internal/config/namespace-rules.ts';
import type { StreamLog } from '../history.ts';
import { ManualClock } from '../manual-clock.ts';
import { faulty } from '../memory-link.ts';
import type { MemoryLink } from '../memory-link.ts';
import { seededRandom } from '../random.ts';
import type { SeededRandom } from '../random.ts';
import { Device } from './device.ts';
import type { Plant } from './plants.ts';
import { payloadId } from './publication.ts';
import { Recorder } from './recorder.ts';
import { SimulatedServer } from './simulated-server.ts';
import type { ServerSetup } from './simulated-server.ts';
import { SimulatedDisk } from './simulated-store.ts';
import type { DiskFaults } from './simulated-store.ts';

const CHANNELS = ['news', 'room/1', 'room/2'];
const DEVICES = 5;

/** Bounds that no run reaches. */
const LARGE_SIZE = 1_000_000_000;
const LONG_MS = 86_400_000;

/** Seconds without faults, in which everyone must arrive; longer than any retry or wait. */
const REST_SECONDS = 40;

/** Longer than the disk ever takes while a server opens. */
const OPENING_MS = 1_000;

/** Something that can happen, and how often relative to the others. */
type Happening = readonly [weight: number, happen: (world: World) => void | Promise<void>];

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
  readonly #rules: NamespaceRules;
  /** Channels that end with the process, as it was told when it started. */
  #fleeting = new Set<string>();
  readonly #disk: SimulatedDisk;
  readonly #plant: Plant | undefined;
  #server: SimulatedServer | undefined;
  /** The last process, dead or alive: its store still knows what the disk holds. */
  #latest: SimulatedServer;
  crashes = 0;

  constructor(seed: number, plant: Plant | undefined) {
    this.random = seededRandom(seed);
    this.setup = setupOf(this.random);
    this.#rules = rulesOf(this.random);
    this.#plant = plant;
    this.#disk = new SimulatedDisk(this.random.integer(2 ** 31), {
      ...EMBEDDED_DEFAULTS,
      keyWindowMs: this.setup.keyWindowMs,
    });
    this.recorder = new Recorder(this.clock, (channel) => this.#latest.inspect(channel));
    this.devices = Array.from({ length: DEVICES }, (_, index) => this.#device(index));
    this.#latest = this.#newServer();
  }

  /** The server, while one runs and takes clients. */
  get server(): SimulatedServer | undefined {
    return this.#server;
  }

  /** Does one thing, chosen by chance, and lets some time pass. */
  async step(): Promise<void> {
    this.recorder.step += 1;
    await choose(HAPPENINGS, this.random)(this);
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
    for (const link of this.links()) {
      faulty(link, {});
      link.release();
    }
    for (let second = 0; second < REST_SECONDS; second += 1) {
      for (const device of this.devices) {
        device.connect(server);
        device.retry(server);
      }
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

  /** Messages that retention must leave: known where the count alone decides. */
  get retainedMin(): number {
    const { countMax, sizeMax, ageMsMax } = this.#rules.history;
    return sizeMax >= LARGE_SIZE && ageMsMax >= LONG_MS ? countMax : 0;
  }

  #end(): void {
    this.#server = undefined;
    for (const device of this.devices) device.loseServer();
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
    const durable = this.#rules;
    const fleeting = { ...durable, durable: false };
    const names = this.#fleeting;
    return new SimulatedServer({
      clock: this.clock,
      random: this.random.fork(),
      disk: this.#disk,
      faults: this.faults,
      setup: this.setup,
      rulesOf: (channel) => (names.has(channel) ? fleeting : durable),
      plant: this.#plant,
      onFailure: (error) => this.recorder.fail(error),
    });
  }

  #device(index: number): Device {
    const count = 1 + this.random.integer(CHANNELS.length);
    return new Device({
      user: `user-${index % 3}`,
      channels: CHANNELS.slice(0, count),
      recorder: this.recorder,
      random: this.random.fork(),
      clock: this.clock,
    });
  }
}

function setupOf(random: SeededRandom): ServerSetup {
  return {
    messageBytesMax: DEFAULT_NAMESPACE.messageBytesMax,
    highWaterSize: random.pick([500, 4_000]),
    // Where it is long, no later look at the log covers up for a wake-up that was lost.
    checkIntervalMs: random.pick([5_000, 3_600_000]),
    keyWindowMs: 3_600_000,
  };
}

/** Small bounds, so that trimming happens all the time. */
function rulesOf(random: SeededRandom): NamespaceRules {
  const resumeCountMax = random.pick([undefined, undefined, 4]);
  return {
    ...DEFAULT_NAMESPACE,
    history: {
      countMax: random.pick([3, 10, 1_000]),
      sizeMax: random.pick([4_000, LARGE_SIZE]),
      ageMsMax: random.pick([20_000, LONG_MS]),
    },
    ...(resumeCountMax === undefined ? {} : { resumeCountMax }),
  };
}

const HAPPENINGS: readonly Happening[] = [
  [30, publishSome],
  [10, retrySome],
  [20, connectSome],
  [4, (world) => disconnectOne(world, true)],
  [4, (world) => disconnectOne(world, false)],
  [2, (world) => world.random.pick(world.devices).forget()],
  [
    4,
    (world) =>
      changeLink(world, (link, random) => faulty(link, { dropAfter: 1 + random.integer(4) })),
  ],
  [
    3,
    (world) => changeLink(world, (link, random) => faulty(link, { delayMs: random.integer(200) })),
  ],
  [3, (world) => changeLink(world, (link) => faulty(link, { freeze: true }))],
  [8, (world) => changeLink(world, (link) => faulty(link, {}))],
  [6, (world) => changeLink(world, (link) => link.hold())],
  [12, (world) => changeLink(world, (link, random) => link.allow(random.integer(2_000)))],
  [6, (world) => changeLink(world, (link) => link.release())],
  [4, changeDisk],
  [2, jumpInTime],
  [3, (world) => world.random.pick(world.devices).connection?.resubscribe?.()],
  [2, (world) => world.crash()],
  [1, (world) => world.stop()],
  [12, (world) => world.start()],
];

function publishSome(world: World): void {
  const { server, random } = world;
  if (server === undefined) return;
  for (let count = 1 + random.integer(4); count > 0; count -= 1) {
    random.pick(world.devices).publish(server, random.pick([0, 100, 1_000]));
  }
}

function retrySome(world: World): void {
  if (world.server !== undefined) world.random.pick(world.devices).retry(world.server);
}

function connectSome(world: World): void {
  if (world.server !== undefined) world.random.pick(world.devices).connect(world.server);
}

function disconnectOne(world: World, politely: boolean): void {
  world.random.pick(world.devices).disconnect(politely);
}

function changeLink(world: World, change: (link: MemoryLink, random: SeededRandom) => void): void {
  const links = world.links();
  if (links.length > 0) change(world.random.pick(links), world.random);
}

function jumpInTime({ clock, random, recorder }: World): void {
  recorder.noteJump();
  clock.stepUnix(random.integer(20_000) - 10_000);
}

function changeDisk({ faults, random }: World): void {
  faults.full = random.chance(0.15);
  faults.unreadable = random.chance(0.15);
  faults.unknownChance = random.pick([0, 0, 0.2]);
  faults.delayMsMax = random.pick([0, 10, 100]);
}

function choose(happenings: readonly Happening[], random: SeededRandom): Happening[1] {
  const total = happenings.reduce((sum, [weight]) => sum + weight, 0);
  let left = random.integer(total);
  for (const [weight, happen] of happenings) {
    left -= weight;
    if (left < 0) return happen;
  }
  throw new Error('a choice fell outside the weights');
}
