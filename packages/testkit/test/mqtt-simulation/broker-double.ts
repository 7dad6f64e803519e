/**
 * BrokerDouble: a small MQTT broker that keeps everything in memory and does nothing wrong, or one
 * thing that a broker must not do, so that the checker can show that it would notice.
 */
import type { Clock } from '@trunkline/server/internal/clock.ts';
import type { Link, LinkHandler } from '@trunkline/server/internal/link/link.ts';
import { PacketDecoder } from '@trunkline/server/internal/protocols/mqtt/codec/decoder.ts';
import { encode } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import type {
  Connect,
  Packet,
  Publish,
  Qos,
  Version,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { matchesPattern } from '@trunkline/wire';
import { MemoryLink } from '../../src/memory-link.ts';
import type { MemoryPeer } from '../../src/memory-link.ts';
import { ackPacket, publishPacket } from '../../src/mqtt/packet-makers.ts';
import type { MqttServer, MqttSite, MqttSiteParts } from '../../src/mqtt-simulation/mqtt-site.ts';
import { sayingName } from '../../src/mqtt-simulation/sayings.ts';
import { ProcessClock } from '../../src/simulation/process-clock.ts';

/** What a broker must not do. */
export const FLAWS = [
  'forget which QoS 2 it has received',
  'acknowledge before it stores',
  'forget what is not acknowledged',
  'send again without DUP',
  'send again under other identifiers',
  'send again in another order',
  'publish again what was received',
  'say that no session is present',
  'keep a session over a clean start',
  'forget subscriptions when it is killed',
  'raise the QoS',
  'deliver for each subscription',
  'answer out of order',
  'send more than the client takes',
  'lose a message now and then',
  'swap two messages',
  'deliver after the end of a subscription',
  'leave PUBCOMP out',
  'tell of a loss that is none',
  'store twice',
  'store in another order',
] as const;

/** One of them. */
export type Flaw = (typeof FLAWS)[number];

const CHANCE = 0.1;

/** A message on its way to one session. */
interface Sent {
  packetId: number;
  readonly qos: 1 | 2;
  readonly publish: Publish;
  stage: 'publish' | 'pubrel';
}

/** What is kept of a session. */
interface Kept {
  readonly filters: Map<string, Qos>;
  readonly queue: Publish[];
  window: Sent[];
  readonly received: Set<number>;
  nextId: number;
  expiryMs: number;
  endedMs: number | undefined;
  connection: Connection | undefined;
}

/** Where such brokers run. */
export class DoubleSite implements MqttSite {
  readonly parts: MqttSiteParts;
  readonly flaw: Flaw | undefined;
  readonly seenMs = 0;
  readonly sessions = new Map<string, Kept>();
  #offset = 0;

  constructor(parts: MqttSiteParts, flaw?: Flaw) {
    this.parts = parts;
    this.flaw = flaw;
  }

  async start(): Promise<MqttServer> {
    return new BrokerDouble(this);
  }

  happen(): void {}

  heal(): void {}

  mayLose(): boolean {
    return false;
  }

  /** True where the flaw shows now. */
  errs(flaw: Flaw, chance = 1): boolean {
    return this.flaw === flaw && this.parts.random.chance(chance);
  }

  store(publish: Publish, clock: Clock, then: () => void): void {
    if (this.errs('acknowledge before it stores')) {
      then();
      clock.after(20, () => this.#store(publish));
    } else if (this.errs('store in another order', CHANCE)) {
      clock.after(20, () => {
        this.#store(publish);
        then();
      });
    } else {
      this.#store(publish);
      if (this.errs('store twice', CHANCE)) this.#store(publish);
      then();
    }
  }

  #store(publish: Publish): void {
    const { topic: channel, payload } = publish;
    this.#offset += 1;
    const position = `e:${this.#offset}`;
    const name = sayingName(payload);
    this.parts.recorder.record({ kind: 'committed', channel, position, payload: name });
    this.parts.recorder.record({ kind: 'known', channel, position });
    for (const session of this.sessions.values()) this.#queue(session, publish);
  }

  #queue(session: Kept, publish: Publish): void {
    const matching = [...session.filters].filter(([filter]) =>
      matchesPattern(filter, publish.topic),
    );
    const each = this.errs('deliver for each subscription');
    const granted = each ? matching.map(([, qos]) => qos) : [];
    if (!each && matching.length > 0) granted.push(max(matching.map(([, qos]) => qos)));
    for (const qos of granted) {
      if (this.errs('lose a message now and then', CHANCE)) continue;
      const limit = this.errs('raise the QoS') ? 2 : publish.qos;
      const one = { ...publish, dup: false, qos: Math.min(qos, limit) as Qos };
      const place = this.errs('swap two messages', CHANCE) ? 1 : 0;
      session.queue.splice(Math.max(0, session.queue.length - place), 0, one);
    }
    session.connection?.pump();
  }
}

