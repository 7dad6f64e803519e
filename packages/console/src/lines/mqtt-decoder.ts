/**
 * MqttDecoder: the packets of a server of MQTT 5.0 to a reader, out of frames in any cut. Where a frame
 * ends means nothing (RFC 6455 carries bytes here): a packet may go on in the next one.
 */
import { decodeUtf8 } from '@trunkline/wire';

/** What a packet says beside what it is for: of its properties those that the page looks at. */
export interface Told {
  /** In words for people. */
  readonly reasonText?: string;
  readonly contentType?: string;
  /** What the server asks for instead of the client's own. */
  readonly keepAliveSeconds?: number;
  readonly userProperties: readonly (readonly [name: string, value: string])[];
}

/** A message that was published. */
export interface Published {
  readonly kind: 'publish';
  readonly topic: string;
  /** A copy. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** 0 with QoS 0, which is not acknowledged. */
  readonly packetId: number;
  readonly told: Told;
}

/** A packet of the server. */
export type FromServer =
  | Published
  | {
      readonly kind: 'connack';
      readonly sessionPresent: boolean;
      readonly reason: number;
      readonly told: Told;
    }
  | { readonly kind: 'suback'; readonly reasons: readonly number[]; readonly told: Told }
  | { readonly kind: 'disconnect'; readonly reason: number; readonly told: Told }
  | { readonly kind: 'pingresp' };

/** The largest packet that is taken, its head included. */
export const PACKET_SIZE_MAX = 16 * 1024 * 1024;

const VARINT_SIZE_MAX = 4;

/** The receiving half of one connection. */
export class MqttDecoder {
  #kept = new Uint8Array(0);

  /** @returns the packets that are complete. @throws {RangeError} when it is none of this protocol. */
  push(chunk: Uint8Array): FromServer[] {
    const bytes = new Uint8Array(this.#kept.length + chunk.length);
    bytes.set(this.#kept);
    bytes.set(chunk, this.#kept.length);
    const packets: FromServer[] = [];
    let start = 0;
    for (;;) {
      const head = readHead(bytes, start);
      if (head === undefined || head.end > bytes.length) break;
      const body = new Body(bytes.subarray(head.bodyAt, head.end));
      packets.push(readPacket(bytes[start] ?? 0, body));
      start = head.end;
    }
    this.#kept = bytes.slice(start);
    return packets;
  }
}

/** Where a packet's body begins and ends; `undefined` until its size is known. */
function readHead(bytes: Uint8Array, start: number) {
  let size = 0;
  for (let index = 0; index < VARINT_SIZE_MAX; index += 1) {
    const at = start + 1 + index;
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    size += (byte & 0x7f) * 0x80 ** index;
    if (byte >= 0x80) continue;
    const end = at + 1 + size;
    if (end - start > PACKET_SIZE_MAX) throw new RangeError(`a packet of ${end - start} bytes`);
    return { bodyAt: at + 1, end };
  }
  throw new RangeError('a packet without a size');
}

function readPacket(head: number, body: Body): FromServer {
  switch (head >>> 4) {
    case 2: {
      const sessionPresent = body.byte() === 1;
      return { kind: 'connack', sessionPresent, reason: body.byte(), told: body.told() };
    }
    case 3:
      return readPublish((head >>> 1) & 3, body);
    case 9: {
      body.twoBytes();
      const told = body.told();
      return { kind: 'suback', reasons: [...body.rest()], told };
    }
    case 13:
      return { kind: 'pingresp' };
    case 14: {
      // Both may be left out (§3.14.2.1, §3.14.2.2.1).
      const reason = body.isDone ? 0 : body.byte();
      const told = body.isDone ? { userProperties: [] } : body.told();
      return { kind: 'disconnect', reason, told };
    }
    default:
      throw new RangeError(`a packet of the kind ${head >>> 4}, which nobody asked for`);
  }
}

function readPublish(qos: number, body: Body): Published {
  const topic = body.text();
  if (qos > 1) throw new RangeError(`a message with QoS ${qos}, 1 was granted`);
  const packetId = qos === 0 ? 0 : body.twoBytes();
  const told = body.told();
  return { kind: 'publish', topic, packetId, told, payload: body.rest().slice() };
}

/** The body of a packet, from front to back. Every method throws a RangeError where it ends. */
class Body {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isDone(): boolean {
    return this.#at === this.#bytes.length;
  }

  byte(): number {
    return this.#take(1)[0] ?? 0;
  }

  twoBytes(): number {
    return this.byte() * 0x100 + this.byte();
  }

  varint(): number {
    let value = 0;
    for (let index = 0; index < VARINT_SIZE_MAX; index += 1) {
      const byte = this.byte();
      value += (byte & 0x7f) * 0x80 ** index;
      if (byte < 0x80) return value;
    }
    throw new RangeError('a number of more than four bytes');
  }

  text(): string {
    const text = decodeUtf8(this.#take(this.twoBytes()));
    if (text === undefined) throw new RangeError('a text that is no UTF-8');
    return text;
  }

  rest(): Uint8Array {
    return this.#take(this.#bytes.length - this.#at);
  }

  /** The properties behind their size (§2.2.2). */
  told(): Told {
    const body = new Body(this.#take(this.varint()));
    let told: Told = { userProperties: [] };
    while (!body.isDone) told = body.#property(told);
    return told;
  }

  /** One more property; what the page does not look at is read over. */
  #property(told: Told): Told {
    const id = this.varint();
    switch (id) {
      case 0x03:
        return { ...told, contentType: this.text() };
      case 0x13:
        return { ...told, keepAliveSeconds: this.twoBytes() };
      case 0x1f:
        return { ...told, reasonText: this.text() };
      case 0x26:
        return {
          ...told,
          userProperties: [...told.userProperties, [this.text(), this.text()]],
        };
      // Texts and bytes behind their size: response topic, assigned identifier, and others.
      case 0x08:
      case 0x09:
      case 0x12:
      case 0x15:
      case 0x16:
      case 0x1a:
      case 0x1c:
        this.#take(this.twoBytes());
        return told;
      case 0x0b:
        this.varint();
        return told;
      default:
        this.#take(sizeOf(id));
        return told;
    }
  }

  #take(size: number): Uint8Array {
    const start = this.#at;
    if (size > this.#bytes.length - start) throw new RangeError('a packet that is cut off');
    this.#at = start + size;
    return this.#bytes.subarray(start, this.#at);
  }
}

/** Properties that are numbers, by their size in bytes. */
const SIZES: ReadonlyMap<number, number> = new Map([
  ...[0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a].map((id) => [id, 1] as const),
  ...[0x21, 0x22, 0x23].map((id) => [id, 2] as const),
  ...[0x02, 0x11, 0x18, 0x27].map((id) => [id, 4] as const),
]);

function sizeOf(id: number): number {
  const size = SIZES.get(id);
  if (size === undefined) throw new RangeError(`a property ${id}, which MQTT does not know`);
  return size;
}
