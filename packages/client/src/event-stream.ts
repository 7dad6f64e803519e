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
  readonly #decoder = new TextDecoder('utf-8');
  /** The beginning of a line whose end has not come yet. */
  #line = '';
  /** True after a carriage return: a line feed that follows belongs to it. */
  #afterReturn = false;
  #type = '';
  #data: string[] = [];
  #dataLength = 0;
  #id = '';

  /**
   * Takes the next bytes, cut anywhere.
   *
   * @throws {CodedError} `too_large` when a line or an event's data is over the bound.
   */
  push(bytes: Uint8Array): StreamItem[] {
    const text = this.#decoder.decode(bytes, { stream: true });
    const items: StreamItem[] = [];
    let start = 0;
    if (this.#afterReturn && text.length > 0) {
      this.#afterReturn = false;
      if (text.charCodeAt(0) === 0x0a) start = 1;
    }
    const ends = /[\r\n]/g;
    ends.lastIndex = start;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      const line = this.#line + text.slice(start, end.index);
      this.#line = '';
      start = end.index + 1;
      if (end[0] === '\r') {
        if (start === text.length) this.#afterReturn = true;
        else if (text.charCodeAt(start) === 0x0a) start += 1;
        ends.lastIndex = start;
      }
      const item = this.#takeLine(line);
      if (item !== undefined) items.push(item);
    }
    this.#line += text.slice(start);
    if (this.#line.length > EVENT_LENGTH_MAX) throw tooLarge('a line');
    return items;
  }

  #takeLine(line: string): StreamItem | undefined {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return undefined; // A comment.
    const name = colon < 0 ? line : line.slice(0, colon);
    const from = line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1;
    return this.#takeField(name, colon < 0 ? '' : line.slice(from));
  }

  #takeField(name: string, value: string): StreamItem | undefined {
    if (name === 'data') {
      this.#data.push(value);
      this.#dataLength += value.length + 1;
      if (this.#dataLength > EVENT_LENGTH_MAX) throw tooLarge('the data of an event');
    } else if (name === 'event') {
      this.#type = value;
    } else if (name === 'id') {
      if (!value.includes('\0')) this.#id = value;
    } else if (name === 'retry' && /^[0-9]+$/.test(value)) {
      return { kind: 'retry', ms: Number(value) };
    }
    return undefined;
  }

  #dispatch(): StreamItem | undefined {
    const type = this.#type === '' ? 'message' : this.#type;
    const data = this.#data;
    this.#type = '';
    this.#data = [];
    this.#dataLength = 0;
    // No data field, no event. A lone empty one is an event with empty data: its line feed counts.
    if (data.length === 0) return undefined;
    return { kind: 'event', type, data: data.join('\n'), id: this.#id };
  }
}

function tooLarge(what: string): CodedError {
  return new CodedError(
    'too_large',
    `${what} of the event stream is longer than ${EVENT_LENGTH_MAX} characters`,
  );
}
