/** SSE: event streams, read with `fetch`, which unlike `EventSource` tells why it was refused. */
import { CodedError, decodeBase64, parsePosition } from '@trunkline/wire';
import type { Frame } from '../encodings/encoding.ts';
import {
  asObject,
  parseObject,
  toCode,
  toGap,
  toMessage,
  toPresence,
  toSnapshot,
} from '../events.ts';
import type { ReceivedMessage } from '../events.ts';
import { refusalOf } from '../http.ts';
import { EventStreamParser } from './event-stream.ts';
import { openHttp } from './http-reading.ts';
import type { HttpAttempt, Read, Reader } from './http-reading.ts';
import { typeOf } from './http-requests.ts';
import { openingOf } from './poll-answer.ts';
import { queryOf } from './read-plan.ts';
import { OPEN_MS_MAX, SILENCE_GRACE_MS } from './transport.ts';
import type { Transport } from './transport.ts';

/** A comment comes at least so often. [SSE-7] */
const COMMENT_INTERVAL_MS = 15_000;

const NO_HEAD =
  'no answer in time: over HTTP/1.1 a browser has six connections to a server, and other tabs may ' +
  'hold them all';
const NO_EVENT =
  'the answer came but none of its events: a proxy on the way holds event streams back';

/** Events that tell who is there. */
const PRESENCE = new Set(['join', 'leave', 'presence']);

/** Works wherever HTTP streams, and needs no upgrade. */
export const sse: Transport = {
  name: 'sse',
  fault: () =>
    typeof Response === 'function' && 'body' in Response.prototype
      ? undefined
      : 'fetch can not stream in this runtime',
  open: (target, sink, platform) => openHttp(reader, target, sink, platform),
};

const reader: Reader = {
  streams: true,
  read: (attempt, read) => new EventStream(attempt, read).run(),
};

/** One stream, from its request to its end. */
class EventStream {
  readonly #attempt: HttpAttempt;
  readonly #read: Read;
  readonly #parser = new EventStreamParser();
  /** True when messages keep the text that they come from. */
  readonly #keepsSource: boolean;
  /** The last id that was told on. */
  #id = '';
  #hasOpened = false;

  constructor(attempt: HttpAttempt, read: Read) {
    this.#attempt = attempt;
    this.#read = read;
    this.#keepsSource = attempt.target.encoding.eventOf('{"data":1}').source !== undefined;
  }

  /** Reads until the signal aborts. @throws {Error} when the stream ends otherwise. */
  async run(): Promise<void> {
    const { signal, wishes } = this.#read;
    const { clock } = this.#attempt.platform;
    let reason = NO_HEAD;
    const dialing = clock.after(OPEN_MS_MAX, () =>
      this.#attempt.end({ kind: 'lost', reason, isTimeout: true }),
    );
    try {
      const headers = { accept: 'text/event-stream' };
      const response = await this.#attempt.fetch('sse', queryOf(wishes), { signal, headers });
      if (response.status !== 200) throw await refusalOf(response);
      const type = typeOf(response);
      if (!/^text\/event-stream\b/i.test(type) || response.body === null) {
        throw new CodedError('bad_request', `expected text/event-stream, got ${type || 'nothing'}`);
      }
      reason = NO_EVENT;
      const source = response.body.getReader();
      while (!signal.aborted) {
        await this.#take(source.read());
        if (this.#hasOpened) dialing.cancel();
        // Not reading on is all the back-pressure that is needed: the server's cursor stops.
        await this.#attempt.sink.room();
      }
    } finally {
      dialing.cancel();
    }
  }

  /** Takes the next piece of the stream. */
  async #take(piece: Promise<ReadableStreamReadResult<Uint8Array>>): Promise<void> {
    const { signal } = this.#read;
    const limitMs = COMMENT_INTERVAL_MS + SILENCE_GRACE_MS;
    const { done, value } = await (this.#hasOpened
      ? this.#attempt.within(limitMs, 'the stream fell silent', piece)
      : piece);
    if (done) throw new CodedError('unavailable', 'the stream ended');
    this.#read.heardMs = this.#attempt.platform.clock.monotonicMs();
    for (const item of this.#parser.push(value)) {
      if (signal.aborted) return;
      if (item.kind === 'retry') this.#attempt.hint = { notBeforeMs: item.ms };
      else this.#onEvent(item.type, item.data, item.id);
    }
    this.#follow(this.#parser.id, false);
  }

