/**
 * ClientSession: what a correct MQTT client keeps of its session over all its connections, and the
 * rules by which it sends, answers and sends again (3.1.1 and 5.0 §4.1, §4.3, §4.4, §4.6).
 *
 * It is a judge too: what the server says of a packet identifier must fit what it knows of it. It
 * sends nothing; it gives out what is to be sent.
 */
import type {
  Packet,
  Publish,
  Qos,
  Version,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { ackPacket, publishPacket } from '../mqtt/packet-makers.ts';
import { MQTT_CHANNELS } from './surroundings.ts';

/** A message that its application wants to be published. */
export interface Saying {
  /** Its name, which is in the payload. */
  readonly name: string;
  readonly channel: string;
  readonly bytes: Uint8Array;
  readonly qos: Qos;
}

/** A message on its way to the server. */
interface Outbound {
  readonly packetId: number;
  readonly saying: Saying;
  stage: 'publish' | 'pubrel';
  /** True once it was sent on this connection. */
  isSentHere: boolean;
}

/**
 * A message on its way from the server.
 *
 * - `due`: PUBACK or PUBREC has not left. - `answered`: PUBREC has left. - `released`: PUBREL came,
 * PUBCOMP has not left.
 */
interface Inbound {
  readonly packetId: number;
  readonly qos: 1 | 2;
  readonly packet: Publish;
  /** On which connection it came last, and as the how-manieth there. */
  seen: { readonly connection: number; readonly order: number };
  state: 'due' | 'answered' | 'released';
  /** True once it came, or came again, on this connection. */
  isHere: boolean;
  /** True when a server that was killed may know nothing of it. */
  mayBeForgotten: boolean;
}

/** What is to be done about a packet. */
export interface Reaction {
  /** A packet that may not come; what, and against which clause. */
  readonly misconduct?: string;
  /** A message for the application. */
  readonly deliver?: Publish;
  /** To be sent, after the answers before it. */
  readonly answer?: Answer;
}

/** An acknowledgement that waits to be sent. */
export type Answer = Extract<Packet, { readonly kind: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp' }>;

/** What became of a message that was published. */
export interface Outcome extends Reaction {
  readonly saying?: Saying;
  /** True when the server has it, and false when it refuses it. */
  readonly isTaken?: boolean;
}

const PACKET_ID_MAX = 0xffff;

/** One session, as its client knows it. */
export class ClientSession {
  /** Names it in the history. */
  readonly name: string;
  readonly #version: Version;
  readonly #mayLose: (channel: string) => boolean;
  /** In the order in which they were sent first. */
  readonly #outbound = new Map<number, Outbound>();
  readonly #inbound = new Map<number, Inbound>();
  /** Identifiers of SUBSCRIBE and UNSUBSCRIBE that are not answered. */
  readonly #asked = new Set<number>();
  /** Inbound identifiers that came to their end, on this connection or on an earlier one. */
  readonly #completed = new Map<number, 'here' | 'before'>();
  /** Identifiers of PUBRECs sent on this connection, whose PUBREL has not come. */
  #recs: number[] = [];
  #nextId = 0;
  #connection = 0;
  #order = 0;
  /** Of what came again on this connection: how far in each connection it came on before. */
  readonly #again = new Map<number, number>();
  #receiveMaximum = 0;

  /** @param mayLose where retention may take what was sent and not acknowledged. */
  constructor(name: string, version: Version, mayLose: (channel: string) => boolean) {
    this.name = name;
    this.#version = version;
    this.#mayLose = mayLose;
  }

  /** Messages on their way to the server. */
  get sendingCount(): number {
    return this.#outbound.size;
  }

  /** Messages of the server that are not at their end. */
  get receivingCount(): number {
    return this.#inbound.size;
  }

  /**
   * What is under way in either direction, in words, but for what a server need not bring to its end:
   * it was killed, or the message is gone.
   */
  get underWay(): string[] {
    const sending = [...this.#outbound.values()];
    const receiving = [...this.#inbound.values()].filter(
      ({ isHere, mayBeForgotten, packet }) =>
        isHere || !(mayBeForgotten || this.#mayLose(packet.topic)),
    );
    return [
      ...sending.map(({ saying, stage, packetId }) => `${saying.name} #${packetId} at ${stage}`),
      ...receiving.map(({ packetId, qos, state }) => `#${packetId} of QoS ${qos}, ${state}`),
    ];
  }

  /**
   * The session goes on over a new connection.
   *
   * @param receiveMaximum messages that the client takes at once.
   * @returns what is to be sent again, in its order ([MQTT-4.4.0-1], [MQTT-4.6.0-1]).
   */
  connect(receiveMaximum: number): Packet[] {
    this.#receiveMaximum = receiveMaximum;
    this.#asked.clear();
    this.#recs = [];
    this.#again.clear();
    this.#connection += 1;
    for (const id of this.#completed.keys()) this.#completed.set(id, 'before');
    for (const one of this.#inbound.values()) one.isHere = false;
    return [...this.#outbound.values()].map((one) => {
      one.isSentHere = true;
      if (one.stage === 'pubrel') return ackPacket('pubrel', one.packetId);
      return toPacket(one.saying, one.packetId, true);
    });
  }

  /**
   * The server's process was killed. It may have forgotten messages of QoS 1 that it sent: then they
   * come again as if they were new. Of QoS 2 it may not.
   */
  noteCrash(): void {
    for (const one of this.#inbound.values()) if (one.qos === 1) one.mayBeForgotten = true;
  }

  /** The PUBLISH of something new. */
  publish(saying: Saying): Packet {
    if (saying.qos === 0) return toPacket(saying, 0, false);
    const packetId = this.#freeId();
    this.#outbound.set(packetId, { packetId, saying, stage: 'publish', isSentHere: true });
    return toPacket(saying, packetId, false);
  }

  /** An identifier for SUBSCRIBE or UNSUBSCRIBE. */
  ask(): number {
    const packetId = this.#freeId();
    this.#asked.add(packetId);
    return packetId;
  }

  /** SUBACK or UNSUBACK came. @returns what is wrong with it. */
  onAnswered(kind: string, packetId: number): string | undefined {
    if (this.#asked.delete(packetId)) return undefined;
    return `${kind} #${packetId}, which nobody asked for [MQTT-3.8.4-2]`;
  }

  /** PUBACK came. */
  onPuback(packetId: number, reason: number): Outcome {
    const sent = this.#outbound.get(packetId);
    if (sent === undefined || sent.saying.qos !== 1 || !sent.isSentHere) {
      return { misconduct: `PUBACK #${packetId} for nothing that was sent with QoS 1` };
    }
    const first = [...this.#outbound.values()].find(({ saying }) => saying.qos === 1);
    this.#outbound.delete(packetId);
    return {
      saying: sent.saying,
      isTaken: reason < 0x80,
      ...(first === sent
        ? {}
        : { misconduct: `PUBACK #${packetId} before that of #${first?.packetId} [MQTT-4.6.0-2]` }),
    };
  }

  /** PUBREC came. */
  onPubrec(packetId: number, reason: number): Outcome {
    const sent = this.#outbound.get(packetId);
    if (sent?.saying.qos !== 2 || sent.stage !== 'publish' || !sent.isSentHere) {
      return { misconduct: `PUBREC #${packetId} for nothing that was sent with QoS 2` };
    }
    const first = [...this.#outbound.values()].find(
      ({ saying, stage }) => saying.qos === 2 && stage === 'publish',
    );
    const isTaken = reason < 0x80;
    if (isTaken) sent.stage = 'pubrel';
    else this.#outbound.delete(packetId);
    return {
      saying: sent.saying,
      isTaken,
      ...(isTaken ? { answer: ackPacket('pubrel', packetId) } : {}),
      ...(first === sent
        ? {}
        : { misconduct: `PUBREC #${packetId} before that of #${first?.packetId} [MQTT-4.6.0-3]` }),
    };
  }

  /** PUBCOMP came. */
  onPubcomp(packetId: number): Reaction {
    const sent = this.#outbound.get(packetId);
    if (sent?.stage !== 'pubrel') return { misconduct: `PUBCOMP #${packetId} without a PUBREL` };
    this.#outbound.delete(packetId);
    return {};
  }

  /** A message came. */
  onPublish(packet: Publish): Reaction {
    const { qos, packetId } = packet;
    if (qos === 0) return { deliver: packet };
    const known = this.#inbound.get(packetId);
    if (known !== undefined && !this.#isReplaced(known, packet))
      return this.#onAgain(known, packet);
    this.#completed.delete(packetId);
    const seen = this.#see();
    const one: Inbound = {
      ...{ packetId, qos, packet, seen, state: 'due', isHere: true, mayBeForgotten: false },
    };
    this.#inbound.set(packetId, one);
    return { deliver: packet, answer: answerOf(one), ...this.#overflow() };
  }

  /** PUBREL came. */
  onPubrel(packetId: number): Reaction {
    const known = this.#inbound.get(packetId);
    // The identifier of what a server has forgotten may be that of a message that never came.
    const isStray = known === undefined || (known.qos === 1 && this.#isForgotten(known));
    if (isStray) {
      this.#inbound.delete(packetId);
      return this.#onStrayPubrel(packetId);
    }
    const { qos, state, isHere, packet } = known;
    // A message that is gone can't be sent again: then PUBREL alone brings it to its end.
    const isGone = state === 'due' && this.#mayLose(packet.topic);
    const mayCome = state === 'answered' || (!isHere && (state === 'released' || isGone));
    if (qos !== 2 || !mayCome) {
      return { misconduct: `PUBREL #${packetId} of a message of QoS ${qos}, ${state}` };
    }
    known.state = 'released';
    known.isHere = true;
    const place = this.#recs.indexOf(packetId);
    if (place >= 0) this.#recs.splice(place, 1);
    const answer = ackPacket('pubcomp', packetId);
    if (place <= 0) return { answer };
    const early = `PUBREL #${packetId} before that of #${this.#recs[0]} [MQTT-4.6.0-4]`;
    return { answer, misconduct: early };
  }

  /** An answer leaves now. */
  onSent({ kind, packetId }: Answer): void {
    const known = this.#inbound.get(packetId);
    if (known === undefined || kind === 'pubrel') return;
    if (kind === 'pubrec') {
      known.state = 'answered';
      this.#recs.push(packetId);
      return;
    }
    this.#inbound.delete(packetId);
    if (kind === 'pubcomp') this.#completed.set(packetId, 'here');
  }

  /** PUBREL for what came to its end before, or for a message that is gone and never came. */
  #onStrayPubrel(packetId: number): Reaction {
    const completed = this.#completed.get(packetId);
    if (completed === 'here') {
      return { misconduct: `PUBREL #${packetId} of an exchange that is over` };
    }
    if (completed === undefined && !MQTT_CHANNELS.some(this.#mayLose)) {
      return { misconduct: `PUBREL #${packetId} of an exchange that was never begun` };
    }
    this.#completed.set(packetId, 'here');
    return { answer: ackPacket('pubcomp', packetId, this.#version === 5 ? 0x92 : 0) };
  }

  /** A packet identifier came that is in use: the same message again, or a fault. */
  #onAgain(known: Inbound, packet: Publish): Reaction {
    const { packetId, qos, dup } = packet;
    const what = `PUBLISH #${packetId}`;
    if (known.isHere || !isSame(known, packet)) {
      return { misconduct: `${what} with an identifier in use [MQTT-2.2.1-4]` };
    }
    if (known.state === 'released') {
      return { misconduct: `${what} again, after its PUBREL [MQTT-4.3.3-6]` };
    }
    const { connection, order } = known.seen;
    // Only what came on one connection before has an order that is known.
    const isEarly = order < (this.#again.get(connection) ?? 0);
    this.#again.set(connection, order);
    const faults = [
      ...(isEarly ? [`${what} after later ones [MQTT-4.6.0-1]`] : []),
      ...(dup || known.mayBeForgotten ? [] : [`${what} again without DUP [MQTT-3.3.1-1]`]),
    ];
    Object.assign(known, { seen: this.#see(), isHere: true, state: 'due' });
    return {
      // Exactly once: what came with QoS 2 is the application's already ([MQTT-4.3.3-10]).
      ...(qos === 1 ? { deliver: packet } : {}),
      answer: answerOf(known),
      ...this.#overflow(),
      ...(faults.length === 0 ? {} : { misconduct: faults.join(', ') }),
    };
  }

  /** Of what a server has forgotten, or can't send again, it does not know that it is in use. */
  #isReplaced(known: Inbound, packet: Publish): boolean {
    return this.#isForgotten(known) && !isSame(known, packet);
  }

  #isForgotten({ qos, packet, isHere, mayBeForgotten }: Inbound): boolean {
    return !isHere && (mayBeForgotten || (qos === 1 && this.#mayLose(packet.topic)));
  }

  #see(): Inbound['seen'] {
    this.#order += 1;
    return { connection: this.#connection, order: this.#order };
  }

  #overflow(): { misconduct?: string } {
    const count = [...this.#inbound.values()].filter(({ isHere }) => isHere).length;
    if (count <= this.#receiveMaximum) return {};
    return { misconduct: `${count} messages at once, over ${this.#receiveMaximum} [MQTT-3.3.4-9]` };
  }

  #freeId(): number {
    do {
      this.#nextId = (this.#nextId % PACKET_ID_MAX) + 1;
    } while (this.#outbound.has(this.#nextId) || this.#asked.has(this.#nextId));
    return this.#nextId;
  }
}

function toPacket({ channel, bytes, qos }: Saying, packetId: number, dup: boolean): Packet {
  return publishPacket(channel, bytes, { qos, packetId, dup });
}

function isSame(known: Inbound, { topic, qos, payload }: Publish): boolean {
  const { packet } = known;
  if (packet.topic !== topic || known.qos !== qos) return false;
  return Buffer.compare(packet.payload, payload) === 0;
}

function answerOf({ packetId, qos }: Inbound): Answer {
  return ackPacket(qos === 1 ? 'puback' : 'pubrec', packetId);
}
