/**
 * One process of the server, put together from its real parts over a simulated disk and simulated
 * links. It can be killed at any moment, and nothing of it goes on.
 */
import { ACTIONS } from '@trunkline/server/internal/auth/identity.ts';
import type { Identity } from '@trunkline/server/internal/auth/identity.ts';
import { EMBEDDED_DEFAULTS } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import type { MemoryStore } from '@trunkline/server/internal/backplanes/embedded/memory-store.ts';
import type { StreamSlice } from '@trunkline/server/internal/broker/broker.ts';
import type { NamespaceRules } from '@trunkline/server/internal/config/namespace-rules.ts';
import { VOLATILE_PART } from '@trunkline/server/internal/hub/config.ts';
import type { Hub, HubParts } from '@trunkline/server/internal/hub/hub.ts';
import type {
  PublishRequest,
  ReadRequest,
  ReadResult,
  Start,
} from '@trunkline/server/internal/hub/hub-types.ts';
import type { Link, LinkHandler } from '@trunkline/server/internal/link/link.ts';
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { EventStreamProtocol } from '@trunkline/server/internal/protocols/eventstream/protocol.ts';
import type { NativeCodec } from '@trunkline/server/internal/protocols/native/codec.ts';
import { NativeProtocol } from '@trunkline/server/internal/protocols/native/protocol.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';
import type { Position } from '@trunkline/wire';
import type { ManualClock } from '../manual-clock.ts';
import type { MemoryConnection } from '../memory-connection.ts';
import { faulty, MemoryLink } from '../memory-link.ts';
import type { MemoryPeer } from '../memory-link.ts';
import type { SeededRandom } from '../random.ts';
import { createBroker, createHub, createLink, createStore } from './plants.ts';
import type { Plant } from './plants.ts';
import { ProcessClock } from './process-clock.ts';
import { GuardedMemoryStore } from './simulated-store.ts';
import type { DiskFaults, SimulatedDisk, SimulatedStore } from './simulated-store.ts';
import { SpinGuard } from './spin-guard.ts';

/** No bound. */
const ALL = Number.MAX_SAFE_INTEGER;

/** How a server of a run is set up; the same for all its processes. */
export interface ServerSetup {
  readonly messageBytesMax: number;
  readonly highWaterSize: number;
  readonly checkIntervalMs: number;
  readonly keyWindowMs: number;
}

/** What a process is made from, and what it leaves to the next one. */
export interface SimulatedServerParts {
  readonly clock: ManualClock;
  readonly random: SeededRandom;
  readonly disk: SimulatedDisk;
  readonly faults: DiskFaults;
  readonly setup: ServerSetup;
  /** The same object for the same channel as long as the process lives. */
  readonly rulesOf: (channel: string) => NamespaceRules;
  readonly plant: Plant | undefined;
  /** Called when the server does what no server may, e.g. spins. */
  readonly onFailure: (error: Error) => void;
}

/** Everyone may do everything: permission is not what is simulated. */
export function identityOf(user: string): Identity {
  return { kind: 'user', user, grants: new Map([['#', new Set(ACTIONS)]]) };
}

/** A process: it takes clients from `open` until it is stopped or killed. */
export class SimulatedServer {
  readonly clock: ProcessClock;
  readonly store: SimulatedStore;
  readonly #parts: SimulatedServerParts;
  readonly #turn: Turn;
  readonly #memory: MemoryStore;
  readonly #hub: Hub;
  readonly #native: NativeProtocol;
  readonly #eventStream: EventStreamProtocol;
  readonly #links = new Set<MemoryLink>();
  readonly #connections = new Set<MemoryConnection>();