class BrokerDouble implements MqttServer {
  readonly site: DoubleSite;
  readonly clock: ProcessClock;
  readonly #links = new Set<MemoryLink>();

  constructor(site: DoubleSite) {
    this.site = site;
    this.clock = new ProcessClock(site.parts.clock);
    for (const session of site.sessions.values()) session.connection = undefined;
  }

  open(peer: MemoryPeer, user: string): MemoryLink {
    const { clock } = this;
    const link = new MemoryLink({ clock, peer });
    this.#links.add(link);
    const handler = new Connection(this, link, user);
    link.attach({
      onFrame: (frame) => handler.onFrame(frame),
      onDrain: () => {},
      onClose: () => {
        this.#links.delete(link);
        if (clock.isAlive) handler.onClose();
      },
    });
    return link;
  }

  async publish(_: string, channel: string, payload: Uint8Array): Promise<void> {
    const publish = publishPacket(channel, payload, { qos: 2 });
    await new Promise<void>((resolve) => this.site.store(publish, this.clock, resolve));
  }

  async stop(): Promise<boolean> {
    this.kill();
    return true;
  }

  kill(): void {
    const { site, clock } = this;
    for (const session of site.sessions.values()) {
      if (session.connection !== undefined) session.endedMs = clock.monotonicMs();
      session.connection = undefined;
      if (site.errs('forget subscriptions when it is killed')) session.filters.clear();
    }
    clock.kill();
    for (const link of this.#links) link.drop();
  }
}

/** One connection, and the session it has after CONNECT. */
class Connection implements LinkHandler {
  readonly #broker: BrokerDouble;
  readonly #site: DoubleSite;
  readonly #link: Link;
  readonly #user: string;
  readonly #decoder = new PacketDecoder({ packetSizeMax: 1_000_000 });
  #version: Version = 5;
  #session: Kept | undefined;
  #receiveMaximum = 0xffff;
  #lateAck: Packet | undefined;

  constructor(broker: BrokerDouble, link: Link, user: string) {
    this.#broker = broker;
    this.#site = broker.site;
    this.#link = link;
    this.#user = user;
  }

  onFrame(frame: string | Uint8Array): void {
    if (typeof frame === 'string') throw new Error('MQTT is bytes');
    for (const packet of this.#decoder.push(Uint8Array.from(frame))) {
      if (packet.kind === 'connect') this.#onConnect(packet);
      else if (this.#session?.connection === this) this.#onPacket(packet, this.#session);
    }
  }

  onDrain(): void {}

  onClose(): void {
    if (this.#session?.connection !== this) return;
    this.#session.connection = undefined;
    this.#session.endedMs = this.#nowMs();
  }

  /** Another connection has the session now. */
  end(): void {
    this.onClose();
    if (this.#version === 5) this.#send({ kind: 'disconnect', reason: 0x8e, properties: {} });
    this.#link.close({ code: 'replaced' });
  }

  /** Sends what there is room for. */
  pump(): void {
    const session = this.#session;
    if (session === undefined) return;
    const most = this.#site.errs('send more than the client takes') ? 0xffff : this.#receiveMaximum;
    for (let next = session.queue[0]; next !== undefined; next = session.queue[0]) {
      if (next.qos === 0) this.#send(next);
      else if (session.window.length >= most) return;
      else {
        session.nextId = (session.nextId % 0xffff) + 1;
        const packetId = session.nextId;
        const publish = { ...next, packetId };
        session.window.push({ packetId, qos: next.qos, publish, stage: 'publish' });
        this.#send(publish);
      }
      session.queue.shift();
    }
  }

  #onConnect(packet: Connect): void {
    const { version, cleanStart, properties } = packet;
    const sessions = this.#site.sessions;
    const key = `${this.#user}/${packet.clientId}`;
    this.#version = version;
    this.#receiveMaximum = properties.receiveMaximum ?? 0xffff;
    let session = sessions.get(key);
    session?.connection?.end();
    if (session !== undefined && !this.#isKept(session, cleanStart)) session = undefined;
    const isPresent = session !== undefined;
    session ??= {
      ...{ filters: new Map(), queue: [], window: [], received: new Set(), nextId: 0 },
      ...{ expiryMs: 0, endedMs: undefined, connection: undefined },
    };
    const expiry = properties.sessionExpiryInterval ?? 0;
    const kept5 = expiry === 0xffffffff ? Infinity : expiry * 1000;
    session.expiryMs = version === 5 ? kept5 : cleanStart ? 0 : Infinity;
    session.endedMs = undefined;
    session.connection = this;
    sessions.set(key, session);
    this.#session = session;
    const sessionPresent = isPresent && !this.#site.errs('say that no session is present');
    const gap = JSON.stringify({ channel: 'news', reason: 'trimmed' });
    const alarm = version === 5 && this.#site.errs('tell of a loss that is none');
    this.#send({
      ...{ kind: 'connack', reason: 0, sessionPresent },
      properties: alarm ? { userProperties: [['trunkline.gap', gap]] } : {},
    });
    if (isPresent) this.#sendAgain(session);
    this.pump();
  }

  #isKept(session: Kept, clean: boolean): boolean {
    if (clean) return this.#site.errs('keep a session over a clean start');
    return this.#nowMs() - (session.endedMs ?? -Infinity) < session.expiryMs;
  }

