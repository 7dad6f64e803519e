/** EventStreamPeer: an event stream as a test sees it, comments and times to wait included. */
import { request as openRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { EventStreamParser } from '@trunkline/client/event-stream';
import type { StreamItem } from '@trunkline/client/event-stream';
import type { Fields } from './http.ts';
import { Queue, within } from './queue.ts';

/** An event of a stream. */
export type StreamEvent = Extract<StreamItem, { kind: 'event' }>;

/** An answer to a request for an event stream; a refusal as well. */
export class EventStreamPeer implements Disposable {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** All bytes as text, as they came. */
  text = '';
  /** The server's `retry:`, the last one. */
  retryMs: number | undefined;
  /** Resolves when the answer is over; true when it was complete, false when it was cut. */
  readonly ended: Promise<boolean>;
  readonly #request: ClientRequest;
  readonly #response: IncomingMessage;
  readonly #events = new Queue<StreamEvent>('an event');
  readonly #parser = new EventStreamParser();
  #onText: (() => void)[] = [];

  private constructor(request: ClientRequest, response: IncomingMessage) {
    this.#request = request;
    this.#response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    response.on('data', (piece: Buffer) => this.#take(piece));
    response.on('error', () => {}); // 'close' follows.
    this.ended = new Promise((resolve) => {
      response.on('close', () => {
        this.#events.end(new Error(`the event stream ended after ${this.text.slice(-300)}`));
        resolve(response.complete);
      });
    });
  }

  /** Asks for a stream. */
  static open(
    url: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<EventStreamPeer> {
    const opened = new Promise<EventStreamPeer>((resolve, reject) => {
      const request = openRequest(url, { headers, agent: false });
      request.on('error', reject);
      request.on('response', (response) => resolve(new EventStreamPeer(request, response)));
      request.end();
    });
    return within(opened, `an answer of ${url}`);
  }

  /** The next event. */
  next(): Promise<StreamEvent> {
    return this.#events.next();
  }

  /** The next event, which has to be of this type, with its data as JSON. */
  async expect<Shape = Fields>(
    type: string,
  ): Promise<{ readonly id: string; readonly data: Shape }> {
    const event = await this.next();
    if (event.type !== type) {
      throw new Error(`expected the event ${type}, got ${event.type}: ${event.data}`);
    }
    return { id: event.id, data: JSON.parse(event.data) as Shape };
  }

  /** Resolves as soon as the text has this part. */
  async seen(part: string): Promise<void> {
    while (!this.text.includes(part)) {
      await within(new Promise<void>((resolve) => this.#onText.push(resolve)), part);
    }
  }

  /** The whole body of a refusal as JSON. */
  async problem(): Promise<Fields> {
    await within(this.ended, 'the end of a refusal');
    return JSON.parse(this.text) as Fields;
  }

  /** Reads nothing any more; the system's buffers fill up. */
  freeze(): void {
    this.#response.pause();
  }

  /** Reads on. */
  thaw(): void {
    this.#response.resume();
  }

  [Symbol.dispose](): void {
    this.#request.destroy();
  }

  #take(piece: Buffer): void {
    this.text += piece.toString('utf8');
    for (const item of this.#parser.push(piece)) {
      if (item.kind === 'event') this.#events.push(item);
      else this.retryMs = item.ms;
    }
    for (const resolve of this.#onText.splice(0)) resolve();
  }
}
