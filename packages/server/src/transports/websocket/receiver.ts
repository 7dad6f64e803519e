/**
 * Receiver: bytes in, WebSocket messages out (RFC 6455 §5). A loop over a named state, without
 * sockets or time, for either end of a connection over any version of HTTP.
 *
 * What comes out depends on the bytes alone, never on how they were cut into chunks. Every limit
 * is checked before memory is taken, and between messages a receiver holds no buffer.
 */
import { isUtf8 } from 'node:buffer';
import type { Frame } from '../../link/link.ts';
import { applyMask, CONTROL_PAYLOAD_SIZE_MAX, OPCODES } from './frames.ts';
import { incompleteTailSize } from './utf8.ts';

/** What a receiver lets through. One object serves all receivers of a kind. */
export interface ReceiverRules {
  /** True when the peer is a client, which must mask; false for a server, which must not. */
  readonly peerMasks: boolean;
  readonly frameBytesMax: number;
  readonly messageBytesMax: number;
  readonly fragmentsMax: number;
  /** True where text is not spoken: a frame of it fails with 1003. */
  readonly binaryOnly?: boolean;
  /** Reads compressed messages; absent where no compression was agreed on. */
  readonly inflater?: Inflater;
}

/** Turns the payload of a compressed message into the message (RFC 7692 §7.2.2). */
export interface Inflater {
  /**
   * Called in the order of the messages.
   *
   * @param sizeMax bytes that may come out; no more than a chunk beyond is ever held.
   * @throws {ProtocolError} 1009 when more would come out, 1007 when it is not deflated data.
   */
  inflate(payload: Uint8Array, sizeMax: number): Buffer;
}

/** Who is told what came. Calls come in the order of the frames, from inside `push`. */
export interface FrameSink {
  /** True once messages are of no use any more: compressed ones are passed over then, for good. */
  readonly isDeaf: boolean;
  /**
   * A whole message: text as a string, else bytes, which may be a view of the chunk: who keeps
   * them for long copies them. False stops the receiver before the next frame.
   */
  onMessage(message: Frame): boolean;
  /** `payload` is valid during the call only; the same for `onPong`. */
  onPing(payload: Uint8Array): void;
  onPong(payload: Uint8Array): void;
  /** The last call. `code` is `undefined` when the close frame was empty. */
  onClose(code: number | undefined, reason: string): void;
}

/** The close codes for a peer that breaks the protocol (RFC 6455 §7.4.1). */
export type FaultCode = 1002 | 1003 | 1007 | 1009;

/** The peer broke RFC 6455 or a limit; the message is a fixed phrase fit for a close frame. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly closeCode: FaultCode;

  constructor(closeCode: FaultCode, message: string) {
    super(message);
    this.closeCode = closeCode;
  }
}

/** What the next byte belongs to. After a close frame or a fault nothing is read any more. */
type State = 'flags' | 'length' | 'length16' | 'length64' | 'mask' | 'payload' | 'over';

/** A message that came in pieces so far: fragments, or chunks of one frame. */
interface PartialMessage {
  readonly text: boolean;
  readonly compressed: boolean;
  /** Grows with what has come, not with what was announced. */
  buffer: Buffer;
  size: number;
  /** Text up to here is valid UTF-8; compressed text is checked when it is inflated. */
  checkedSize: number;
  fragments: number;
}

const FIN = 0x80;
const RESERVED_BITS = 0x70;
/** RSV1: the message is compressed (RFC 7692 §6). */
const COMPRESSED = 0x40;
const OPCODE_BITS = 0x0f;
const MASKED = 0x80;
const LENGTH_BITS = 0x7f;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const CONTROL_BIT = 0x08;
/** The first buffer of a partial message, unless the message is known to be smaller. */
const BUFFER_SIZE_MIN = 1024;

/** The receiving half of one WebSocket. */
export class Receiver {
  readonly #rules: ReceiverRules;
  #state: State = 'flags';
  // The frame under way.
  #flags = 0;
  #length = 0;
  #mask = 0;
  #receivedBytes = 0;
  /** Bytes that the length or the mask under way still needs. */
  #missing = 0;
  #control: Buffer | undefined;
  #partial: PartialMessage | undefined;

