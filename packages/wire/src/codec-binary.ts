/**
 * `trunkline.v1.bin`: binary frames, each one or more records ([BIN-1]; spec/binary.md).
 *
 * Only what carries a payload has a form of its own. Everything else is the JSON text of the very
 * object that `trunkline.v1.json` has, so that it is defined once.
 */
import { endOfStretch, readMessages, writeMessages } from './binary-message.ts';
import type { ChannelMessage, MessageRun } from './binary-message.ts';
import { readPublish, writePublish } from './binary-publish.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { COMMANDS_PER_FRAME_MAX } from './codec-json.ts';
import { CodedError } from './codes.ts';
import { decodeCommand } from './commands.ts';
import type { Command, Decoded } from './commands.ts';
import { APART_MAX, asCoded, bad } from './fields.ts';

/** The WebSocket subprotocol token. */
export const BINARY_SUBPROTOCOL = 'trunkline.v1.bin';

/** The media type of an answer over HTTP that is one binary frame. */
export const BINARY_MEDIA_TYPE = 'application/vnd.trunkline.v1+bin';

/** The first byte of a record. */
const KIND = { json: 0, messages: 1, publish: 2, page: 3, apart: 4 } as const;

/** Bytes that a message is taken to need beside its payload, at most in most cases. */
const MESSAGE_SIZE_GUESS = 96;

/** Bytes of a record's kind and size, at most. */
const RECORD_HEAD_SIZE_MAX = 9;

/** Bytes of the memory that small frames share. */
const CHUNK_SIZE = 8 * 1024;

/** What a server writes in a batch: messages of a channel, and what of it ran out of time. */
export interface FrameRun extends MessageRun {
  /** Offsets right before the messages that are not delivered. */
  readonly expired?: { readonly from: number; readonly to: number };
}

/** One record of a server's frame, payloads as views of the frame. */
export type ServerRecord =
  /** The text of a reply or push of the JSON protocol; not parsed yet. */
  | { readonly kind: 'json'; readonly json: string }
  | { readonly kind: 'messages'; readonly messages: readonly ChannelMessage[] }
  /** The text of an answer without its `messages`, and those. */
  | { readonly kind: 'page'; readonly json: string; readonly messages: readonly ChannelMessage[] };

/**
 * Reads the commands of one binary frame, in order. A frame whose records do not fill it exactly,
 * or with more than {@link COMMANDS_PER_FRAME_MAX}, is refused as a whole ([BIN-3]).
 *
 * @returns never throws; payloads are copies, so the frame's memory may be used again.
 */
export function decodeBinaryCommands(frame: Uint8Array): Decoded[] {
  const records: Record[] = [];
  try {
    const reader = new ByteReader(frame);
    while (!reader.isDone) {
      if (records.length === COMMANDS_PER_FRAME_MAX) throw tooMany();
      records.push({ kind: reader.byte('kind'), body: reader.part('record') });
    }
  } catch (error) {
    return [{ ok: false, error: asCoded(error) }];
  }
  return records.map(toCommand);
}

interface Record {
  readonly kind: number;
  readonly body: ByteReader;
}

function toCommand({ kind, body }: Record): Decoded {
  if (kind === KIND.publish) return readPublish(body);
  try {
    if (kind === KIND.json) return decodeCommand(body.restText('a record of JSON'));
    throw bad(`a record of a client must be of kind 0 or 2, got ${kind}`);
  } catch (error) {
    return { ok: false, error: asCoded(error) };
  }
}

function tooMany(): CodedError {
  const message = `a frame carries at most ${COMMANDS_PER_FRAME_MAX} commands`;
  return new CodedError('too_large', message);
}

/** Writes one command as a binary frame. */
export function encodeBinaryCommand(command: Command): Uint8Array<ArrayBuffer> {
  if (command.type !== 'publish') return encodeJsonRecord(JSON.stringify(command));
  return frameOf(command.payload.length + MESSAGE_SIZE_GUESS, (writer) => {
    writer.byte(KIND.publish);
    writer.part(() => writePublish(writer, command));
  });
}

/** Writes the text of a JSON object as a binary frame. */
export function encodeJsonRecord(json: string): Uint8Array<ArrayBuffer> {
  return frameOf(json.length + RECORD_HEAD_SIZE_MAX, (writer) => {
    writer.byte(KIND.json);
    writer.text(json);
  });
}

/**
 * Writes messages as one binary frame.
 *
 * @param mark what to go on from after them, for who reads several channels.
 * @param as the number of the subscription they are for, where that stands apart.
 * @throws {RangeError} when an offset or a time is no whole number that fits.
 */
