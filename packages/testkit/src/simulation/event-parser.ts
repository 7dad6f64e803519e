/** EventParser: a reader of `text/event-stream` (WHATWG HTML §9.2.6), as a browser has one. */

/** One event, dispatched or not. */
export interface ParsedEvent {
  /** True when the stream named the id with this event. */
  readonly hasId: boolean;
  /** False for one without data: it is not dispatched, but its id is remembered. */
  readonly isDispatched: boolean;
  /** The last id the stream has named; it holds until it names another. */
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

/** Takes a stream in pieces that may end anywhere. */
export class EventParser {
  #rest = '';
  #id: string | undefined;
  #hasId = false;
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
    if (name === 'id') {
      this.#id = value;
      this.#hasId = true;
    } else if (name === 'event') this.#event = value;
    else if (name === 'data') this.#data.push(value);
  }

  #dispatch(events: ParsedEvent[]): void {
    const data = this.#data;
    const event = this.#event === '' ? 'message' : this.#event;
    const hasId = this.#hasId;
    this.#data = [];
    this.#event = '';
    this.#hasId = false;
    const isDispatched = data.length > 0;
    if (isDispatched || hasId) {
      events.push({ id: this.#id, event, data: data.join('\n'), hasId, isDispatched });
    }
  }
}
