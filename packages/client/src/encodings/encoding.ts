/**
 * Encoding: how commands, frames and answers are written. Applications hand one to `connect`; what
 * is not handed over is not in their bundle.
 */
import type { ReceivedMessage } from '../events.ts';

/** One object from the server. */
export interface Frame {
  readonly fields: Readonly<Record<string, unknown>>;
  /** The JSON of its payload exactly as it came, where the encoding keeps it. */
  readonly source?: string;
  /** The messages of an answer to a poll or for history. */
  readonly messages?: readonly ReceivedMessage[];
  /** As `source`, of the snapshots in an answer, by channel. */
  readonly snapshotSources?: ReadonlyMap<string, string>;
}

/** One way of writing what the contract says. */
export interface Encoding {
  /** The WebSocket subprotocol. */
  readonly subprotocol: string;
  /** The media type of polls and pages of history. */
  readonly mediaType: string;
  /** A command for a WebSocket, given as JSON text. */
  commandOf(json: string): string | Uint8Array<ArrayBuffer>;
  /** The frames of one WebSocket message. @throws {CodedError} when it is not what it should be. */
  framesOf(data: string | ArrayBuffer): readonly Frame[];
  /** The answer to a poll or for history. @throws {CodedError} as above. */
  answerOf(body: Uint8Array, mediaType: string): Frame;
  /** What an event of an event stream says, which is always JSON. */
  eventOf(json: string): Frame;
}
