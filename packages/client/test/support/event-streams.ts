/** Event streams: golden ones, and a second reading of the rules to compare the parser with. */
import { readFileSync } from 'node:fs';
import { decodeBase64 } from '@trunkline/wire';
import { EventStreamParser } from '../../src/transports/event-stream.ts';
import type { StreamItem } from '../../src/transports/event-stream.ts';

/** A case of `spec/vectors/event-stream.json`. */
export interface StreamVector {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly items: readonly StreamItem[];
}

interface VectorFile {
  readonly streams: readonly {
    readonly name: string;
    readonly text?: string;
    readonly base64?: string;
    readonly items: readonly {
      readonly event?: string;
      readonly data?: string;
      readonly id?: string;
      readonly retry?: number;
    }[];
  }[];
}

/** Reads the golden streams. */
export function readStreamVectors(): StreamVector[] {
  const url = new URL('../../../../spec/vectors/event-stream.json', import.meta.url);
  const file = JSON.parse(readFileSync(url, 'utf8')) as VectorFile;
  return file.streams.map(({ name, text, base64, items }) => ({
    name,
    bytes: (text === undefined ? decodeBase64(base64 ?? '') : utf8(text)) ?? new Uint8Array(),
    items: items.map(({ event = '', data = '', id = '', retry }) =>
      retry === undefined ? { kind: 'event', type: event, data, id } : { kind: 'retry', ms: retry },
    ),
  }));
}

/** Parses a stream that comes in pieces of these sizes; what is left comes at once. */
export function parseInPieces(bytes: Uint8Array, sizes: Iterable<number>): StreamItem[] {
  const parser = new EventStreamParser();
  const items: StreamItem[] = [];
  let start = 0;
  for (const size of sizes) {
    items.push(...parser.push(bytes.subarray(start, start + size)));
    start += size;
  }
  return [...items, ...parser.push(bytes.subarray(start))];
}

/** The same rules, read once more and without regard to cost: a whole stream at a time. */
export function parseSlowly(bytes: Uint8Array): StreamItem[] {
  const lines = new TextDecoder().decode(bytes).split(/\r\n|\n|\r/);
  lines.pop(); // What follows the last line end is not complete.
  const items: StreamItem[] = [];
  let id = '';
  let type = '';
  let data = '';
  for (const line of lines) {
    if (line === '') {
      const event = {
        kind: 'event',
        type: type || 'message',
        data: data.slice(0, -1),
        id,
      } as const;
      if (data !== '') items.push(event);
      type = '';
      data = '';
      continue;
    }
    const [, name = '', value = ''] = /^([^:]*)(?:: ?([^]*))?$/.exec(line) ?? [];
    if (name === 'data') data += `${value}\n`;
    if (name === 'event') type = value;
    if (name === 'id' && !value.includes('\0')) id = value;
    if (name === 'retry' && /^[0-9]+$/.test(value))
      items.push({ kind: 'retry', ms: Number(value) });
  }
  return items;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