export function encodeRuns(
  runs: readonly FrameRun[],
  mark?: string,
  as?: number,
): Uint8Array<ArrayBuffer> {
  let size = 0;
  for (const run of runs) size += guessSize(run);
  return frameOf(size, (writer) => {
    for (const run of runs) writeRun(writer, run, run === runs.at(-1) ? mark : undefined, as);
  });
}

function guessSize({ messages }: FrameRun): number {
  let size = MESSAGE_SIZE_GUESS;
  for (const { payload } of messages) size += payload.length + MESSAGE_SIZE_GUESS / 2;
  return size;
}

function writeRun(writer: ByteWriter, run: FrameRun, mark?: string, as?: number): void {
  const { channel, epoch, messages, expired } = run;
  if (expired !== undefined) {
    const last = {
      ...(messages.length === 0 && mark !== undefined ? { mark } : {}),
      ...(as === undefined ? {} : { as }),
    };
    writer.byte(KIND.json);
    writer.text(JSON.stringify({ type: 'expired', channel, epoch, ...expired, ...last }));
  }
  for (let start = 0; start < messages.length; ) {
    const from = start;
    const end = endOfStretch(run, start);
    const stretch = { start: from, end, mark: end === messages.length ? mark : undefined };
    writer.byte(as === undefined ? KIND.messages : KIND.apart);
    writer.part(() => {
      if (as !== undefined) writer.varint(as);
      writeMessages(writer, run, stretch);
    });
    start = end;
  }
}

/**
 * Writes an answer that has messages as one binary frame.
 *
 * @param json the answer without its `messages`.
 * @param records the messages, as {@link encodeRuns} writes them.
 */
export function encodePage(json: string, records: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = records.reduce((sum, record) => sum + record.length, json.length);
  return frameOf(size + 2 * RECORD_HEAD_SIZE_MAX, (writer) => {
    writer.byte(KIND.page);
    writer.part(() => {
      writer.text(json);
      for (const record of records) writer.bytes(record);
    });
  });
}

let chunk = new Uint8Array(0);
let chunkUsed = 0;

/**
 * A frame of its own. Small ones share memory, as Node's buffers do: to allocate and clear a piece
 * takes several times as long as to write a message into it.
 *
 * @param write must not make another frame.
 */
function frameOf(sizeGuess: number, write: (writer: ByteWriter) => void): Uint8Array<ArrayBuffer> {
  if (sizeGuess > CHUNK_SIZE / 2) {
    const writer = new ByteWriter(new Uint8Array(sizeGuess));
    write(writer);
    return writer.written().slice();
  }
  if (chunk.length - chunkUsed < sizeGuess) {
    chunk = new Uint8Array(CHUNK_SIZE);
    chunkUsed = 0;
  }
  const writer = new ByteWriter(chunk, chunkUsed);
  write(writer);
  const frame = writer.written();
  // What did not fit has moved to memory of its own.
  if (frame.buffer === chunk.buffer) chunkUsed += frame.length;
  return frame;
}

/**
 * Reads what the server sent in one binary frame; records of unknown kinds are left out ([BIN-4]).
 *
 * @throws {CodedError} `bad_request` when it is none.
 */
export function decodeServerRecords(frame: Uint8Array): ServerRecord[] {
  const found: ServerRecord[] = [];
  const reader = new ByteReader(frame);
  while (!reader.isDone) {
    const kind = reader.byte('kind');
    const body = reader.part('record');
    if (kind === KIND.json) found.push({ kind: 'json', json: body.restText('a record of JSON') });
    else if (kind === KIND.messages) found.push({ kind: 'messages', messages: readMessages(body) });
    else if (kind === KIND.apart) found.push({ kind: 'messages', messages: readApart(body) });
    else if (kind === KIND.page) found.push(readPage(body));
  }
  return found;
}

/** Messages for a subscription that stands apart ([BIN-9]). */
function readApart(reader: ByteReader): ChannelMessage[] {
  const as = reader.varint('as');
  if (as < 1 || as > APART_MAX) throw bad(`as must be from 1 to ${APART_MAX}, got ${as}`);
  return readMessages(reader, as);
}

function readPage(reader: ByteReader): ServerRecord {
  const json = reader.text('the answer');
  const messages: ChannelMessage[] = [];
  while (!reader.isDone) {
    const kind = reader.byte('kind');
    const body = reader.part('record');
    if (kind !== KIND.messages) continue;
    for (const message of readMessages(body)) messages.push(message);
  }
  return { kind: 'page', json, messages };
}
