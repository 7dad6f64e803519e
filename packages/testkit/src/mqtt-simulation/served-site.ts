/**
 * ServedSite: the real server's MQTT, its hub and its embedded broker, over a simulated disk. A
 * process can be killed at any moment, and nothing of it goes on.
 */
import { EmbeddedBroker } from '@trunkline/server/internal/backplanes/embedded/broker.ts';
import { EMBEDDED_DEFAULTS } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import type { Operation, Outcome } from '@trunkline/server/internal/backplanes/embedded/store.ts';
import { OPEN_NAMESPACE } from '@trunkline/server/internal/config/namespace-rules.ts';
import type { NamespaceRules } from '@trunkline/server/internal/config/namespace-rules.ts';
import { Hub } from '@trunkline/server/internal/hub/hub.ts';
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import type { Log } from '@trunkline/server/internal/observe/log.ts';
import type { MqttConfig } from '@trunkline/server/internal/protocols/mqtt/parts.ts';
import { MqttProtocol } from '@trunkline/server/internal/protocols/mqtt/protocol.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';
import { MemoryLink } from '../memory-link.ts';
import type { MemoryPeer } from '../memory-link.ts';
import { ProcessClock } from '../simulation/process-clock.ts';
import { identityOf } from '../simulation/simulated-server.ts';
import {
  GuardedMemoryStore,
  SimulatedDisk,
  SimulatedStore,
} from '../simulation/simulated-store.ts';
import type { DiskFaults, SimulatedStoreParts } from '../simulation/simulated-store.ts';
import { SpinGuard } from '../simulation/spin-guard.ts';
import type { MqttServer, MqttSite, MqttSiteParts } from './mqtt-site.ts';
import { sayingName } from './sayings.ts';
import { SHORT_CHANNEL } from './surroundings.ts';

/** Messages that are kept of a channel of which little is kept, and of others. */
const SHORT_COUNT = 3;
const LONG_COUNT = 100_000;
const LARGE_SIZE = 1_000_000_000;

const DRAINING = { code: 'draining' } as const;

/** What all processes of a run share. */
interface Setup {
  readonly highWaterSize: number;
  readonly checkIntervalMs: number;
  readonly config: MqttConfig;
}

/** One machine with the real server. */
export class ServedSite implements MqttSite {
  readonly parts: MqttSiteParts;
  readonly disk: SimulatedDisk;
  readonly faults: DiskFaults = {
    full: false,
    unreadable: false,
    unknownChance: 0,
    delayMsMax: 10,
  };
  readonly setup: Setup;
  seenMs = 0;
  readonly #isFaulty: boolean;
  readonly #rules: NamespaceRules;
  readonly #shortRules: NamespaceRules;

  /** @param options.faulty whether its disk fails now and then. */
  constructor(parts: MqttSiteParts, { faulty = false } = {}) {
    const { random } = parts;
    this.#isFaulty = faulty;
    this.parts = parts;
    this.disk = new SimulatedDisk(random.integer(2 ** 31), EMBEDDED_DEFAULTS);
    const highWaterSize = random.pick([500, 4_000]);
    this.setup = {
      highWaterSize,
      checkIntervalMs: random.pick([5_000, 3_600_000]),
      config: {
        packetBytesMax: 100_000,
        connectMs: 10_000,
        keepAliveSecondsMax: 0,
        sessionExpirySecondsMax: 86_400,
        clientIdLengthMax: 64,
        inflightMax: random.pick([2, 10, 1_000]),
        receiveMaximum: random.pick([2, 10, 1_000]),
        topicAliasMax: 2,
        subscriptionsMax: 10,
        commandsPerSecondMax: 0,
        sessionsMax: 0,
        sessionsPerUserMax: 0,
        ackSaveMs: random.pick([10, 1_000]),
        sysIntervalMs: 0,
        highWaterSize,
      },
    };
    const history = { ...OPEN_NAMESPACE.history, countMax: LONG_COUNT, sizeMax: LARGE_SIZE };
    this.#rules = { ...OPEN_NAMESPACE, history };
    this.#shortRules = { ...this.#rules, history: { ...history, countMax: SHORT_COUNT } };
  }

  async start(): Promise<MqttServer> {
    const server = new ServedMqtt(this);
    await server.begin();
    return server;
  }

