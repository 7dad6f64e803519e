/**
 * MqttPeer: an MQTT client whose every packet a test writes, over a memory link and a manual clock.
 *
 * It does nothing by itself unless told to (`autoAck`), so a test can leave out, repeat or disorder
 * whatever it likes. What the server sends is read by the codec as a client must read it: a packet
 * that no server may send fails the call that meets it, and every later one.
 */
import type { Frame, Link, LinkHandler } from '@trunkline/server/internal/link/link.ts';
import type { Turn } from '@trunkline/server/internal/link/turn.ts';
import { PacketDecoder } from '@trunkline/server/internal/protocols/mqtt/codec/decoder.ts';
import { encode } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import type {
  Connack,
  Packet,
  PacketKind,
  Publish,
  Qos,
  Suback,
  Unsuback,
  Version,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import type { PropertiesOf } from '@trunkline/server/internal/protocols/mqtt/codec/property-table.ts';
import type { ManualClock } from '../manual-clock.ts';
import { MemoryLink } from '../memory-link.ts';
import {
  ackPacket,
  connectPacket,
  publishPacket,
  subscribePacket,
  unsubscribePacket,
} from './packet-makers.ts';
import type {
  ConnectOptions,
  FilterOptions,
  PacketOf,
  Payload,
  PublishOptions,
} from './packet-makers.ts';

/** The largest packet there is, unless a peer wants smaller ones. */
const PACKET_SIZE_MAX = 268_435_460;

const PACKET_ID_MAX = 0xffff;

/** How a peer begins. */
export interface MqttPeerOptions {
  readonly clock: ManualClock;
  /** Speaks for the server on the peer's link, as `MqttProtocol.open` does. */
  readonly open: (link: Link) => LinkHandler;
  /** The server's own, where it has one; absent: one of the link's own. */
  readonly turn?: Turn;
  /**
   * True when the peer answers by itself: PUBLISH by PUBACK or PUBREC, PUBREC by PUBREL, PUBREL by
   * PUBCOMP.
   */
  readonly autoAck?: boolean;
  /** The version to read the server in, for a peer that sends its CONNECT raw; 5 unless given. */
  readonly version?: Version;
  /** Bytes that a packet of the server may have at most. */
  readonly packetSizeMax?: number;
}

/** A scripted client on one connection. For another connection, another peer. */
export class MqttPeer {
  /** The network: it delays, holds, breaks. */
  readonly link: MemoryLink;
  /** Whether it acknowledges by itself; may change at any time. */
  autoAck: boolean;
  readonly #clock: ManualClock;
  readonly #packetSizeMax: number;
  #version: Version;
  #decoder: PacketDecoder | undefined;
  readonly #received: Packet[] = [];
  /** Received and not yet taken by a test. */
  #inbox: Packet[] = [];
  #fault: unknown;
  #nextId = 0;
  #isOver = false;

  constructor(options: MqttPeerOptions) {
    const { clock, open, turn, autoAck = false, packetSizeMax = PACKET_SIZE_MAX } = options;
    this.#clock = clock;
    this.autoAck = autoAck;
    this.#packetSizeMax = packetSizeMax;
    this.#version = options.version ?? 5;
    this.link = new MemoryLink({
      clock,
      ...(turn === undefined ? {} : { turn }),
      peer: {
        onFrame: (frame) => this.#read(frame),
        onClose: () => void (this.#isOver = true),
      },
    });
    this.link.attach(open(this.link));
  }

  /** Every packet that has come, in order, taken or not. */
  get received(): readonly Packet[] {
    return this.#received;
  }

  /** True when the connection is over and the peer knows it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The version that its CONNECT named, or it was made with. */
  get version(): Version {
    return this.#version;
  }

  /** Sends CONNECT and takes the CONNACK, a refusal too; whatever came before it fails the test. */
  async connect(options: ConnectOptions = {}): Promise<Connack> {
    await this.send(connectPacket(options));
    return this.expectPacket('connack');
  }

  /** Sends SUBSCRIBE and takes its SUBACK out of what came, which may hold messages before it. */
  async subscribe(
    filters: FilterOptions | readonly FilterOptions[],
    options: { readonly packetId?: number; readonly properties?: PropertiesOf<'subscribe'> } = {},
  ): Promise<Suback> {
    const { packetId = this.nextId(), properties } = options;
    const list = isList(filters) ? filters : [filters];
    await this.send(subscribePacket(packetId, list, properties));
    return this.#answer('suback', packetId);
  }

  /** Sends UNSUBSCRIBE and takes its UNSUBACK out of what came. */
  async unsubscribe(...filters: readonly string[]): Promise<Unsuback> {
    const packetId = this.nextId();
    await this.send(unsubscribePacket(packetId, filters));
    return this.#answer('unsuback', packetId);
  }

  /** Sends PUBLISH and gives back what it sent; acknowledgements are there to be taken. */
  async publish(topic: string, payload: Payload, options: PublishOptions = {}): Promise<Publish> {
    const id = options.packetId ?? ((options.qos ?? 0) === 0 ? 0 : this.nextId());
    const packet = publishPacket(topic, payload, { ...options, packetId: id });
    await this.send(packet);
    return packet;
  }

  /** Publishes and takes the whole exchange that the QoS asks for. Not with `autoAck`. */
  async publishThrough(topic: string, payload: Payload, qos: Qos = 1): Promise<void> {
    const { packetId } = await this.publish(topic, payload, { qos });
    if (qos === 1) this.#answer('puback', packetId);
    if (qos !== 2) return;
    this.#answer('pubrec', packetId);
    await this.send(ackPacket('pubrel', packetId));
    this.#answer('pubcomp', packetId);
  }

  /** Sends an acknowledgement. */
  async ack(
    kind: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
    packetId: number,
    reason = 0,
  ): Promise<void> {
    await this.send(ackPacket(kind, packetId, reason));
  }

  /** Says goodbye by DISCONNECT and ends the connection. */
  async disconnect(reason = 0, properties: PropertiesOf<'disconnect'> = {}): Promise<void> {
    await this.send({ kind: 'disconnect', reason, properties });
    this.link.leave();
    await this.settle();
  }

  /** The connection breaks without a word. */
  async drop(): Promise<void> {
    this.link.drop();
    await this.settle();
  }

  /** Sends packets as one chunk, and lets everything come to rest. */
  async send(...packets: readonly Packet[]): Promise<void> {
    this.#write(packets);
    await this.settle();
  }

  /** Sends any bytes, each argument as a chunk of its own. */
  async sendRaw(...chunks: readonly Uint8Array[]): Promise<void> {
    for (const chunk of chunks) this.link.receive(chunk);
    await this.settle();
  }

  /** Lets everything come to rest; time stands still. @throws when the server broke the protocol. */
  async settle(): Promise<void> {
    await this.#clock.settle();
    this.#check();
  }

  /**
   * Takes the packet that came first of those not yet taken.
   *
   * @throws {Error} when there is none, or it is of another kind.
   */
  expectPacket<Kind extends PacketKind>(kind: Kind): PacketOf<Kind> {
    this.#check();
    const [first] = this.#inbox;
    if (first === undefined || !isKind(first, kind)) throw this.#missing(kind);
    this.#inbox.shift();
    return first;
  }

  /** Takes the next packets, all of them PUBLISH, and gives their payloads as text. */
  expectPayloads(count: number): string[] {
    return Array.from({ length: count }, () => payloadText(this.expectPacket('publish').payload));
  }

  /** @throws {Error} when something came that was not taken. */
  expectNothing(): void {
    this.#check();
    if (this.#inbox.length === 0) return;
    throw new Error(`expected nothing, got ${this.#inboxText()}`);
  }

  /**
   * The connection was ended by the server. In 5.0 the DISCONNECT before it is taken, if one came.
   *
   * @returns its reason; `undefined` when it ended without a word.
   */
  expectEnd(): number | undefined {
    this.#check();
    const last = this.#inbox.at(-1);
    if (!this.#isOver) throw new Error(`expected the end, got ${this.#inboxText()}`);
    if (last?.kind !== 'disconnect') return undefined;
    this.#inbox.pop();
    return last.reason;
  }

  /** Takes all that came. */
  take(): Packet[] {
    this.#check();
    const packets = this.#inbox;
    this.#inbox = [];
    return packets;
  }

  /** Takes all that came of one kind, and leaves the rest. */
  takeKind<Kind extends PacketKind>(kind: Kind): PacketOf<Kind>[] {
    this.#check();
    const taken = this.#inbox.filter((packet) => isKind(packet, kind));
    this.#inbox = this.#inbox.filter((packet) => !isKind(packet, kind));
    return taken;
  }

  /** The next packet identifier: they are given in turn, whether or not one is still in use. */
  nextId(): number {
    this.#nextId = (this.#nextId % PACKET_ID_MAX) + 1;
    return this.#nextId;
  }

  #answer<Kind extends 'suback' | 'unsuback' | 'puback' | 'pubrec' | 'pubcomp'>(
    kind: Kind,
    packetId: number,
  ): PacketOf<Kind> {
    this.#check();
    const index = this.#inbox.findIndex(
      (packet) => packet.kind === kind && 'packetId' in packet && packet.packetId === packetId,
    );
    const packet = this.#inbox[index];
    if (packet !== undefined && isKind(packet, kind)) {
      this.#inbox.splice(index, 1);
      return packet;
    }
    throw this.#missing(`${kind} ${packetId}`);
  }

  #write(packets: readonly Packet[]): void {
    for (const packet of packets) if (packet.kind === 'connect') this.#version = packet.version;
    this.link.receive(Buffer.concat(packets.map((packet) => encode(packet, this.#version))));
  }

  #read(frame: Frame): void {
    try {
      if (typeof frame === 'string') throw new Error('MQTT is bytes, got a frame of text');
      // Made here, as CONNECT may have been sent as raw bytes.
      this.#decoder ??= new PacketDecoder({
        from: 'server',
        version: this.#version,
        packetSizeMax: this.#packetSizeMax,
      });
      // A copy: the packets are kept, and the server may write its buffer anew.
      for (const packet of this.#decoder.push(Uint8Array.from(frame))) this.#take(packet);
    } catch (error) {
      this.#fault ??= error;
    }
  }

  #take(packet: Packet): void {
    this.#received.push(packet);
    this.#inbox.push(packet);
    const answer = this.autoAck ? answerTo(packet) : undefined;
    if (answer !== undefined) this.#write([answer]);
  }

  #check(): void {
    if (this.#fault === undefined) return;
    throw new Error('the server sent what no server may send', { cause: this.#fault });
  }

  #missing(what: string): Error {
    const end = this.#isOver ? ', and the connection is over' : '';
    return new Error(`expected ${what}, got ${this.#inboxText()}${end}`);
  }

  #inboxText(): string {
    return this.#inbox.length === 0 ? 'nothing' : this.#inbox.map(packetText).join(', ');
  }
}

/** What a client that does nothing wrong answers at once; `undefined` when nothing. */
export function answerTo(packet: Packet): Packet | undefined {
  switch (packet.kind) {
    case 'publish':
      if (packet.qos === 0) return undefined;
      return ackPacket(packet.qos === 1 ? 'puback' : 'pubrec', packet.packetId);
    case 'pubrec':
      return packet.reason < 0x80 ? ackPacket('pubrel', packet.packetId) : undefined;
    case 'pubrel':
      return ackPacket('pubcomp', packet.packetId);
    default:
      return undefined;
  }
}

/** A packet in a few words, for messages about it. */
export function packetText(packet: Packet): string {
  switch (packet.kind) {
    case 'publish': {
      const { topic, qos, packetId, dup, retain } = packet;
      const id = qos === 0 ? '' : ` #${packetId}`;
      return `publish ${topic} q${qos}${id}${dup ? ' dup' : ''}${retain ? ' retained' : ''}`;
    }
    case 'connack':
      return `connack ${hex(packet.reason)}${packet.sessionPresent ? ' session present' : ''}`;
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return `${packet.kind} #${packet.packetId} ${hex(packet.reason)}`;
    case 'subscribe':
    case 'unsubscribe':
    case 'suback':
    case 'unsuback':
      return `${packet.kind} #${packet.packetId}`;
    case 'disconnect':
    case 'auth':
      return `${packet.kind} ${hex(packet.reason)}`;
    default:
      return packet.kind;
  }
}

/** The text of a payload. */
export function payloadText(payload: Uint8Array): string {
  return new TextDecoder().decode(payload);
}

function hex(reason: number): string {
  return `0x${reason.toString(16).padStart(2, '0')}`;
}

function isKind<Kind extends PacketKind>(packet: Packet, kind: Kind): packet is PacketOf<Kind> {
  return packet.kind === kind;
}

function isList<Item>(one: Item | readonly Item[]): one is readonly Item[] {
  return Array.isArray(one);
}
