/** SSE: an event stream read with `fetch`, which unlike `EventSource` tells why it was refused. */
import { CodedError, decodeBase64, isWildcard, memberSource, parsePosition } from '@trunkline/wire';
import type { RetryHint } from '../../backoff.ts';
import { endingOf } from '../../ending.ts';
import type { Ending } from '../../ending.ts';
import { EventStreamParser } from '../../event-stream.ts';
import type { StreamItem } from '../../event-stream.ts';
import {
  asObject,
  parseObject,
  toCode,
  toGap,
  toMessage,
  toOpening,
  toPresence,
  toSnapshot,
} from '../../events.ts';
import type { PresenceEvent, ReceivedMessage, SnapshotEvent } from '../../events.ts';
import { addressOf, networkError, refusalOf, tokenHeaders } from '../../http.ts';
import type { Platform } from '../../platform.ts';
import { Watchdog } from '../../watchdog.ts';
import { OPEN_MS_MAX, queryOf, SILENCE_GRACE_MS } from './transport.ts';
import type { Attempt, AttemptSink, Target } from './transport.ts';

/** A comment comes at least so often. [SSE-7] */
const COMMENT_INTERVAL_MS = 15_000;

/** Receives over `GET /v1/sse`. */
export function openEventStream(target: Target, sink: AttemptSink, platform: Platform): Attempt {
  const stream = new EventStreamAttempt(target, sink, platform);
  // Every failure inside becomes an ending.
  void stream.run();
  return stream;
}

class EventStreamAttempt implements Attempt {
  readonly #target: Target;
  readonly #sink: AttemptSink;
  readonly #platform: Platform;
  readonly #aborter = new AbortController();
  readonly #isOne: boolean;
  #mark = '';
  #ended = false;
  #hint: RetryHint = {};

  constructor(target: Target, sink: AttemptSink, platform: Platform) {
    this.#target = target;
    const [first = ''] = target.channels;
    this.#isOne = target.channels.length === 1 && !isWildcard(first);
    this.#sink = sink;
    this.#platform = platform;
  }

  close(): void {
    this.#ended = true;
    this.#aborter.abort();
  }

