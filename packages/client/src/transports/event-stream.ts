/**
 * Event stream: an incremental parser of `text/event-stream` (WHATWG HTML §9.2.6). Bytes in, events
 * out; it keeps no time and does no I/O, so that it works wherever `fetch` streams.
 */
import { CodedError } from '@trunkline/wire';

/** Characters of one line, and of the data of one event, that are kept. */
export const EVENT_LENGTH_MAX = 16 * 1024 * 1024;

/** What a piece of the stream brought. */
export type StreamItem =
  | {
      readonly kind: 'event';
      /** `message` unless the stream named it. */
      readonly type: string;
      readonly data: string;
      /** The last id seen so far; empty when there was none. */
      readonly id: string;
    }
  /** The server's reconnection time. */
  | { readonly kind: 'retry'; readonly ms: number };

/** Reads one stream from its first byte. An event that the end of the stream cuts off is nothing. */
export class EventStreamParser {
  // Strips one byte order mark at the very beginning, even if it comes in pieces (§9.2.5).
  readonly #decoder = new TextDecoder();
  /** The beginning of a line whose end has not come yet. */
  #line = '';
  /** True after a carriage return: a line feed that follows belongs to it. */
  #afterReturn = false;
  /** The last line ended an event, or is none of one. */
  #isBetween = true;
  #type = '';
  #data: string[] = [];
  #dataLength = 0;
  /** Of the event that is being read. */
  #nextId = '';
  #id = '';

  /** The last id that the stream told, with an event or without one. [SSE-10] */
  get id(): string {
    return this.#id;
  }

  /** False in the middle of an event. */
  get isBetweenEvents(): boolean {
    return this.#isBetween && this.#line === '';
  }

  /**
   * Takes the next bytes, cut anywhere.
   *
   * @throws {CodedError} `too_large` when a line or an event's data is over the bound.
   */
  push(bytes: Uint8Array): StreamItem[] {
    const text = this.#decoder.decode(bytes, { stream: true });
    const items: StreamItem[] = [];
    let start = 0;
    if (this.#afterReturn && text !== '') {
      this.#afterReturn = false;
      if (text.startsWith('\n')) start = 1;
    }
    const ends = /\r\n?|\n/g;
    ends.lastIndex = start;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      const item = this.#takeLine(this.#line + text.slice(start, end.index));
      if (item !== undefined) items.push(item);
      this.#line = '';
      start = ends.lastIndex;
      this.#afterReturn = end[0] === '\r' && start === text.length;
    }
    this.#line += text.slice(start);
    if (this.#line.length > EVENT_LENGTH_MAX) throw tooLong();
    return items;
  }

  #takeLine(line: string): StreamItem | undefined {
    this.#isBetween = line === '' || (this.#isBetween && line.startsWith(':'));
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon); // Empty for a comment.
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (name === 'data') {
      this.#data.push(value);
      this.#dataLength += value.length + 1;
      if (this.#dataLength > EVENT_LENGTH_MAX) throw tooLong();
    } else if (name === 'event') {
      this.#type = value;
    } else if (name === 'id') {
      if (!value.includes('\0')) this.#nextId = value;
    } else if (name === 'retry' && /^[0-9]+$/.test(value)) {
      return { kind: 'retry', ms: Number(value) };
    }
    return undefined;
  }

  #dispatch(): StreamItem | undefined {
    const type = this.#type || 'message';
    const data = this.#data;
    this.#type = '';
    this.#data = [];
    this.#dataLength = 0;
    this.#id = this.#nextId;
    // No data field, no event. A lone empty one is an event with empty data: its line feed counts.
    if (data.length === 0) return undefined;
    return { kind: 'event', type, data: data.join('\n'), id: this.#id };
  }
}

function tooLong(): CodedError {
  return new CodedError('too_large', `an event is longer than ${EVENT_LENGTH_MAX} characters`);
}
