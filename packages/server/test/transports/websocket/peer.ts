/** The client's end of a WebSocket in tests: it reads and writes frames as the test says. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Frame } from '@trunkline/server/internal/link/link.ts';
import {
  closePayload,
  OPCODES,
  toFrame,
} from '@trunkline/server/internal/transports/websocket/frames.ts';
import type { Opcode } from '@trunkline/server/internal/transports/websocket/frames.ts';
import { Receiver } from '@trunkline/server/internal/transports/websocket/receiver.ts';
import type {
  FrameSink,
  Inflater,
} from '@trunkline/server/internal/transports/websocket/receiver.ts';
import { RULES } from './recorder.ts';

/** A masking key that changes every byte. */
export const MASK = 0x9af3c701;

/** Rounds of the event loop after which something expected is missing. */
const ROUNDS_MAX = 100_000;

export class RawPeer implements FrameSink {
  readonly isDeaf = false;
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  readonly pings: string[] = [];
  readonly pongs: string[] = [];
  readonly closes: { readonly code: number | undefined; readonly reason: string }[] = [];
  /** The other side sends nothing more, or the connection broke. */
  ended = false;
  /** Answers a close frame by itself, as any real client does. */
  answersClose = false;
  /** Bytes that came, frames and all. */
  receivedBytes = 0;
  readonly #receiver: Receiver;

  /** @param inflater reads what the server compresses. */
  constructor(socket: Socket, inflater?: Inflater) {
    this.socket = socket;
    this.#receiver = new Receiver({
      ...RULES,
      peerMasks: false,
      frameBytesMax: 2 ** 26,
      messageBytesMax: 2 ** 26,
      ...(inflater === undefined ? {} : { inflater }),
    });
    socket.on('data', (chunk: Buffer) => {
      this.receivedBytes += chunk.length;
      this.#receiver.push(chunk, this);
    });
    socket.on('end', () => (this.ended = true));
    socket.on('close', () => (this.ended = true));
    socket.on('error', () => {});
  }

  send(frame: Frame): void {
    if (typeof frame === 'string') this.sendFrame(OPCODES.text, Buffer.from(frame));
    else this.sendFrame(OPCODES.binary, frame);
  }

  sendFrame(opcode: Opcode, payload: Uint8Array, fin = true): void {
    this.socket.write(toFrame(opcode, payload, { fin, mask: MASK }));
  }

  sendClose(code?: number, reason?: string): void {
    const payload = code === undefined ? Buffer.alloc(0) : closePayload(code, reason);
    this.sendFrame(OPCODES.close, payload);
  }

  setReading(reading: boolean): void {
    if (reading) this.socket.resume();
    else this.socket.pause();
  }

  drop(): void {
    this.socket.resetAndDestroy();
  }

  onMessage(message: Frame): boolean {
    this.frames.push(typeof message === 'string' ? message : Uint8Array.from(message));
    return true;
  }

  onPing(payload: Uint8Array): void {
    this.pings.push(Buffer.from(payload).toString());
  }

  onPong(payload: Uint8Array): void {
    this.pongs.push(Buffer.from(payload).toString());
  }

  onClose(code: number | undefined, reason: string): void {
    this.closes.push({ code, reason });
    if (this.answersClose) this.sendClose(code);
  }
}

/** The two ends of a TCP connection on this machine. */
export async function openSockets(): Promise<{ server: Socket; client: Socket }> {
  const listener = createServer({ allowHalfOpen: true });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const client = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const [[server]] = (await Promise.all([
    once(listener, 'connection'),
    once(client, 'connect'),
  ])) as [[Socket], unknown];
  listener.close();
  return { server, client };
}

/** Runs turns of the event loop, of a test's clock as well, until the condition holds. */
export async function until(
  what: string,
  condition: () => boolean,
  settle: () => Promise<void> = nextTurn,
): Promise<void> {
  for (let round = 0; !condition(); round += 1) {
    if (round === ROUNDS_MAX) throw new Error(`expected ${what}, waited ${round} rounds`);
    await settle();
  }
}

/** One turn of the real event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
