/**
 * The line over SSE: `/v1/sse`, read with `fetch`.
 *
 * An `EventSource` hears only event names that it was told of, passes over ids without an event,
 * which tell what expired [SSE-10], and says nothing of why it was refused. Reading the stream
 * itself, nothing is passed over.
 */
import { CODES, isCodeName, isMark, parsePosition } from '@trunkline/wire';
import type { WireMessage } from '@trunkline/wire';
import { isMany } from '../filters.ts';
import { EventStreamReader } from './event-stream.ts';
import type { StreamEvent } from './event-stream.ts';
import { createLine } from './line.ts';
import type { Attempt, HangUp, Line, LineMessage, LineOptions } from './line.ts';
import {
  beginningOf,
  entryOf,
  gapOf,
  isTemporary,
  parseJson,
  toLineMessage,
  toPresence,
  toSnapshot,
} from './read.ts';
import { refusalOf } from './refusal.ts';

/** From the request to the first byte, and between any two after it: a comment comes every 15 s. */
const SILENCE_MS_MAX = 30_000;

const BYTES_PREFIX = 'bytes:';

/** Opens a line over SSE. */
export function connect(options: LineOptions): Line {
  return createLine(dial, options);
}

function dial(attempt: Attempt): HangUp {
  const stream = new Stream(attempt);
  void stream.run(); // Never rejects: every failure is a loss.
  return () => stream.hangUp();
}

class Stream {
  readonly #attempt: Attempt;
  readonly #aborter = new AbortController();
  readonly #isMany: boolean;
  #cancelSilence: () => void = () => {};

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
    this.#isMany = isMany(attempt.filters);
  }

  hangUp(): void {
    this.#cancelSilence();
    this.#aborter.abort();
  }

  async run(): Promise<void> {
    const attempt = this.#attempt;
    this.#expectMore();
    try {
      const headers = new Headers({ accept: 'text/event-stream' });
      if (attempt.token !== undefined) headers.set('authorization', `Bearer ${attempt.token}`);
      const { signal } = this.#aborter;
      const response = await fetch(this.#url(), { headers, signal, cache: 'no-store' });
      if (response.status !== 200 || response.body === null) await this.#onRefusal(response);
      else await this.#read(response, response.body);
    } catch {
      attempt.lost('the connection broke');
    }
  }

  #url(): URL {
    const { server, filters, takesPart } = this.#attempt;
    const url = new URL('/v1/sse', server);
    for (const filter of filters) url.searchParams.append('channel', filter);
    const after = this.#attempt.after();
    if (after !== undefined) url.searchParams.set('after', after);
    if (takesPart) url.searchParams.set('presence', '1');
    if (!this.#isMany) url.searchParams.set('snapshot', '1');
    return url;
  }

  async #read(response: Response, body: ReadableStream<Uint8Array>): Promise<void> {
    const attempt = this.#attempt;
    const compression = response.headers.get('content-encoding') ?? '';
    attempt.tell({ kind: 'carrier', carrier: { compression } });
    const events = new EventStreamReader();
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (this.#aborter.signal.aborted) return;
      if (done) break;
      this.#expectMore();
      attempt.tell({ kind: 'bytes', count: value.length });
      for (const event of events.push(value)) this.#onEvent(event);
    }
    attempt.lost('the stream ended');
  }

  async #onRefusal(response: Response): Promise<void> {
    const refusal = await refusalOf(response);
    if (refusal.kind === 'refused') this.#attempt.refused(refusal.reason);
    else this.#attempt.lost(refusal.reason, refusal.retryAfterMs);
  }

  #onEvent({ type, data, id }: StreamEvent): void {
    const attempt = this.#attempt;
    if (data === undefined) {
      if (id !== undefined) this.#onId(id);
      return;
    }
    switch (type) {
      case 'open':
        this.#onOpen(parseJson(data), id);
        return;
      case 'gap':
        this.#onGap(parseJson(data), id);
        return;
      case 'close':
        this.#onClose(parseJson(data));
        return;
      case 'snapshot': {
        const told = parseJson(data);
        const channel = String(entryOf(told, 'channel'));
        attempt.tell({ kind: 'snapshot', snapshot: toSnapshot(channel, told) });
        return;
      }
      case 'presence':
      case 'join':
      case 'leave': {
        const news = toPresence(type, parseJson(data));
        if (news !== undefined) attempt.tell({ kind: 'presence', news });
        return;
      }
      default:
        if (this.#isMany) this.#onObject(data, id);
        else attempt.message(this.#toMessage(type, data, id));
    }
  }

  #onOpen(told: unknown, id: string | undefined): void {
    const { filters } = this.#attempt;
    const session = entryOf(told, 'session');
    if (typeof session === 'string') this.#attempt.tell({ kind: 'session', session });
    for (const filter of filters) {
      const named = entryOf(entryOf(told, 'positions'), filter);
      this.#attempt.begun(beginningOf(filter, told, named ?? id));
    }
  }

  /** With several channels an event is a message object, and its id is a mark [SSE-9]. */
  #onObject(data: string, id: string | undefined): void {
    const told = parseJson(data);
    if (typeof entryOf(told, 'channel') !== 'string') return;
    this.#attempt.message(toLineMessage(told as WireMessage));
    if (id !== undefined) this.#onId(id);
  }

  #toMessage(type: string, data: string, id: string | undefined): LineMessage {
    const isBytes = type.startsWith(BYTES_PREFIX);
    const event = isBytes ? type.slice(BYTES_PREFIX.length) : type;
    const position = parsePosition(id ?? '');
    return {
      channel: this.#attempt.filters[0] ?? '',
      kind: isBytes ? 'bytes' : 'json',
      payload: data,
      ...(position === undefined ? {} : { position }),
      ...(event === 'message' ? {} : { event }),
    };
  }

  /** Where the stream stands when no message says so [SSE-10]. */
  #onId(id: string): void {
    const { filters } = this.#attempt;
    if (isMark(id)) {
      this.#attempt.marked(filters, id);
      return;
    }
    const [channel = ''] = filters;
    const at = parsePosition(this.#attempt.placeOf(channel) ?? '');
    const to = parsePosition(id);
    if (to === undefined) return;
    // What is passed over without a message has expired [MSG-6].
    const from = at?.epoch === to.epoch ? at.offset + 1 : 1;
    if (from <= to.offset) this.#attempt.expired(channel, to.epoch, from, to.offset);
  }

  #onGap(told: unknown, id: string | undefined): void {
    const [first = ''] = this.#attempt.filters;
    const { channel = first, position = id } = (told ?? {}) as Readonly<Record<string, unknown>>;
    const gap = gapOf(entryOf(told, 'gap')) ?? { reason: 'unknown' };
    this.#attempt.gap(String(channel), gap, parsePosition(String(position)));
  }

  #onClose(told: unknown): void {
    const code = entryOf(told, 'code');
    const retryAfter = entryOf(told, 'retryAfter');
    const reason = isCodeName(code) ? CODES[code].reason : 'the server ended the stream';
    if (!isTemporary(code)) this.#attempt.refused(reason);
    else this.#attempt.lost(reason, typeof retryAfter === 'number' ? retryAfter : 0);
  }

  #expectMore(): void {
    this.#cancelSilence();
    this.#cancelSilence = this.#attempt.pace.after(SILENCE_MS_MAX, () => {
      this.#attempt.lost('the server stopped answering');
    });
  }
}
