/** EventParser: a reader of `text/event-stream` (WHATWG HTML §9.2.6), as a browser has one. */

/** One dispatched event. */
export interface ParsedEvent {
  /** The last id the stream has named; it holds until it names another. */
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

/** Takes a stream in pieces that may end anywhere. */
export class EventParser {
  #rest = '';
  #id: string | undefined;
  #event = '';
  #data: string[] = [];

  /** The events that end in this piece. */
  parse(piece: string): ParsedEvent[] {
    const events: ParsedEvent[] = [];
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') this.#dispatch(events);
      else this.#field(line);
    }
    return events;
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'id') this.#id = value;
    else if (name === 'event') this.#event = value;
    else if (name === 'data') this.#data.push(value);
  }

  #dispatch(events: ParsedEvent[]): void {
    const data = this.#data;
    const event = this.#event === '' ? 'message' : this.#event;
    this.#data = [];
    this.#event = '';
    if (data.length > 0) events.push({ id: this.#id, event, data: data.join('\n') });
  }
}