  constructor(rules: ReceiverRules) {
    this.#rules = rules;
  }

  /** True between messages: nothing has begun that is not complete. */
  get isIdle(): boolean {
    return this.#state === 'flags' && this.#partial === undefined;
  }

  /**
   * Reads a chunk, whose bytes the receiver may change and hand on.
   *
   * @returns how many bytes were read: all of them unless `onMessage` said to stop, then those up
   *   to the next frame. The rest is to be pushed later.
   * @throws {ProtocolError} after which, as after a close frame, whatever is pushed is dropped.
   */
  push(chunk: Buffer, sink: FrameSink): number {
    let at = 0;
    while (this.#state !== 'over') {
      if (this.#state !== 'payload') {
        if (at === chunk.length) return at;
        this.#readHead(chunk[at] ?? 0);
        at += 1;
        continue;
      }
      // An empty payload is complete with its head; any other waits for its first byte.
      if (at === chunk.length && this.#length > 0) return at;
      const end = Math.min(chunk.length, at + this.#length - this.#receivedBytes);
      const goOn = this.#readPayload(chunk, at, end, sink);
      at = end;
      if (!goOn) return at;
    }
    return chunk.length;
  }

  #readHead(byte: number): void {
    switch (this.#state) {
      case 'flags':
        this.#checkFlags(byte);
        this.#flags = byte;
        this.#state = 'length';
        return;
      case 'length':
        this.#readLength(byte);
        return;
      case 'length16':
      case 'length64':
        this.#readLongLength(byte);
        return;
      case 'mask':
        this.#mask = (this.#mask << 8) | byte;
        this.#missing -= 1;
        if (this.#missing === 0) this.#state = 'payload';
        return;
      default:
        return;
    }
  }

  #checkFlags(flags: number): void {
    const opcode = flags & OPCODE_BITS;
    // RFC 6455 §5.2: bits that no negotiated extension uses are zero. RFC 7692 §6: RSV1 stands on
    // the first frame of a message and nowhere else.
    const mayBeCompressed =
      this.#rules.inflater !== undefined && (opcode === OPCODES.text || opcode === OPCODES.binary);
    const allowed = mayBeCompressed ? COMPRESSED : 0;
    if ((flags & RESERVED_BITS & ~allowed) !== 0) this.#fail(1002, 'a reserved bit is set');
    const fin = (flags & FIN) !== 0;
    switch (opcode) {
      case OPCODES.continuation:
        if (this.#partial === undefined) this.#fail(1002, 'continuation without a message');
        return;
      case OPCODES.text:
      case OPCODES.binary:
        if (this.#partial !== undefined) this.#fail(1002, 'new message inside a fragmented one');
        if (opcode === OPCODES.text && this.#rules.binaryOnly === true) {
          this.#fail(1003, 'text where only binary messages are spoken');
        }
        return;
      case OPCODES.close:
      case OPCODES.ping:
      case OPCODES.pong:
        // RFC 6455 §5.5.
        if (!fin) this.#fail(1002, 'fragmented control frame');
        return;
      default:
        this.#fail(1002, 'reserved opcode');
    }
  }

  #readLength(byte: number): void {
    if (((byte & MASKED) !== 0) !== this.#rules.peerMasks) {
      // RFC 6455 §5.1.
      this.#fail(1002, this.#rules.peerMasks ? 'frame without a mask' : 'masked frame');
    }
    const length = byte & LENGTH_BITS;
    if (this.#isControl && length > CONTROL_PAYLOAD_SIZE_MAX) {
      this.#fail(1002, 'control frame over 125 bytes');
    }
    this.#length = 0;
    if (length === LENGTH_16) {
      this.#state = 'length16';
      this.#missing = 2;
    } else if (length === LENGTH_64) {
      this.#state = 'length64';
      this.#missing = 8;
    } else {
      this.#length = length;
      this.#endLength();
    }
  }

  #readLongLength(byte: number): void {
    // RFC 6455 §5.2: the most significant bit of a 64-bit length is zero.
    if (this.#missing === 8 && byte > 0x7f) this.#fail(1002, 'length over 63 bits');
    // Beyond 2^53 the number is not exact, but still beyond every limit.
    this.#length = this.#length * 256 + byte;
    this.#missing -= 1;
    if (this.#missing > 0) return;
    // RFC 6455 §5.2: the shortest form is the only valid one.
    const shortest = this.#state === 'length16' ? LENGTH_16 : 0x10000;
    if (this.#length < shortest) this.#fail(1002, 'length not in its shortest form');
    this.#endLength();
  }

  /** The length is known: nothing of the payload has been taken in yet. */
  #endLength(): void {
    const { frameBytesMax, messageBytesMax, fragmentsMax, peerMasks } = this.#rules;
    if (!this.#isControl) {
      if (this.#length > frameBytesMax) this.#fail(1009, 'frame over the size limit');
      const partial = this.#partial;
      if ((partial?.size ?? 0) + this.#length > messageBytesMax) {
        this.#fail(1009, 'message over the size limit');
      }
      if (partial !== undefined) partial.fragments += 1;
      else if ((this.#flags & FIN) === 0) this.#partial = this.#newPartial();
      if ((this.#partial?.fragments ?? 0) > fragmentsMax) {
        this.#fail(1009, 'message of too many fragments');
      }
    }
    this.#receivedBytes = 0;
    this.#mask = 0;
    this.#missing = 4;
    this.#state = peerMasks ? 'mask' : 'payload';
  }

  /** Reads what the chunk has of the payload; false when there is nothing more to do with it. */
  #readPayload(chunk: Buffer, start: number, end: number, sink: FrameSink): boolean {
    const isWhole = end - start === this.#length;
    const isLast = this.#receivedBytes + end - start === this.#length;
    // Control frames may stand between the fragments of a message (RFC 6455 §5.4).
    if (this.#isControl) return this.#readControl(chunk, start, end, sink);
    if (isWhole && this.#partial === undefined) {
      this.#unmask(chunk, start, end);
      this.#endFrame();
      if (this.#isCompressed) {
        return this.#readCompressed(chunk.subarray(start, end), this.#isText, sink);
      }
      return sink.onMessage(
        this.#isText ? this.#wholeText(chunk, start, end) : chunk.subarray(start, end),
      );
    }
    this.#partial ??= this.#newPartial();
    const partial = this.#partial;
    this.#append(partial, chunk, start, end);
    if (!isLast) return false;
    this.#endFrame();
    if ((this.#flags & FIN) === 0) return true;
    const { buffer, size, text, compressed, checkedSize } = partial;
    this.#partial = undefined;
    if (compressed) return this.#readCompressed(buffer.subarray(0, size), text, sink);
    if (text && checkedSize < size) this.#failText();
    return sink.onMessage(text ? buffer.toString('utf8', 0, size) : buffer.subarray(0, size));
  }

  #readCompressed(payload: Uint8Array, text: boolean, sink: FrameSink): boolean {
    const { inflater, messageBytesMax } = this.#rules;
    // What it would cost is not spent on messages that nobody hears.
    if (inflater === undefined || sink.isDeaf) return true;
    let message: Buffer;
    try {
      message = inflater.inflate(payload, messageBytesMax);
    } catch (error) {
      this.#end();
      throw error;
    }
    return sink.onMessage(text ? this.#wholeText(message, 0, message.length) : message);
  }

  #readControl(chunk: Buffer, start: number, end: number, sink: FrameSink): boolean {
    let payload = chunk.subarray(start, end);
    if (payload.length < this.#length) {
      this.#control ??= Buffer.allocUnsafe(this.#length);
      this.#control.set(payload, this.#receivedBytes);
      this.#receivedBytes += payload.length;
      if (this.#receivedBytes < this.#length) return false;
      payload = this.#control;
      this.#control = undefined;
    }
    this.#receivedBytes = 0;
    this.#unmask(payload, 0, payload.length);
    this.#endFrame();
    const opcode = this.#flags & OPCODE_BITS;
    if (opcode === OPCODES.ping) sink.onPing(payload);
    else if (opcode === OPCODES.pong) sink.onPong(payload);
    else this.#readClose(payload, sink);
    return true;
  }

  /** RFC 6455 §5.5.1: nothing, or a code and a reason in UTF-8. */
  #readClose(payload: Buffer, sink: FrameSink): void {
    if (payload.length === 1) this.#fail(1002, 'close frame of one byte');
    const code = payload.length === 0 ? undefined : payload.readUInt16BE(0);
    if (code !== undefined && !isSendableCode(code)) this.#fail(1002, 'close code not allowed');
    const reason = payload.subarray(2);
    if (!isUtf8(reason)) this.#fail(1007, 'close reason is not UTF-8');
    this.#end();
    sink.onClose(code, reason.toString('utf8'));
  }

  /** Takes in a piece of the payload and checks its text as far as it has come. */
  #append(partial: PartialMessage, chunk: Buffer, start: number, end: number): void {
    const size = partial.size + end - start;
    if (size > partial.buffer.length) this.#grow(partial, size);
    partial.buffer.set(chunk.subarray(start, end), partial.size);
    this.#unmask(partial.buffer, partial.size, size);
    this.#receivedBytes += end - start;
    partial.size = size;
    if (!partial.text || partial.compressed) return;
    const checkedSize = size - incompleteTailSize(partial.buffer, size);
    if (checkedSize <= partial.checkedSize) return;
    if (!isUtf8(partial.buffer.subarray(partial.checkedSize, checkedSize))) this.#failText();
    partial.checkedSize = checkedSize;
  }

  /** Doubles the buffer, but not beyond what the message can come to. */
  #grow(partial: PartialMessage, size: number): void {
    const isFinal = (this.#flags & FIN) !== 0;
    const ceiling = isFinal
      ? partial.size + this.#length - this.#receivedBytes
      : this.#rules.messageBytesMax;
    const wanted = Math.max(size, partial.buffer.length * 2, BUFFER_SIZE_MIN);
    const grown = Buffer.allocUnsafeSlow(Math.min(wanted, ceiling));
    grown.set(partial.buffer.subarray(0, partial.size));
    partial.buffer = grown;
  }

  #newPartial(): PartialMessage {
    const text = this.#isText;
    const compressed = this.#isCompressed;
    return { text, compressed, buffer: EMPTY, size: 0, checkedSize: 0, fragments: 1 };
  }

  #unmask(bytes: Uint8Array, start: number, end: number): void {
    if (!this.#rules.peerMasks) return;
    applyMask(bytes, { start, end, mask: this.#mask, phase: this.#receivedBytes });
  }

  #wholeText(chunk: Buffer, start: number, end: number): string {
    const text = chunk.toString('utf8', start, end);
    // Whatever is not UTF-8 decodes to U+FFFD; only text that has one needs the check.
    if (text.includes('\uFFFD') && !isUtf8(chunk.subarray(start, end))) this.#failText();
    return text;
  }

  get #isControl(): boolean {
    return (this.#flags & CONTROL_BIT) !== 0;
  }

  get #isText(): boolean {
    return (this.#flags & OPCODE_BITS) === OPCODES.text;
  }

  get #isCompressed(): boolean {
    return (this.#flags & COMPRESSED) !== 0;
  }

  #endFrame(): void {
    this.#state = 'flags';
  }

  #end(): void {
    this.#state = 'over';
    this.#control = undefined;
    this.#partial = undefined;
  }

  /** RFC 6455 §8.1. */
  #failText(): never {
    this.#fail(1007, 'text is not UTF-8');
  }

  #fail(code: FaultCode, message: string): never {
    this.#end();
    throw new ProtocolError(code, message);
  }
}

const EMPTY = Buffer.alloc(0);

/** Close codes that may stand in a close frame (RFC 6455 §7.4 and the IANA registry). */
export function isSendableCode(code: number): boolean {
  if (code >= 3000 && code <= 4999) return true;
  // 1004 is reserved; 1005, 1006 and 1015 say what no close frame said.
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}
