/**
 * Network: what lies between one device and the server, as a browser on the device sees it: a
 * `WebSocket` and a `fetch`. What a proxy on the way does to them can be changed at any time.
 */
import type { Clock, Platform, Timer } from '@trunkline/client';
import type { Identity } from '@trunkline/server/internal/auth/identity.ts';
import { faulty } from '../memory-link.ts';
import type { MemoryLink } from '../memory-link.ts';
import type { SeededRandom } from '../random.ts';
import type { SimulatedServer } from '../simulation/simulated-server.ts';
import { HttpService } from './http-service.ts';
import { simulatedFetch } from './simulated-request.ts';
import { SimulatedSocket } from './simulated-socket.ts';

/** What can be wrong on the way, each by itself. */
export const BLOCKS = [
  /** A proxy answers upgrades with an error. */
  'refuses upgrades',
  /** A proxy takes upgrades and says nothing. */
  'swallows upgrades',
  /** A proxy gives on the body of an answer when it is complete. */
  'holds streams',
  /** A proxy ends what is open for more than a moment. */
  'cuts long answers',
  /** A proxy answers in the place of a server that is away. */
  'answers for the server',
  /** There is no network, and the device knows. */
  'offline',
  /** Nothing comes through, and nobody is told. */
  'silent',
] as const;

/** One of the things that can be wrong. */
export type Block = (typeof BLOCKS)[number];

/** The longest that anything is on its way. */
const TRAVEL_MS_MAX = 20;

/** The longest that a proxy lets anything be open, where it cuts it. */
const OPEN_MS_MAX = 2_500;

/** Attempts and requests at one moment, far above what any client needs. */
const DIALS_MAX = 200;

/** What a network is made from. */
export interface NetworkParts {
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly identity: Identity;
  /** The server, while there is one. */
  readonly server: () => SimulatedServer | undefined;
  readonly onFailure: (error: unknown) => void;
}

/** Something that is open over the network. */
export interface Traffic {
  /** Its link, once it has one. */
  readonly link?: MemoryLink | undefined;
  /** The network has no way to the server any more. */
  cut(): void;
}

/** The way of one device to the server. */
export class Network {
  readonly parts: NetworkParts;
  readonly #blocks = new Set<Block>();
  readonly #traffic = new Set<Traffic>();
  readonly #services = new WeakMap<SimulatedServer, HttpService>();
  /** The chance that an answer to a request is lost on its way. */
  lossChance = 0;
  #momentMs = -1;
  #dialsNow = 0;
  /** Everything that was begun. */
  dials = 0;

  constructor(parts: NetworkParts) {
    this.parts = parts;
  }

  /** What a client takes from its browser. */
  get platform(): Pick<Platform, 'fetch' | 'WebSocket'> {
    return {
      fetch: (input, init) => simulatedFetch(this, new Request(input).url, init),
      WebSocket: SimulatedSocket.over(this),
    };
  }

  /** The server that can be reached. */
  get server(): SimulatedServer | undefined {
    return this.#blocks.has('offline') ? undefined : this.parts.server();
  }

  /** Links that are open over it. */
  get links(): readonly MemoryLink[] {
    return [...this.#traffic].flatMap(({ link }) => link ?? []);
  }

  /** What is open over it, or under way. */
  get openCount(): number {
    return this.#traffic.size;
  }

  has(block: Block): boolean {
    return this.#blocks.has(block);
  }

  /** From now on these are wrong, and no others. */
  set(blocks: readonly Block[]): void {
    const wasSilent = this.has('silent');
    this.#blocks.clear();
    for (const block of blocks) this.#blocks.add(block);
    if (this.has('silent')) for (const link of this.links) faulty(link, { freeze: true });
    else if (wasSilent) for (const link of this.links) faulty(link, {});
    if (this.has('offline')) this.cut();
    if (this.has('cuts long answers')) for (const one of this.#traffic) this.cutLater(one);
  }

  /** Everything that is open breaks. */
  cut(): void {
    for (const one of [...this.#traffic]) one.cut();
  }

  /** The process has ended: nobody answers what was asked of it. */
  loseServer(): void {
    this.cut();
  }

  /** Something begins. @throws {Error} when far too much does. */
  enter(traffic: Traffic): void {
    const nowMs = this.parts.clock.monotonicMs();
    if (nowMs !== this.#momentMs) this.#dialsNow = 0;
    this.#momentMs = nowMs;
    this.#dialsNow += 1;
    this.dials += 1;
    if (this.#dialsNow > DIALS_MAX) {
      const error = new Error(`the client spins: it dials ${DIALS_MAX} times at one moment`);
      this.parts.onFailure(error);
      throw error;
    }
    this.#traffic.add(traffic);
  }

  /** It is over. */
  leave(traffic: Traffic): void {
    this.#traffic.delete(traffic);
  }

  /** A link was opened over it; its faults are the network's. */
  noteLink(traffic: Traffic): void {
    if (this.has('silent') && traffic.link !== undefined) faulty(traffic.link, { freeze: true });
    if (this.has('cuts long answers')) this.cutLater(traffic);
  }

  /** A proxy will not let it be open for long. */
  cutLater(traffic: Traffic): void {
    this.after(this.parts.random.integer(OPEN_MS_MAX), () => traffic.cut());
  }

  /** Runs a task when something has come through. */
  travel(task: () => void): Timer {
    return this.after(this.parts.random.integer(TRAVEL_MS_MAX), task);
  }

  after(delayMs: number, task: () => void): Timer {
    return this.parts.clock.after(delayMs, task);
  }

  /** How a process answers to HTTP. */
  serviceOf(server: SimulatedServer): HttpService {
    let service = this.#services.get(server);
    if (service === undefined) {
      const { random, onFailure } = this.parts;
      service = new HttpService(server, random.fork(), onFailure);
      this.#services.set(server, service);
    }
    return service;
  }
}
