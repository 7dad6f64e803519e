/** Event stream: server-sent events for one channel, over any one-way link. */
import type { Link, LinkHandler } from '../../link/link.ts';
import { EventStreamSession } from './session.ts';
import type { EventStreamParts, StreamRequest } from './session.ts';

/** Opens sessions. */
export class EventStreamProtocol {
  readonly name = 'eventstream';
  readonly #parts: EventStreamParts;

  constructor(parts: EventStreamParts) {
    this.#parts = parts;
  }

  /** Begins to serve a request that was admitted. */
  open(link: Link, request: StreamRequest): LinkHandler {
    const session = new EventStreamSession(this.#parts, link, request);
    void session.begin(); // Its failures end the link with a code.
    return session;
  }
}
