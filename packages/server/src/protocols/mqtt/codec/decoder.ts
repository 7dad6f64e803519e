/**
 * PacketDecoder: bytes in any cut, packets out. Strict in all that both specifications ask for,
 * without clock or sockets.
 *
 * What comes out depends on the bytes alone, never on how they were cut into chunks. A header is
 * judged as its bytes come: a packet that may not come, or is too large, is refused before its body.
 */
import { decodeBody } from './decode.ts';
import { fail } from './faults.ts';
import { checkLength, HEAD_SIZE_MAX, readKind } from './head.ts';
import type { HeadRules } from './head.ts';
import type { Packet, PacketKind, Side, Version } from './packets.ts';
import { Reader, VARINT_SIZE_MAX } from './reader.ts';

/** What a decoder lets through. */
export type DecoderOptions = {
  /** Bytes that a packet may have, its header included: the `Maximum Packet Size` of 5.0. */
  readonly packetSizeMax: number;
} & (
  | {
      /** Who sends: the client, unless told otherwise. */
      readonly from?: 'client';
      /** Given when CONNECT was read elsewhere; none may come then. */
      readonly version?: Version;
    }
  | { readonly from: 'server'; readonly version: Version }
);

/** `reading`: the packets of a chunk are being taken. `over`: nothing is read any more. */
type State = 'waiting' | 'reading' | 'over';

/** The smallest buffer for the body of a packet that comes in pieces, unless the packet is smaller. */
const KEPT_SIZE_MIN = 256;

const NOTHING = Buffer.alloc(0);

/** The receiving half of one MQTT connection. */
export class PacketDecoder {
  readonly #from: Side;
  readonly #reader: Reader;
  #state: State = 'waiting';
  #rules: HeadRules;
  // The head under way, byte by byte; the body follows once its length is known.
  #headSize = 0;
  #kind: PacketKind = 'connect';
  #flags = 0;
  #length = 0;
  #inBody = false;
  /** What has come of a body that does not lie in one chunk. */
  #kept = NOTHING;
  #keptSize = 0;

  /** @throws {RangeError} when not even a header fits `packetSizeMax`. */
  constructor(options: DecoderOptions) {
    const { packetSizeMax, from = 'client', version } = options;
    if (!(packetSizeMax >= HEAD_SIZE_MAX)) {
      throw new RangeError(`packetSizeMax must be at least ${HEAD_SIZE_MAX}, got ${packetSizeMax}`);
    }
    this.#from = from;
    this.#reader = new Reader(version);
    this.#rules = { packetSizeMax, from, version };
  }

  /**
   * The version to answer in, known from the level in CONNECT on, however that CONNECT ends: one of
   * a level that is not served, too. `undefined` before, and when it is no MQTT at all.
   */
  get version(): Version | undefined {
    return this.#reader.version;
  }

  /** Bytes of memory held for a packet that has begun and is not complete. */
  get bufferedBytes(): number {
    return this.#kept.length;
  }

  /** True between packets: nothing has begun that is not complete. */
  get isIdle(): boolean {
    return this.#headSize === 0;
  }

  /**
   * Reads a chunk while its packets are taken, each when it is asked for. A packet that lies in the
   * chunk is not copied: its payload and other bytes are views of it.
   *
   * All packets are taken before the next chunk is pushed; who breaks off, as after an error, has
   * ended the decoder, and whatever is pushed then is dropped.
   *
   * @throws {MqttError} in place of a packet that breaks the protocol, after those before it.
   */
  *push(bytes: Uint8Array): Generator<Packet, void, undefined> {
    if (this.#state === 'over') return;
    if (this.#state === 'reading') {
      throw new Error('the packets of the last chunk are not all taken');
    }
    this.#state = 'reading';
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let isWhole = false;
    try {
      yield* this.#packets(chunk);
      isWhole = true;
    } finally {
      this.#state = isWhole ? 'waiting' : 'over';
      // Between chunks nothing holds the memory of the last one.
      this.#reader.release();
      if (!isWhole) this.#drop();
    }
  }

  *#packets(chunk: Buffer): Generator<Packet, void, undefined> {
    for (let at = 0; ; ) {
      while (!this.#inBody) {
        if (at === chunk.length) return;
        this.#readHead(chunk[at] ?? 0);
        at += 1;
      }
      const take = Math.min(this.#length - this.#keptSize, chunk.length - at);
      if (take === this.#length) this.#reader.open(chunk, at, at + take);
      else {
        this.#keep(chunk, at, take);
        if (this.#keptSize < this.#length) return;
        this.#reader.open(this.#kept, 0, this.#length);
      }
      at += take;
      const packet = this.#readBody();
      this.#drop();
      yield packet;
    }
  }

  #readHead(byte: number): void {
    if (this.#headSize === 0) {
      this.#kind = readKind(byte, this.#rules);
      this.#flags = byte & 0x0f;
      this.#headSize = 1;
      return;
    }
    this.#length += (byte & 0x7f) << (7 * (this.#headSize - 1));
    this.#headSize += 1;
    if (byte >= 0x80) {
      if (this.#headSize < HEAD_SIZE_MAX) return;
      const message = `the remaining length must take at most ${VARINT_SIZE_MAX} bytes`;
      fail(this.version, 'longVarint', message);
    }
    if (byte === 0 && this.#headSize > 2) {
      fail(this.version, 'paddedVarint', 'the remaining length must take no byte too many');
    }
    const head = { kind: this.#kind, headSize: this.#headSize, length: this.#length };
    checkLength(head, this.#rules);
    this.#inBody = true;
  }

  #readBody(): Packet {
    const reader = this.#reader;
    const packet = decodeBody(this.#kind, this.#flags, reader, this.#from);
    if (reader.left > 0) {
      reader.fail('trailing', `expected the end of the ${packet.kind}, got ${reader.left} bytes`);
    }
    if (packet.kind === 'connect') this.#rules = { ...this.#rules, version: packet.version };
    return packet;
  }

  /** Grows with what has come, not with what was announced. */
  #keep(chunk: Buffer, at: number, size: number): void {
    if (size === 0) return;
    const needed = this.#keptSize + size;
    if (needed > this.#kept.length) {
      const room = Math.max(KEPT_SIZE_MIN, needed, this.#kept.length * 2);
      // Not from the shared pool, which a slow peer would keep alive.
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#length, room));
      grown.set(this.#kept.subarray(0, this.#keptSize));
      this.#kept = grown;
    }
    chunk.copy(this.#kept, this.#keptSize, at, at + size);
    this.#keptSize = needed;
  }

  /** Makes ready for the next packet. What was kept may live on in the packet it held. */
  #drop(): void {
    this.#headSize = 0;
    this.#length = 0;
    this.#inBody = false;
    this.#kept = NOTHING;
    this.#keptSize = 0;
  }
}
