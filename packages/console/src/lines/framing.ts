/** Framing: what a WebSocket carries, in either encoding, as the same frames. */
import {
  BINARY_SUBPROTOCOL,
  decodeServerFrames,
  decodeServerRecords,
  encodeJsonRecord,
  JSON_SUBPROTOCOL,
} from '@trunkline/wire';
import type { ServerFrame } from '@trunkline/wire';
import type { EncodingName, LineMessage } from './line.ts';
import { fromBinary, toLineMessage } from './read.ts';

/** Frames that are no messages. */
export type OtherFrame = Exclude<ServerFrame, { type: 'message' | 'history' }>;

/** One thing that the server said. */
export type Said =
  | { readonly kind: 'frame'; readonly frame: OtherFrame }
  | { readonly kind: 'message'; readonly message: LineMessage; readonly mark?: string };

/** How one connection writes and reads. */
export interface Framing {
  readonly subprotocol: string;
  /** A command as it goes onto the socket. */
  encode(command: object): string | Uint8Array<ArrayBuffer>;
  /** What a frame says, in order. @throws when it is none of this encoding. */
  decode(frame: unknown): Said[];
  /** Bytes of a frame as it was before any compression. */
  sizeOf(frame: unknown): number;
}

const encoder = new TextEncoder();

/** The framing of each encoding. */
export const FRAMINGS: Readonly<Record<EncodingName, Framing>> = {
  json: {
    subprotocol: JSON_SUBPROTOCOL,
    encode: (command) => JSON.stringify(command),
    decode(frame) {
      if (typeof frame !== 'string') return [];
      return decodeServerFrames(frame).flatMap(saidIn);
    },
    sizeOf: (frame) => (typeof frame === 'string' ? encoder.encode(frame).length : 0),
  },
  binary: {
    subprotocol: BINARY_SUBPROTOCOL,
    encode: (command) => encodeJsonRecord(JSON.stringify(command)),
    decode(frame) {
      if (!(frame instanceof ArrayBuffer)) return [];
      return decodeServerRecords(new Uint8Array(frame)).flatMap((record) => {
        if (record.kind === 'json') return saidIn(JSON.parse(record.json) as ServerFrame);
        if (record.kind !== 'messages') return [];
        return record.messages.map((message) => withMark(fromBinary(message), message.mark));
      });
    },
    sizeOf: (frame) => (frame instanceof ArrayBuffer ? frame.byteLength : 0),
  },
};

function saidIn(frame: ServerFrame): Said[] {
  if (frame.type === 'history') return []; // A line never asks for it here.
  if (frame.type !== 'message') return [{ kind: 'frame', frame }];
  return [withMark(toLineMessage(frame), frame.mark)];
}

function withMark(message: LineMessage, mark: string | undefined): Said {
  return { kind: 'message', message, ...(mark === undefined ? {} : { mark }) };
}