  constructor(parts: SimulatedServerParts) {
    const { random, disk, faults, setup, plant } = parts;
    this.#parts = parts;
    const clock = new ProcessClock(parts.clock);
    const wheel = new Wheel(clock);
    const surroundings = { clock, wheel, random, log: silentLog };
    this.clock = clock;
    this.#turn = new Turn(clock);
    const limits = { ...EMBEDDED_DEFAULTS, keyWindowMs: setup.keyWindowMs };
    const guard = new SpinGuard(clock, parts.onFailure);
    const memory = new GuardedMemoryStore({ random, limits }, guard);
    this.#memory = memory;
    this.store = createStore({ disk, faults, clock, guard, random: random.fork() }, plant);
    const hubParts: HubParts = {
      ...surroundings,
      turn: this.#turn,
      broker: createBroker({ ...surroundings, memory, durable: this.store, limits }, plant),
      config: { ...setup, rulesOf: parts.rulesOf, allowsWhole: () => true, node: 'simulated' },
    };
    const hub = createHub(hubParts, plant, random.fork());
    this.#hub = hub;
    this.#native = new NativeProtocol({
      ...surroundings,
      hub,
      authenticator,
      config: nativeConfig(setup),
    });
    this.#eventStream = new EventStreamProtocol({ ...surroundings, hub, retryMs: 1000 });
  }

  /** What HTTP requests are answered with. */
  get hub(): Hub {
    return this.#hub;
  }

  /** What speaks on event streams. */
  get eventStream(): EventStreamProtocol {
    return this.#eventStream;
  }

  /** Resolves when it takes clients. */
  open(): Promise<void> {
    return this.#hub.open();
  }

  /** A client's WebSocket, as the handshake made it. */
  openSession(peer: MemoryPeer, identity: Identity, codec?: NativeCodec): MemoryLink {
    return this.#serve({ peer, duplex: true }, (link) => this.#native.open(link, identity, codec));
  }

  /**
   * A client's event stream, as its request asked for it.
   *
   * @param connection carries other streams of the client as well, as HTTP/2 does.
   */
  openStream(
    peer: MemoryPeer,
    identity: Identity,
    starts: ReadonlyMap<string, Start>,
    connection?: MemoryConnection,
  ): MemoryLink {
    const caller = { identity, session: this.#parts.random.word(8) };
    const request = { caller, starts, presence: false, snapshot: false };
    const shared = connection === undefined ? {} : { connection };
    if (connection !== undefined) this.#connections.add(connection);
    return this.#serve({ peer, duplex: false, ...shared }, (link) =>
      this.#eventStream.open(link, request),
    );
  }

  /** A one-way link, on which whatever `open` answers speaks. */
  openOneWay(peer: MemoryPeer, open: (link: Link) => LinkHandler): MemoryLink {
    return this.#serve({ peer, duplex: false }, open);
  }

  /** A client's publish by HTTP. */
  publish(
    identity: Identity,
    channel: string,
    request: PublishRequest,
  ): Promise<Position | undefined> {
    return this.#hub.publish({ identity, session: 'http' }, channel, request);
  }

  /** An application removes all that is kept of a channel. */
  purge(channel: string): Promise<void> {
    const identity: Identity = { kind: 'server', grants: new Map() };
    return this.#hub.beside.purge({ identity, session: 'http' }, channel);
  }

  /** Unsent bytes of a link above which messages of volatile channels may pass it by. */
  get volatileRoom(): number {
    return this.#parts.setup.highWaterSize / VOLATILE_PART;
  }

  /** A client's poll. */
  read(identity: Identity, request: ReadRequest): Promise<ReadResult> {
    return this.#hub.read({ identity, session: 'poll' }, request);
  }

  /** What the log holds of a channel; for the history, not for clients. */
  inspect(channel: string): StreamSlice {
    const store = this.#memory.has(channel) ? this.#memory : this.store.memory;
    const everything = { after: 0, countMax: ALL, sizeMax: ALL };
    return store.read(channel, everything, Math.floor(this.clock.unixMs()));
  }

  /**
   * Says goodbye to everyone, stores what was accepted, and ends. Whoever calls it lets time pass
   * until it resolves.
   */
  async stop(): Promise<void> {
    this.#hub.endWaits();
    for (const session of [...this.#native.sessions]) session.close({ code: 'draining' });
    for (const link of this.#links) link.leave();
    await this.#hub.close();
    this.clock.kill();
  }

  /** The network is well again, for those too whose client is gone and who never learned it. */
  heal(): void {
    for (const connection of this.#connections) connection.release();
    for (const link of this.#links) {
      faulty(link, {});
      link.release();
    }
  }

  /** Ends the process in the middle of whatever it does. */
  kill(): void {
    this.clock.kill();
    for (const link of this.#links) link.drop();
  }

  #serve(
    {
      duplex,
      ...client
    }: {
      readonly peer: MemoryPeer;
      readonly duplex: boolean;
      readonly connection?: MemoryConnection;
    },
    open: (link: Link) => LinkHandler,
  ): MemoryLink {
    const { clock, random, plant } = this.#parts;
    const traits = { duplex, binary: duplex };
    const link = new MemoryLink({ clock, turn: this.#turn, traits, ...client });
    this.#links.add(link);
    const handler = open(createLink(link, plant, random));
    link.attach({
      onFrame: (frame) => handler.onFrame(frame),
      onDrain: () => handler.onDrain(),
      onClose: (close) => {
        this.#links.delete(link);
        // A dead process learns nothing.
        if (this.clock.isAlive) handler.onClose(close);
      },
    });
    return link;
  }
}

/** Handshakes are not simulated: every session begins with a known identity. */
const authenticator = {
  fromToken: () => ({ kind: 'none' as const }),
  fromTicket: () => ({ kind: 'none' as const }),
  ticketFor: () => 'ticket',
};

function nativeConfig(setup: ServerSetup) {
  return {
    node: 'simulated',
    pingIntervalMs: 25_000,
    helloTimeoutMs: 10_000,
    subscriptionsMax: 128,
    commandsPerSecondMax: 0,
    messageBytesMax: setup.messageBytesMax,
    frameBytesMax: 1024 * 1024,
    keyWindowMs: setup.keyWindowMs,
    highWaterSize: setup.highWaterSize,
  };
}
