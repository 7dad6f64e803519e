/**
 * FrameTap: what a server says over a WebSocket, frame by frame, on its way to the client. A test may
 * change it, leave it out, say it twice, or speak itself (RFC 6455 §5.2).
 */
import type { Socket } from 'node:net';
import { OPCODE } from './web-socket.ts';

/** Takes each text of the server; what is to reach the client it sends itself. */
export type OnText = (text: string, toClient: FrameWriter) => void;

/** Speaks to the client as its server does. */
export class FrameWriter {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  text(text: string): void {
    this.frame(OPCODE.text, Buffer.from(text));
  }

  /** Any frame; `bits` are those of its first byte beside the opcode. */
  frame(opcode: number, payload: Uint8Array, bits = 0x80): void {
    this.raw(Buffer.concat([headOf(opcode | bits, payload.length), payload]));
  }

  /** @param code 1005 says none, and 1006 says nothing and cuts. */
  close(code: number, reason = ''): void {
    if (code !== 1006) {
      const payload = Buffer.alloc(code === 1005 ? 0 : 2);
      if (code !== 1005) payload.writeUInt16BE(code);
      this.frame(OPCODE.close, Buffer.concat([payload, Buffer.from(code === 1005 ? '' : reason)]));
    }
    this.#socket.end();
  }

  raw(bytes: string | Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }
}

/** Pipes both ways; texts of the server go to the test. */
export function tap(server: Socket, client: Socket, onText: OnText): void {
  const writer = new FrameWriter(client);
  let left = Buffer.alloc(0);
  let isUpgraded = false;
  client.pipe(server);
  server.on('end', () => client.end());
  server.on('data', (piece: Buffer) => {
    left = Buffer.concat([left, piece]);
    if (!isUpgraded) {
      const end = left.indexOf('\r\n\r\n');
      if (end < 0) return;
      isUpgraded = true;
      writer.raw(left.subarray(0, end + 4));
      left = left.subarray(end + 4);
    }
    for (let size = sizeOf(left); size > 0; size = sizeOf(left)) {
      const frame = left.subarray(0, size);
      left = left.subarray(size);
      const opcode = (frame[0] ?? 0) & 0x0f;
      if (opcode === OPCODE.text) onText(payloadOf(frame).toString('utf8'), writer);
      else writer.raw(frame);
    }
  });
}

/** The size of the first frame; 0 when it is not whole. */
function sizeOf(bytes: Buffer): number {
  if (bytes.length < 2) return 0;
  const size = startOf(bytes) + lengthOf(bytes);
  return size <= bytes.length ? size : 0;
}

/** Where the payload begins. */
function startOf(frame: Buffer): number {
  const short = (frame[1] ?? 0) & 0x7f;
  if (short === 126) return 4;
  return short === 127 ? 10 : 2;
}

function lengthOf(frame: Buffer): number {
  const short = (frame[1] ?? 0) & 0x7f;
  if (frame.length < startOf(frame)) return Infinity;
  if (short === 126) return frame.readUInt16BE(2);
  return short === 127 ? Number(frame.readBigUInt64BE(2)) : short;
}

function payloadOf(frame: Buffer): Buffer {
  return frame.subarray(startOf(frame));
}

function headOf(first: number, length: number): Buffer {
  if (length < 126) return Buffer.from([first, length]);
  const head = Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = first;
  head[1] = length < 65_536 ? 126 : 127;
  if (length < 65_536) head.writeUInt16BE(length, 2);
  else head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}
