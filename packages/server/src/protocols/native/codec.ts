/** Codec: how the frames of the native protocol are written and read, one per subprotocol. */
import {
  BINARY_SUBPROTOCOL,
  CodedError,
  decodeBinaryCommands,
  decodeCommands,
  encodeJsonRecord,
  encodeMessage,
  encodePage,
  encodeRuns,
  JSON_SUBPROTOCOL,
} from '@trunkline/wire';
import type { CommandId, Decoded, ErrorFrame, ServerFrame } from '@trunkline/wire';
import type { Encoding, HistoryPage } from '../../hub/hub-types.ts';
import type { Frame } from '../../link/link.ts';
import { snapshotMembers } from '../../hub/snapshots.ts';
import type { Snapshot } from '../../hub/snapshots.ts';
import { SharedBatch } from '../../link/shared-batch.ts';
import type { PresenceEncoding } from '../../hub/presence/presence-types.ts';
import { SNAPSHOT_WRITTEN_MAX } from './config.ts';
import { historyMembers, toHistoryFrame } from './history.ts';
import { binaryPresence, jsonPresence, nativeBinaryPresence, nativePresence } from './presence.ts';

/** How one subprotocol writes what a subscription is given. */
export interface Writing {
  /** How messages are written to it. */
  readonly encoding: Encoding;
  /** How presence is written to it. */
  readonly presence: PresenceEncoding;
  /** Writes the push that gives a channel's state; the same object for the same snapshot. */
  snapshot(channel: string, snapshot: Snapshot): SharedBatch;
}

/** How one subprotocol writes what a session says. One object each in the whole process. */
export interface NativeCodec extends Writing {
  /** The same with the number of a subscription that stands apart: one object each, too. */
  apart(as: number): Writing;
  /** Reads the commands of one frame, in order; what is none becomes an error in its place. */
  decode(frame: Frame): Decoded[];
  /** Writes one frame that carries no payload. */
  frame(frame: ServerFrame): Frame;
  /** Writes the answer to a history command. */
  history(id: CommandId, channel: string, page: HistoryPage): Frame;
}

/** A batch is one text frame, one JSON object a line. */
export const nativeJson: Encoding = jsonEncoding();

/** A batch is one binary frame, a record for each run. */
export const nativeBinary: Encoding = binaryEncoding();

const jsonSnapshots = sharedSnapshots(true, (json) => Buffer.from(json));
const binarySnapshots = sharedSnapshots(false, encodeJsonRecord);

/** `trunkline.v1.json`: text frames of JSON [WS-1]. */
export const jsonCodec: NativeCodec = {
  encoding: nativeJson,
  presence: nativePresence,
  apart: writings((as) => ({
    encoding: jsonEncoding(as),
    presence: jsonPresence(as),
    snapshot: (channel, snapshot) => jsonSnapshots(channel, snapshot, as),
  })),
  decode(frame) {
    if (typeof frame === 'string') return decodeCommands(frame);
    const error = new CodedError('bad_request', 'expected a text frame, got a binary one');
    return [{ ok: false, error }];
  },
  frame: (frame) => JSON.stringify(frame),
  snapshot: (channel, snapshot) => jsonSnapshots(channel, snapshot),
  history: toHistoryFrame,
};

/** `trunkline.v1.bin`: binary frames of records [BIN-1]. */
export const binaryCodec: NativeCodec = {
  encoding: nativeBinary,
  presence: nativeBinaryPresence,
  apart: writings((as) => ({
    encoding: binaryEncoding(as),
    presence: binaryPresence(as),
    snapshot: (channel, snapshot) => binarySnapshots(channel, snapshot, as),
  })),
  decode(frame) {
    if (typeof frame !== 'string') return decodeBinaryCommands(frame);
    const error = new CodedError('bad_request', 'expected a binary frame, got a text one');
    return [{ ok: false, error }];
  },
  frame: (frame) => encodeJsonRecord(JSON.stringify(frame)),
  snapshot: (channel, snapshot) => binarySnapshots(channel, snapshot),
  history(id, channel, page) {
    const { epoch, messages } = page;
    const json = `{"type":"history","id":${id},${historyMembers(page)}}`;
    return encodePage(json, [encodeRuns([{ channel, epoch, messages }])]);
  },
};

