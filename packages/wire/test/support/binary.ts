/** How `binary.json` writes down frames, and what was read out of them. */
import { decodeServerRecords, encodeJsonRecord, encodePage, encodeRuns } from '../../src/index.ts';
import type { ChannelMessage, ServerRecord } from '../../src/index.ts';
import { vectorPayload, vectorText } from './vectors.ts';
import type { VectorPayload, VectorText } from './vectors.ts';

/** A message with its payload as text, or as base64. */
export type VectorMessage = Omit<ChannelMessage, 'payload'> & VectorPayload;

/** A record of a server's frame. */
export type VectorRecord =
  | { readonly json: object }
  | { readonly messages: readonly VectorMessage[] }
  | { readonly page: object; readonly messages: readonly VectorMessage[] };

/** The file. */
export interface BinaryVectors {
  readonly commandFrames: {
    name: string;
    bytes: VectorText;
    count?: number;
    results?: { command?: VectorPayload & object; error?: string; id?: number }[];
    writes?: true;
  }[];
  readonly serverFrames: {
    name: string;
    bytes: VectorText;
    records: VectorRecord[];
    writes?: true;
  }[];
  readonly notServerFrames: { name: string; bytes: VectorText }[];
}

/** The bytes of a frame. */
export function frameBytes(text: VectorText): Uint8Array {
  const hex = vectorText(text);
  const bytes = new Uint8Array(hex.length / 2);
  for (let at = 0; at < bytes.length; at += 1) {
    bytes[at] = Number.parseInt(hex.slice(at * 2, at * 2 + 2), 16);
  }
  return bytes;
}

/** A message of a vector as the wire has it. */
export function toChannelMessage(message: VectorMessage): ChannelMessage {
  const { payload: _payload, payloadBase64: _payloadBase64, ...rest } = message;
  return { ...rest, payload: vectorPayload(message) };
}

/** What a reader makes of a record: JSON parsed, messages as they are. */
export function toPlain(record: ServerRecord): object {
  if (record.kind === 'json') return { json: JSON.parse(record.json) };
  if (record.kind === 'messages') return { messages: record.messages };
  return { page: JSON.parse(record.json), messages: record.messages };
}

/** The records of a frame, as {@link toPlain} has them. */
export function readRecords(frame: Uint8Array): object[] {
  return decodeServerRecords(frame).map(toPlain);
}

/** The bytes of records, one after another. */
export function writeRecords(records: readonly VectorRecord[]): Uint8Array {
  const frames = records.map((record) => {
    if ('page' in record) {
      return encodePage(JSON.stringify(record.page), byChannel(record.messages).map(writeRun));
    }
    return 'json' in record
      ? encodeJsonRecord(JSON.stringify(record.json))
      : writeRun(record.messages);
  });
  return joined(frames);
}

/** Frames as one: records follow one another without anything between. */
export function joined(frames: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(frames.reduce((size, frame) => size + frame.length, 0));
  let at = 0;
  for (const frame of frames) {
    whole.set(frame, at);
    at += frame.length;
  }
  return whole;
}

function writeRun(messages: readonly VectorMessage[]): Uint8Array {
  const { channel, epoch, as } = messages[0] ?? { channel: '' };
  const run = messages.map((message) => ({ offset: 0, ...toChannelMessage(message) }));
  return encodeRuns([{ channel, epoch: epoch ?? '', messages: run }], messages.at(-1)?.mark, as);
}

function byChannel(messages: readonly VectorMessage[]): VectorMessage[][] {
  const runs: VectorMessage[][] = [];
  for (const message of messages) {
    const run = runs.at(-1);
    if (run?.[0]?.channel === message.channel) run.push(message);
    else runs.push([message]);
  }
  return runs;
}
