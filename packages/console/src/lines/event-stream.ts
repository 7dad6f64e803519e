/** Event stream: `text/event-stream` read piece by piece (WHATWG HTML §9.2.6). */

/** One block of the stream. */
export interface StreamEvent {
  readonly type: string;
  /** Absent in a block that has none: it only moves the id, and an `EventSource` dispatches nothing. */
  readonly data?: string;
  /** The id that this block itself carries. */
  readonly id?: string;
}

/** Reads events from a stream in whatever pieces it comes; comments and `retry:` are passed over. */
export class EventStreamReader {
  readonly #decoder = new TextDecoder();
  /** A line that has not ended yet. */
  #rest = '';
  #type = '';
  #data: string[] = [];
  #id: string | undefined;

  /** The events that are whole with this piece. */
  push(piece: Uint8Array): StreamEvent[] {
    const text = this.#rest + this.#decoder.decode(piece, { stream: true });
    // A CR at the end may be half of a CR LF.
    const lines = text.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    const events: StreamEvent[] = [];
    for (const line of lines) {
      if (line !== '') this.#take(line);
      else events.push(...this.#end());
    }
    return events;
  }

  #take(line: string): void {
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') this.#type = value;
    else if (name === 'data') this.#data.push(value);
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
  }

  #end(): StreamEvent[] {
    const type = this.#type === '' ? 'message' : this.#type;
    const data = this.#data.length === 0 ? {} : { data: this.#data.join('\n') };
    const id = this.#id === undefined ? {} : { id: this.#id };
    const isEmpty = this.#data.length === 0 && this.#id === undefined;
    this.#type = '';
    this.#data = [];
    this.#id = undefined;
    return isEmpty ? [] : [{ type, ...data, ...id }];
  }
}
