/**
 * A group under random load: members come, go, refuse and stall, and the server crashes. All that any of
 * them is sent is looked at as it comes. The same seed gives the same run.
 */
import { seededRandom } from '@trunkline/testkit';
import type { Publish, Qos } from '../../../../src/protocols/mqtt/codec/packets.ts';
import { SHARE, startShare } from './share-setup.ts';

type World = Awaited<ReturnType<typeof startShare>>;
type Peer = Awaited<ReturnType<World['connect']>>;

/** What a run is like. */
export interface RunOptions {
  readonly seed: number;
  readonly steps: number;
  readonly qos: Qos;
  /** Members whose sessions are kept; the first of them shares from the beginning to the end. */
  readonly keptCount: number;
  readonly others: number;
  readonly crashes: boolean;
}

/** One client identifier. */
interface Client {
  readonly id: string;
  readonly isKept: boolean;
  readonly version: 4 | 5;
  peer: Peer | undefined;
  /** How many of the peer's packets were looked at. */
  seen: number;
  /** Came and was not acknowledged, by packet identifier. */
  open: Map<number, string>;
  /** QoS 2 that came and was not released, as the client keeps it over its connections. */
  unreleased: Map<number, string>;
  isMember: boolean;
  /** True when it was none at the last crash: what it had then may be with others as well. */
  hasLeftOvers: boolean;
}

/** What a run found out. */
export interface RunResult {
  readonly published: readonly string[];
  /** Payloads, by how often a member did what they asked for. */
  readonly handled: ReadonlyMap<string, number>;
  /** With QoS 2: refused once at least. */
  readonly refused: ReadonlySet<string>;
  readonly faults: readonly string[];
}

/** Runs it, and then lets every member that is kept finish. */
export async function runGroup(options: RunOptions): Promise<RunResult> {
  const run = new GroupRun(options, await startShare());
  await run.begin();
  for (let step = 0; step < options.steps; step += 1) await run.step();
  await run.finish();
  return run.result;
}

class GroupRun {
  readonly #options: RunOptions;
  readonly #world: World;
  readonly #random: ReturnType<typeof seededRandom>;
  readonly #clients: Client[];
  readonly #published: string[] = [];
  readonly #handled = new Map<string, number>();
  readonly #refused = new Set<string>();
  /** Acknowledged since the last crash: what came before may be given again with QoS 1. */
  #done = new Set<string>();
  /** Published before the last crash. */
  #old = new Set<string>();
  readonly #faults: string[] = [];