  #sendAgain(session: Kept): void {
    const site = this.#site;
    if (site.errs('forget which QoS 2 it has received')) session.received.clear();
    if (site.errs('forget what is not acknowledged')) session.window = [];
    if (site.errs('send again in another order')) session.window.reverse();
    for (const sent of session.window) {
      const { stage, publish } = sent;
      if (stage === 'pubrel' && !site.errs('publish again what was received')) {
        this.#send(ackPacket('pubrel', sent.packetId));
        continue;
      }
      if (site.errs('send again under other identifiers')) {
        session.nextId = (session.nextId % 0xffff) + 1;
        sent.packetId = session.nextId;
      }
      const dup = !site.errs('send again without DUP');
      this.#send({ ...publish, packetId: sent.packetId, dup });
    }
  }

  #onPacket(packet: Packet, session: Kept): void {
    switch (packet.kind) {
      case 'publish':
        return this.#onPublish(packet, session);
      case 'pubrel':
        session.received.delete(packet.packetId);
        if (this.#site.errs('leave PUBCOMP out')) return undefined;
        return this.#send(ackPacket('pubcomp', packet.packetId));
      case 'pubrec': {
        const sent = session.window.find((one) => one.packetId === packet.packetId);
        if (sent !== undefined) sent.stage = 'pubrel';
        return this.#send(ackPacket('pubrel', packet.packetId));
      }
      case 'puback':
      case 'pubcomp':
        session.window = session.window.filter((one) => one.packetId !== packet.packetId);
        return this.pump();
      case 'subscribe': {
        const { packetId, subscriptions } = packet;
        for (const { filter, qos } of subscriptions) session.filters.set(filter, qos);
        const reasons = subscriptions.map(({ qos }) => qos);
        return this.#send({ kind: 'suback', packetId, reasons, properties: {} });
      }
      case 'unsubscribe': {
        const { packetId, filters } = packet;
        const goesOn = this.#site.errs('deliver after the end of a subscription');
        if (!goesOn) for (const filter of filters) session.filters.delete(filter);
        const reasons = filters.map(() => 0);
        return this.#send({ kind: 'unsuback', packetId, reasons, properties: {} });
      }
      default:
        return undefined;
    }
  }

  #onPublish(packet: Publish, session: Kept): void {
    const { qos, packetId } = packet;
    const answer = qos === 0 ? undefined : ackPacket(qos === 1 ? 'puback' : 'pubrec', packetId);
    const tell = (): void => this.#answer(answer);
    if (qos === 2 && session.received.has(packetId)) return tell();
    if (qos === 2) session.received.add(packetId);
    return this.#site.store(packet, this.#broker.clock, tell);
  }

  /** Now and then one is kept back, and sent behind the next. */
  #answer(answer: Packet | undefined): void {
    if (answer === undefined) return;
    const late = this.#lateAck;
    this.#lateAck = undefined;
    if (late === undefined && this.#site.errs('answer out of order', 0.3)) {
      this.#lateAck = answer;
      return;
    }
    this.#send(answer);
    if (late !== undefined) this.#send(late);
  }

  #send(packet: Packet): void {
    this.#link.send(encode(packet, this.#version));
  }

  #nowMs(): number {
    return this.#broker.clock.monotonicMs();
  }
}

function max(list: readonly Qos[]): Qos {
  return Math.max(...list) as Qos;
}