  happen(): void {
    if (!this.#isFaulty) return;
    // Nobody knows how long a channel can't be read.
    this.seenMs = Infinity;
    const { faults } = this;
    const { random } = this.parts;
    faults.full = random.chance(0.15);
    faults.unreadable = random.chance(0.15);
    faults.unknownChance = random.pick([0, 0, 0.2]);
    faults.delayMsMax = random.pick([0, 10, 100]);
  }

  heal(): void {
    Object.assign(this.faults, { full: false, unreadable: false, unknownChance: 0 });
  }

  mayLose(channel: string): boolean {
    return channel === SHORT_CHANNEL;
  }

  rulesOf(channel: string): NamespaceRules {
    return this.mayLose(channel) ? this.#shortRules : this.#rules;
  }

  /** Writes down which messages came into the log, or became known to be there. */
  note(kind: 'committed' | 'known', operations: readonly Operation[], outcomes: Outcomes): void {
    for (const [index, operation] of operations.entries()) {
      const outcome = outcomes[index];
      if (operation.kind !== 'append' || outcome?.kind !== 'appended') continue;
      const { channel, draft } = operation;
      const position = `${outcome.epoch}:${outcome.offset}`;
      const { recorder } = this.parts;
      if (kind === 'known') recorder.record({ kind, channel, position });
      else recorder.record({ kind, channel, position, payload: sayingName(draft.payload) });
    }
  }
}

type Outcomes = readonly Outcome[];

/** A store that tells what it knows. */
class TellingStore extends SimulatedStore {
  readonly #site: ServedSite;

  constructor(site: ServedSite, parts: Omit<SimulatedStoreParts, 'onCommitted'>) {
    const onCommitted = (operations: readonly Operation[], outcomes: Outcomes): void =>
      site.note('committed', operations, outcomes);
    super({ ...parts, onCommitted });
    this.#site = site;
  }

  override async commit(operations: readonly Operation[], nowMs: number): Promise<Outcomes> {
    const outcomes = await super.commit(operations, nowMs);
    this.#site.note('known', operations, outcomes);
    return outcomes;
  }
}

/** One process. */
class ServedMqtt implements MqttServer {
  readonly #clock: ProcessClock;
  readonly #turn: Turn;
  readonly #hub: Hub;
  readonly #protocol: MqttProtocol;
  readonly #faults: DiskFaults;
  readonly #links = new Set<MemoryLink>();

  constructor(site: ServedSite) {
    const { disk, faults, setup, parts } = site;
    const random = parts.random.fork();
    const clock = new ProcessClock(parts.clock);
    const wheel = new Wheel(clock);
    const turn = new Turn(clock);
    const guard = new SpinGuard(clock, (error) => parts.recorder.fail(error));
    const limits = EMBEDDED_DEFAULTS;
    const durable = new TellingStore(site, { disk, faults, clock, random, guard });
    const memory = new GuardedMemoryStore({ random, limits }, guard);
    // What a server calls an error no client and no disk is the cause of.
    const log: Log = {
      ...silentLog,
      error: ({ error }, message) =>
        parts.recorder.fail(new Error(`the server logged: ${message}`, { cause: error })),
    };
    const surroundings = { clock, wheel, random, log };
    const broker = new EmbeddedBroker({ ...surroundings, memory, durable, limits });
    const { highWaterSize, checkIntervalMs, config } = setup;
    const hub = new Hub({
      ...surroundings,
      turn,
      broker,
      config: {
        ...{ highWaterSize, checkIntervalMs, node: 'simulated', allowsWhole: () => true },
        keyWindowMs: EMBEDDED_DEFAULTS.keyWindowMs,
        rulesOf: (channel) => site.rulesOf(channel),
      },
    });
    this.#clock = clock;
    this.#faults = faults;
    this.#turn = turn;
    this.#hub = hub;
    this.#protocol = new MqttProtocol({
      ...surroundings,
      hub,
      state: broker.state,
      authenticator,
      config,
      refusal: () => undefined,
    });
  }

  /** Resolves when it takes clients. */
  begin(): Promise<void> {
    return this.#hub.open();
  }

  open(peer: MemoryPeer, user: string): MemoryLink {
    const clock = this.#clock;
    const link = new MemoryLink({ clock, turn: this.#turn, peer });
    this.#links.add(link);
    const handler = this.#protocol.open(link, { identity: identityOf(user) });
    link.attach({
      onFrame: (frame) => handler.onFrame(frame),
      onDrain: () => handler.onDrain(),
      onClose: (close) => {
        this.#links.delete(link);
        // A dead process learns nothing.
        if (clock.isAlive) handler.onClose(close);
      },
    });
    return link;
  }

  async publish(user: string, channel: string, payload: Uint8Array): Promise<void> {
    const caller = { identity: identityOf(user), session: 'http' };
    await this.#hub.publish(caller, channel, { payload });
  }

  async stop(): Promise<boolean> {
    const { full, unreadable, unknownChance } = this.#faults;
    for (const connection of [...this.#protocol.connections]) connection.close(DRAINING);
    await this.#protocol.stop();
    await this.#hub.close();
    this.#clock.kill();
    return !full && !unreadable && unknownChance === 0;
  }

  kill(): void {
    this.#clock.kill();
    for (const link of this.#links) link.drop();
  }
}

/** Who a client is its link says. */
const authenticator = {
  fromToken: () => ({ kind: 'none' as const }),
  fromLogin: () => ({ kind: 'none' as const }),
};
