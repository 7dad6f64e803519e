/** What the tests of receivers share: a sink that writes down what came. */
import type { Frame } from '@trunkline/server/internal/link/link.ts';
import {
  ProtocolError,
  Receiver,
} from '@trunkline/server/internal/transports/websocket/receiver.ts';
import type {
  FrameSink,
  ReceiverRules,
} from '@trunkline/server/internal/transports/websocket/receiver.ts';

/** What a receiver said, as plain values that compare. */
export type Received =
  | { readonly text: string }
  | { readonly binary: string }
  | { readonly ping: string }
  | { readonly pong: string }
  | { readonly close: number | null; readonly reason: string }
  | { readonly error: number };

export const RULES: ReceiverRules = {
  peerMasks: true,
  frameBytesMax: 1024 * 1024,
  messageBytesMax: 1024 * 1024,
  fragmentsMax: 1024,
};

/** Writes down what it is told; stops the receiver after every message when told so. */
export class RecordingSink implements FrameSink {
  readonly isDeaf = false;
  readonly received: Received[] = [];
  readonly #goOn: boolean;

  constructor(goOn = true) {
    this.#goOn = goOn;
  }

  onMessage(message: Frame): boolean {
    this.received.push(typeof message === 'string' ? { text: message } : { binary: hex(message) });
    return this.#goOn;
  }

  onPing(payload: Uint8Array): void {
    this.received.push({ ping: hex(payload) });
  }

  onPong(payload: Uint8Array): void {
    this.received.push({ pong: hex(payload) });
  }

  onClose(code: number | undefined, reason: string): void {
    this.received.push({ close: code ?? null, reason });
  }
}

/** Reads chunks to the end and gives back all that came of them; only typed errors are caught. */
export function receive(
  chunks: Iterable<Uint8Array>,
  rules: ReceiverRules = RULES,
  goOn = true,
): Received[] {
  const receiver = new Receiver(rules);
  const sink = new RecordingSink(goOn);
  try {
    for (const chunk of chunks) {
      // A copy: the receiver may change what it is given.
      let rest = Buffer.from(chunk);
      while (rest.length > 0) rest = rest.subarray(receiver.push(rest, sink));
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    sink.received.push({ error: error.closeCode });
    // After a fault everything is dropped.
    const count = sink.received.length;
    const late = Buffer.from('8180000000008880000000008a80', 'hex');
    if (receiver.push(late, sink) !== late.length || sink.received.length !== count) {
      throw new Error('expected silence after a fault', { cause: error });
    }
  }
  return sink.received;
}

export function* bytewise(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1) yield bytes.subarray(at, at + 1);
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