  constructor(options: RunOptions, world: World) {
    this.#options = options;
    this.#world = world;
    this.#random = seededRandom(options.seed);
    const { keptCount, others } = options;
    this.#clients = Array.from({ length: keptCount + others }, (_, index) => ({
      ...{ id: `c${index}`, isKept: index < keptCount, version: index % 3 === 2 ? 4 : 5 },
      ...{ peer: undefined, seen: 0, open: new Map(), unreleased: new Map(), isMember: false },
      hasLeftOvers: false,
    }));
  }

  get result(): RunResult {
    return {
      ...{ published: this.#published, handled: this.#handled },
      ...{ refused: this.#refused, faults: this.#faults },
    };
  }

  async begin(): Promise<void> {
    const [first] = this.#clients;
    if (first !== undefined) await this.#come(first);
  }

  async step(): Promise<void> {
    const client = this.#clients[this.#below(this.#clients.length)];
    if (client === undefined) return;
    const dice = this.#below(100);
    if (dice < 40) await this.#publish(1 + this.#below(4));
    else if (dice < 70) await this.#work(client, this.#below(4));
    else if (dice < 82) await this.#come(client);
    else if (dice < 90) await this.#go(client);
    else if (dice < 94) await this.#unsubscribe(client);
    else if (dice < 98) await this.#world.clock.pass(this.#below(600));
    else if (this.#options.crashes) await this.#crash();
    this.#look();
  }

  /** All that are kept are there, and do all that they are asked for. */
  async finish(): Promise<void> {
    for (const client of this.#clients) if (!client.isKept) await this.#go(client);
    for (const client of this.#clients) if (client.isKept) await this.#come(client);
    for (let round = 0; round < 1_000; round += 1) {
      let count = 0;
      for (const client of this.#clients) {
        this.#look();
        count += client.open.size + client.unreleased.size;
        await this.#work(client, Number.POSITIVE_INFINITY);
      }
      if (count === 0) return;
    }
    this.#faults.push('it does not come to an end');
  }

  async #publish(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const payload = `m${this.#published.length}`;
      this.#published.push(payload);
      await this.#world.publish(`a/${this.#below(3)}`, payload);
      this.#look();
    }
  }

  async #come(client: Client): Promise<void> {
    const { id, isKept, version } = client;
    if (client.peer !== undefined && client.isMember) return;
    if (client.peer === undefined) {
      const receiveMaximum = 1 + this.#below(4);
      const limit = version === 5 ? { receiveMaximum } : {};
      client.peer = await this.#world.connect(id, { version, kept: isKept, ...limit });
      client.seen = 0;
      client.open = new Map();
      if (!client.peer.connack.sessionPresent) {
        this.#end(client);
      }
    }
    this.#look();
    if (client.isMember) return;
    const { reasons } = await client.peer.subscribe({ filter: SHARE, qos: this.#options.qos });
    if (reasons[0] !== this.#options.qos) this.#faults.push(`${id} was refused: ${reasons[0]}`);
    client.isMember = true;
  }

  async #go(client: Client): Promise<void> {
    const { peer, isKept } = client;
    if (peer === undefined) return;
    this.#look();
    client.peer = undefined;
    client.open = new Map();
    if (!isKept) this.#end(client);
    if (this.#below(2) === 0) await peer.drop();
    else await peer.disconnect();
  }

  /** The first one stays, so that the group does. */
  async #unsubscribe(client: Client): Promise<void> {
    if (client === this.#clients[0] || client.peer === undefined || !client.isMember) return;
    await client.peer.unsubscribe(SHARE);
    client.isMember = false;
  }

  async #work(client: Client, countMax: number): Promise<void> {
    let left = countMax;
    for (const [packetId, payload] of [...client.open]) {
      if (client.peer === undefined || left <= 0) return;
      left -= 1;
      client.open.delete(packetId);
      const isRefused = client.version === 5 && this.#below(20) === 0;
      if (this.#options.qos === 1) this.#handle(payload);
      this.#done.add(payload);
      const kind = this.#options.qos === 1 ? 'puback' : 'pubrec';
      if (isRefused && kind === 'pubrec') {
        client.unreleased.delete(packetId);
        // A crash may come before that is stored: then it is sent again, and may be accepted.
        this.#handled.set(payload, 0);
        this.#refused.add(payload);
      }
      await client.peer.ack(kind, packetId, isRefused ? 0x83 : 0);
      this.#look();
    }
  }

  async #crash(): Promise<void> {
    this.#look();
    await this.#world.crash();
    this.#done = new Set();
    this.#old = new Set(this.#published);
    for (const client of this.#clients) {
      client.peer = undefined;
      client.open = new Map();
      client.hasLeftOvers = client.isKept && !client.isMember;
      if (!client.isKept) this.#end(client);
    }
  }

  #end(client: Client): void {
    client.isMember = false;
    client.unreleased = new Map();
  }

  /** Looks at what has come to whom. */
  #look(): void {
    for (const client of this.#clients) {
      const { peer } = client;
      if (peer === undefined) continue;
      const { received } = peer;
      for (; client.seen < received.length; client.seen += 1) {
        const packet = received[client.seen];
        if (packet?.kind === 'publish') this.#onPublish(client, packet);
        if (packet?.kind === 'pubrel') {
          client.unreleased.delete(packet.packetId);
          void peer.ack('pubcomp', packet.packetId);
        }
      }
      if (peer.isOver) this.#faults.push(`the connection of ${client.id} was ended`);
    }
  }

  #onPublish(client: Client, { payload, packetId, qos, dup }: Publish): void {
    const text = Buffer.from(payload).toString();
    if (qos !== this.#options.qos) this.#faults.push(`${text} came with QoS ${qos}`);
    if (qos === 1 && this.#isLeftOver(client, text)) {
      // Others may have it as well.
      this.#handle(text);
      void client.peer?.ack('puback', packetId);
      return;
    }
    for (const other of this.#clients) {
      if (other !== client && [...other.open.values()].includes(text)) {
        this.#faults.push(`${text} is with ${other.id} and came to ${client.id}`);
      }
    }
    if (this.#done.has(text)) this.#faults.push(`${text} was done, and came to ${client.id} again`);
    client.open.set(packetId, text);
    if (qos !== 2) return;
    const before = client.unreleased.get(packetId);
    if (before === text && dup) return;
    if (before !== undefined) this.#faults.push(`${text} has the identifier of ${before}`);
    client.unreleased.set(packetId, text);
    this.#handle(text);
  }

  /**
   * True for what a client had when it unsubscribed and the server crashed: it is sent that again, and
   * the group, which knows nothing of it any more, gives it to a member.
   */
  #isLeftOver({ hasLeftOvers }: Client, payload: string): boolean {
    return hasLeftOvers && this.#old.has(payload);
  }

  #handle(payload: string): void {
    this.#handled.set(payload, (this.#handled.get(payload) ?? 0) + 1);
  }

  #below(count: number): number {
    return Math.floor(this.#random.fraction() * count);
  }
}
