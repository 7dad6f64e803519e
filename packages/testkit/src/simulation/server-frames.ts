/** Server frames as a client reads them, in either encoding: messages are alike afterwards. */
import { decodeServerFrames, decodeServerRecords, encodeBinaryCommand } from '@trunkline/wire';
import type { Command, Sender, ServerFrame } from '@trunkline/wire';
import type { Frame } from '@trunkline/server/internal/link/link.ts';
import { payloadId } from './publication.ts';

const decoder = new TextDecoder();

/** A message that a client was given. */
export interface ReadMessage {
  readonly type: 'message';
  readonly channel: string;
  /** Absent, as the offset is, in a volatile channel. */
  readonly epoch?: string;
  readonly offset?: number;
  readonly time: number;
  /** What the payload says that it is. */
  readonly payload: string;
  readonly from?: Sender;
  readonly mark?: string;
  /** The number of a subscription that stands apart. */
  readonly as?: number;
}

/** What a client was told. */
export type ReadFrame = ReadMessage | Exclude<ServerFrame, { type: 'message' }>;

/** Reads a frame, be it text or binary. */
export function readFrames(frame: Frame): ReadFrame[] {
  if (typeof frame === 'string') return decodeServerFrames(frame).map(toReadFrame);
  return decodeServerRecords(frame).flatMap((record): ReadFrame[] => {
    if (record.kind !== 'messages') return decodeServerFrames(record.json).map(toReadFrame);
    return record.messages.map(({ payload, ...rest }) => {
      const data: unknown = JSON.parse(decoder.decode(payload));
      return { type: 'message', ...rest, payload: payloadId(data) };
    });
  });
}

function toReadFrame(frame: ServerFrame): ReadFrame {
  if (frame.type !== 'message') return frame;
  const { data, ...rest } = frame;
  return { ...rest, payload: payloadId(data) };
}

/** Writes a command in the encoding of the session. */
export function writeCommand(command: Command, isBinary: boolean): Frame {
  if (isBinary) return encodeBinaryCommand(command);
  if (command.type !== 'publish') return JSON.stringify(command);
  const { payload, ...head } = command;
  return `${JSON.stringify(head).slice(0, -1)},"data":${decoder.decode(payload)}}`;
}