  #onEvent(type: string, data: string, id: string): void {
    const { sink, target } = this.#attempt;
    const { filters } = this.#read;
    if (type === 'open') {
      this.#open(parseObject(data) ?? {}, id);
    } else if (type === 'gap') {
      const { channel, position, gap } = parseObject(data) ?? {};
      const lost = toGap(gap);
      if (lost !== undefined && typeof channel === 'string' && typeof position === 'string') {
        sink.onGap({ kind: 'gap', channel, gap: lost, position }, filters);
      }
    } else if (type === 'close') {
      const { code, retryAfter } = parseObject(data) ?? {};
      const wait = typeof retryAfter === 'number' && retryAfter >= 0 ? { retryAfter } : {};
      throw new CodedError(toCode(code, 'unavailable'), 'the server closed the stream', wait);
    } else if (type === 'snapshot') {
      const { fields, source } = target.encoding.eventOf(data);
      const snapshot = toSnapshot(fields, source);
      if (snapshot !== undefined) sink.onSnapshot(snapshot);
    } else if (PRESENCE.has(type)) {
      const event = toPresence(type, parseObject(data) ?? {});
      if (event !== undefined) sink.onPresence(event);
    } else if (type !== 'error') {
      const message = this.#message(type, data, id);
      if (message === undefined) throw new CodedError('internal', 'an event without a position');
      sink.onMessage(message, filters);
    }
    this.#follow(id, true);
  }

  #open(fields: Frame['fields'], id: string): void {
    const { session } = fields;
    const positions = asObject(fields['positions']) ?? {};
    this.#hasOpened = true;
    this.#id = id;
    this.#read.opened(typeof session === 'string' ? session : undefined);
    const { filters, places, signal } = this.#read;
    for (const filter of filters) {
      if (signal.aborted) return;
      // Where no mark can be said the one before stays good.
      const mark = id || places.get(filter);
      this.#attempt.sink.onOpen(openingOf(filter, fields, positions[filter], mark));
    }
  }

  /**
   * Goes on to the last id. It says where a stream of several channels stands, and for one channel
   * what was left out, if it comes without an event [SSE-10].
   */
  #follow(id: string, hasEvent: boolean): void {
    const { filters, only, signal } = this.#read;
    if (id === this.#id || signal.aborted) return;
    this.#id = id;
    if (only === undefined) {
      if (id.startsWith('~')) this.#attempt.sink.onMark(filters, id);
    } else if (!hasEvent) this.#attempt.sink.onExpired(only, id);
  }

  /** With one channel an event is its payload: bytes are told from text, JSON by being JSON. */
  #message(type: string, data: string, id: string): ReceivedMessage | undefined {
    const { only: channel } = this.#read;
    if (channel === undefined) {
      const { fields, source } = this.#attempt.target.encoding.eventOf(data);
      return toMessage(fields, source);
    }
    const position = parsePosition(id);
    // A volatile channel has no ids.
    if (position === undefined && id !== '') return undefined;
    const isBytes = type.startsWith('bytes:');
    const event = isBytes ? type.slice('bytes:'.length) : type;
    return {
      kind: 'message',
      channel,
      ...position,
      ...(isBytes ? bytesOf(data) : payloadOf(data, this.#keepsSource)),
      ...(event !== 'message' && { event }),
    };
  }
}

function bytesOf(data: string): Partial<ReceivedMessage> {
  const bytes = decodeBase64(data) ?? new Uint8Array();
  return { bytes, contentType: 'application/octet-stream' };
}

function payloadOf(data: string, keepsSource: boolean): Partial<ReceivedMessage> {
  try {
    return { data: JSON.parse(data) as unknown, ...(keepsSource && { source: data }) };
  } catch {
    return { data, contentType: 'text/plain' };
  }
}