  async run(): Promise<void> {
    const dialing = this.#watch(OPEN_MS_MAX, 'no answer in time');
    try {
      const { url, token } = this.#target;
      const query = queryOf(this.#target);
      const response = await this.#platform.fetch(addressOf(url, 'http', 'sse', query), {
        headers: { accept: 'text/event-stream', ...tokenHeaders(token) },
        cache: 'no-store',
        signal: this.#aborter.signal,
      });
      const ending = response.status === 200 ? undefined : endingOf(await refusalOf(response));
      dialing.stop();
      if (ending !== undefined) this.#end(ending);
      else await this.#read(response);
    } catch (error) {
      this.#end(endingOf(networkError(error), this.#hint));
    } finally {
      dialing.stop();
    }
  }

  async #read(response: Response): Promise<void> {
    const type = response.headers.get('content-type') ?? 'nothing';
    if (!/^text\/event-stream(?:\s*;|$)/i.test(type) || response.body === null) {
      const message = `expected text/event-stream from ${this.#target.url}, got ${type}`;
      this.#end({ kind: 'refused', error: new CodedError('bad_request', message) });
      return;
    }
    const parser = new EventStreamParser();
    const reader = response.body.getReader();
    while (!this.#ended) {
      const silence = this.#watch(COMMENT_INTERVAL_MS + SILENCE_GRACE_MS, 'the stream fell silent');
      const { done, value } = await reader.read().finally(() => silence.stop());
      if (done) break;
      for (const item of parser.push(value)) this.#take(item);
      // Not reading on is all the back-pressure that is needed: the server's cursor stops.
      await this.#sink.room();
    }
    this.#end({ kind: 'lost', reason: 'the stream ended', hint: this.#hint });
  }

  #take(item: StreamItem): void {
    if (this.#ended) return;
    if (item.kind === 'retry') {
      this.#hint = { notBeforeMs: item.ms };
      return;
    }
    const { type, data, id } = item;
    if (type === 'open') this.#open(data, id);
    else if (type === 'gap') this.#gap(data, id);
    else if (type === 'close') this.#goodbye(data);
    else if (type === 'snapshot') this.#other(toSnapshot(parseObject(data) ?? {}, sourceOf(data)));
    else if (PRESENCE.has(type)) this.#other(toPresence(type, parseObject(data) ?? {}));
    else if (type !== 'error') {
      const message = this.#isOne ? this.#message(type, data, id) : this.#object(data, id);
      if (message !== undefined) this.#sink.onMessage(message);
      else this.#end({ kind: 'lost', reason: `the stream has an event without a position` });
    }
    this.#follow(id);
  }

  /** The last id says where a stream of several channels stands, also when no event does. */
  #follow(id: string): void {
    if (this.#ended || this.#isOne || id === this.#mark || !id.startsWith('~')) return;
    this.#mark = id;
    this.#sink.onMark(this.#target.channels, id);
  }

  #other(event: PresenceEvent | SnapshotEvent | undefined): void {
    if (event !== undefined) this.#sink.onOther(event);
  }

  #open(data: string, id: string): void {
    const fields = parseObject(data) ?? {};
    const listed = fields['volatile'];
    const names: readonly unknown[] = Array.isArray(listed) ? listed : [];
    for (const channel of this.#target.channels) {
      const of = (name: string): unknown => asObject(fields[name])?.[channel];
      const place = this.#isOne ? {} : { mark: id.startsWith('~') ? id : undefined };
      const opening = toOpening(channel, {
        ...{ position: of('positions'), recovered: of('recovered'), gap: of('gaps') },
        ...{ ...place, volatile: names.includes(channel) },
      });
      if (opening !== undefined) this.#sink.onOpen(opening);
      else this.#end({ kind: 'lost', reason: 'the stream opened without a position' });
      if (this.#ended) return;
    }
  }

  /** With several channels an event is a message object. */
  #object(data: string, id: string): ReceivedMessage | undefined {
    const mark = id !== this.#mark && id.startsWith('~') ? { mark: id } : {};
    return toMessage({ ...parseObject(data), ...mark }, sourceOf(data));
  }

  #gap(data: string, id: string): void {
    const fields = parseObject(data) ?? {};
    const gap = toGap(fields['gap']);
    const [first = ''] = this.#target.channels;
    const { position = id, channel = first } = fields;
    if (gap !== undefined && typeof position === 'string' && typeof channel === 'string') {
      this.#sink.onGap({ kind: 'gap', channel, gap, position });
    }
  }

  #goodbye(data: string): void {
    const fields = parseObject(data) ?? {};
    const retryAfter = fields['retryAfter'];
    const error = new CodedError(
      toCode(fields['code'], 'unavailable'),
      'the server closed the stream',
      typeof retryAfter === 'number' && retryAfter >= 0 ? { retryAfter } : {},
    );
    this.#end(endingOf(error, this.#hint));
  }

  #message(type: string, data: string, id: string): ReceivedMessage | undefined {
    const position = parsePosition(id);
    // A volatile channel has no ids.
    if (position === undefined && id !== '') return undefined;
    const [channel = ''] = this.#target.channels;
    const isBytes = type.startsWith('bytes:');
    const event = isBytes ? type.slice('bytes:'.length) : type;
    return {
      kind: 'message',
      channel,
      ...position,
      ...payloadOf(data, isBytes),
      ...(event === 'message' || event === '' ? {} : { event }),
    };
  }

  #watch(limitMs: number, reason: string): Watchdog {
    return new Watchdog(this.#platform.clock, limitMs, () =>
      this.#end({ kind: 'lost', reason, hint: this.#hint }),
    );
  }

  #end(ending: Ending): void {
    if (this.#ended) return;
    this.close();
    this.#sink.onEnd(ending);
  }
}

/** Events that tell who is there. */
const PRESENCE = new Set(['join', 'leave', 'presence']);

/** The source of a payload in an object, if it is JSON text. */
function sourceOf(data: string): string | undefined {
  return parseObject(data) === undefined ? undefined : memberSource(data, 'data');
}

/** The stream says bytes from text; JSON is told from text by being JSON. */
function payloadOf(data: string, isBytes: boolean): Partial<ReceivedMessage> {
  const bytes = isBytes ? decodeBase64(data) : undefined;
  if (bytes !== undefined) return { bytes, contentType: 'application/octet-stream' };
  try {
    return { data: JSON.parse(data) as unknown, source: data };
  } catch {
    return { data, contentType: 'text/plain' };
  }
}
