/** SSE: an event stream read with `fetch`, which unlike `EventSource` tells why it was refused. */
import { CodedError, decodeBase64, parsePosition } from '@trunkline/wire';
import type { RetryHint } from '../backoff.ts';
import { endingOf } from '../ending.ts';
import type { Ending } from '../ending.ts';
import { EventStreamParser } from '../event-stream.ts';
import type { StreamItem } from '../event-stream.ts';
import { asObject, parseObject, toCode, toGap, toOpening } from '../events.ts';
import type { ReceivedMessage } from '../events.ts';
import { addressOf, networkError, refusalOf, tokenHeaders } from '../http.ts';
import type { Platform } from '../platform.ts';
import { Watchdog } from '../watchdog.ts';
import { OPEN_MS_MAX, SILENCE_GRACE_MS } from './transport.ts';
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
  #ended = false;
  #hint: RetryHint = {};

  constructor(target: Target, sink: AttemptSink, platform: Platform) {
    this.#target = target;
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
      const { url, channel, after, last, partial, token } = this.#target;
      const query = { channel, after, last, partial: partial === true ? 1 : undefined };
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
    if (item.type === 'open') this.#open(item.data);
    else if (item.type === 'gap') this.#gap(item.data, item.id);
    else if (item.type === 'close') this.#goodbye(item.data);
    else if (item.type !== 'join' && item.type !== 'leave' && item.type !== 'error') {
      const message = this.#message(item.type, item.data, item.id);
      if (message !== undefined) this.#sink.onMessage(message);
      else this.#end({ kind: 'lost', reason: `the stream has an event without a position` });
    }
  }

  #open(data: string): void {
    const fields = parseObject(data) ?? {};
    const of = (name: string) => asObject(fields[name])?.[this.#target.channel];
    const opening = toOpening(of('positions'), of('recovered'), of('gaps'));
    if (opening !== undefined) this.#sink.onOpen(opening);
    else this.#end({ kind: 'lost', reason: 'the stream opened without a position' });
  }

  #gap(data: string, id: string): void {
    const fields = parseObject(data) ?? {};
    const gap = toGap(fields['gap']);
    const position = fields['position'] ?? id;
    if (gap !== undefined && typeof position === 'string') {
      this.#sink.onGap({ kind: 'gap', gap, position });
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
    if (position === undefined) return undefined;
    const { channel } = this.#target;
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