/** The codecs by subprotocol. */
export const CODECS: ReadonlyMap<string, NativeCodec> = new Map([
  [JSON_SUBPROTOCOL, jsonCodec],
  [BINARY_SUBPROTOCOL, binaryCodec],
]);

/** @param as the number of the subscription it is for, where that stands apart. */
function jsonEncoding(as?: number): Encoding {
  const number = as === undefined ? {} : { as };
  return {
    name: JSON_SUBPROTOCOL,
    ...number,
    encode(runs, mark) {
      const lines: string[] = [];
      for (const run of runs) {
        const { channel, epoch, messages, expired } = run;
        const own = run === runs.at(-1) ? mark : undefined;
        if (expired !== undefined) {
          const last = messages.length === 0 && own !== undefined ? { mark: own } : {};
          const push = { type: 'expired', channel, epoch, ...expired, ...last, ...number };
          lines.push(JSON.stringify(push));
        }
        for (const message of messages) {
          const place = message === messages.at(-1) ? own : undefined;
          lines.push(encodeMessage(channel, epoch, message, true, place, as));
        }
      }
      return new SharedBatch(Buffer.from(lines.join('\n'), 'utf8'), true);
    },
  };
}

/** @param as as for JSON. */
function binaryEncoding(as?: number): Encoding {
  return {
    name: BINARY_SUBPROTOCOL,
    ...(as === undefined ? {} : { as }),
    encode: (runs, mark) => new SharedBatch(encodeRuns(runs, mark, as), false),
  };
}

/**
 * Makes what is made for a number once: it is a key, by which all who have the number share what is
 * written. There are at most 999 [APART-1].
 */
function writings(make: (as: number) => Writing): (as: number) => Writing {
  const made = new Map<number, Writing>();
  return (as) => {
    let writing = made.get(as);
    if (writing === undefined) {
      writing = make(as);
      made.set(as, writing);
    }
    return writing;
  };
}

/**
 * Writes each snapshot once, however many clients get it.
 *
 * @param as the number of the subscription it is for, where that stands apart.
 */
type SnapshotWriting = (channel: string, snapshot: Snapshot, as?: number) => SharedBatch;

/** Of those that stand apart it keeps what was written last: a snapshot may have a megabyte. */
function sharedSnapshots(text: boolean, encode: (json: string) => Uint8Array): SnapshotWriting {
  const known = new WeakMap<Snapshot, Map<number | undefined, SharedBatch>>();
  return (channel, snapshot, as) => {
    const written = known.get(snapshot) ?? new Map<number | undefined, SharedBatch>();
    known.set(snapshot, written);
    let batch = written.get(as);
    if (batch === undefined) {
      const head = `{"type":"snapshot","channel":${JSON.stringify(channel)}`;
      const number = as === undefined ? '' : `,"as":${as}`;
      const json = `${head},${snapshotMembers(snapshot)}${number}}`;
      batch = new SharedBatch(encode(json), text);
      written.set(as, batch);
      const [oldest] = [...written.keys()].filter((kept) => kept !== undefined);
      if (written.size > SNAPSHOT_WRITTEN_MAX) written.delete(oldest);
    }
    return batch;
  };
}

/** The frame that tells a client what was wrong. */
export function toErrorFrame(error: CodedError, id?: CommandId): ErrorFrame {
  return {
    type: 'error',
    ...(id === undefined ? {} : { id }),
    code: error.code,
    message: error.message,
    ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
    ...(error.stored === undefined ? {} : { stored: error.stored }),
  };
}
