/** Publish: messages into channels, over HTTP or over a session that keeps their order. */
import { CodedError, CODES, encodeBase64, oneLine } from '@trunkline/wire';
import type { Ending } from '../ending.ts';
import { asObject, toCode } from '../events.ts';
import { addressOf, currentToken, networkError, refusalOf, textOf, tokenHeaders } from '../http.ts';
import type { TokenSource } from '../http.ts';
import { platformOf } from '../platform.ts';
import type { Platform } from '../platform.ts';
import { Session } from './session.ts';
import type { Frame } from './session.ts';

/** A publish that got no answer for so long failed, and may have been stored. */
const ANSWER_MS_MAX = 30_000;

/** What to publish: exactly one of `data`, `source` and `bytes`. */
export interface Outgoing {
  /** A JSON value, or text when `contentType` is `text/…`. */
  readonly data?: unknown;
  /** JSON text, handed on as written, in which large numbers survive. */
  readonly source?: string;
  readonly bytes?: Uint8Array;
  readonly contentType?: string;
  /** A name for the kind of message. */
  readonly event?: string;
  /** Idempotency key: the same key again answers with the first position. */
  readonly key?: string;
  /** Keeps it as the channel's retained message. */
  readonly retain?: boolean;
  /** Volatile channels: what a slow reader gets only the newest message of. */
  readonly slot?: string;
  /** Milliseconds after which it is not delivered any more. */
  readonly ttl?: number;
}

/** It is in the log; or it was sent to who listens, where the channel is volatile. */
export interface Published {
  readonly channel: string;
  readonly offset?: number;
  readonly epoch?: string;
  readonly position?: string;
  readonly volatile?: true;
}

/** Where to publish, and as whom. */
export interface PublishOptions extends Partial<Platform> {
  readonly url: string;
  readonly token?: TokenSource;
  readonly signal?: AbortSignal;
}

/**
 * Publishes one message over HTTP.
 *
 * @throws {CodedError} whose `stored` says whether it may be in the log all the same. It is not
 *   tried again: with a `key` the caller may do so safely.
 */
export async function publish(
  options: PublishOptions,
  channel: string,
  message: Outgoing,
): Promise<Published> {
  const answer = await post(options, `{${publishMembers(channel, message)}}`);
  return toPublished(answer);
}

/** One of several messages. */
export interface BatchItem {
  readonly channel: string;
  readonly message: Outgoing;
}

/**
 * Publishes several messages in one request, in order. What failed has its error in its place.
 *
 * @throws {CodedError} when the request as a whole failed.
 */
export async function publishBatch(
  options: PublishOptions,
  items: readonly BatchItem[],
): Promise<(Published | CodedError)[]> {
  const body = items.map(({ channel, message }) => `{${publishMembers(channel, message)}}`);
  const answer = await post(options, `[${body.join(',')}]`);
  if (!Array.isArray(answer) || answer.length !== items.length) {
    throw new CodedError('internal', `expected ${items.length} answers to a batch`, {
      stored: 'unknown',
    });
  }
  return answer.map((one: unknown) => {
    const fields = asObject(one);
    return fields !== undefined && 'code' in fields ? toRefusal(fields) : toPublished(one);
  });
}

/** A session that publishes. What it is given in order gets offsets in that order. */
export interface Publisher {
  /** @throws {CodedError} as {@link publish} does. */
  publish(channel: string, message: Outgoing): Promise<Published>;
  /** Messages without an answer fail with `stored: 'unknown'`. Idempotent. */
  close(): void;
}

/**
 * Opens a session to publish over a WebSocket. It does not come back by itself: when it is lost,
 * every publish fails and the caller opens another.
 */
export async function openPublisher(options: PublishOptions): Promise<Publisher> {
  const token = await currentToken(options.token);
  const target = { url: options.url, ...(token === undefined ? {} : { token }) };
  return new Promise((resolve, reject) => {
    const handlers = {
      onWelcome: () => resolve({ publish: publishOver(session), close: () => session.close() }),
      onPush: () => {},
      onEnd: (ending: Ending) =>
        reject(
          ending.kind === 'lost' ? new CodedError('unavailable', ending.reason) : ending.error,
        ),
    };
    const session: Session = new Session(target, handlers, platformOf(options));
  });
}

function publishOver(session: Session): Publisher['publish'] {
  return (channel, message) =>
    new Promise<Frame>((resolve, reject) => {
      const members = `"type":"publish",${publishMembers(channel, message)}`;
      session.request(oneLine(members), (reply) => {
        if (reply.ok) resolve(reply.frame);
        else reject(reply.error);
      });
    }).then(({ fields }) => toPublished(fields));
}

/** The members of a publish. @throws {CodedError} when the message is none. */
function publishMembers(channel: string, message: Outgoing): string {
  const { contentType, event, key, retain, slot, ttl } = message;
  const rest = JSON.stringify({ contentType, event, key, retain, slot, ttl }).slice(1, -1);
  const members = `"channel":${JSON.stringify(channel)},${payloadMember(message)}`;
  return rest === '' ? members : `${members},${rest}`;
}

function payloadMember(message: Outgoing): string {
  const { data, source, bytes } = message;
  const given = [data, source, bytes].filter((payload) => payload !== undefined);
  if (given.length !== 1) throw unsent('give exactly one of data, source and bytes');
  if (bytes !== undefined) return `"bytes":"${encodeBase64(bytes)}"`;
  if (source === undefined) {
    // A function or a symbol has no JSON.
    const text = JSON.stringify(data) as string | undefined;
    if (text === undefined) throw unsent(`data must be a JSON value, got a ${typeof data}`);
    return `"data":${text}`;
  }
  try {
    // What is no JSON would break out of its member.
    JSON.parse(source);
  } catch (error) {
    throw unsent(`source must be JSON: ${error instanceof Error ? error.message : ''}`);
  }
  return `"data":${source}`;
}

async function post(options: PublishOptions, body: string): Promise<unknown> {
  const { clock, fetch } = platformOf(options);
  const token = await currentToken(options.token);
  const address = addressOf(options.url, 'http', 'publish');
  const aborter = new AbortController();
  const abort = () => aborter.abort(new CodedError('timeout', 'aborted', { stored: 'unknown' }));
  if (options.signal?.aborted === true) abort();
  options.signal?.addEventListener('abort', abort);
  const timer = clock.after(ANSWER_MS_MAX, () =>
    aborter.abort(new CodedError('timeout', 'no answer in time', { stored: 'unknown' })),
  );
  try {
    const response = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...tokenHeaders(token) },
      body,
      signal: aborter.signal,
    });
    if (response.status !== 200) throw withStored(await refusalOf(response), response.status);
    return JSON.parse(await textOf(response)) as unknown;
  } catch (error) {
    throw networkError(error, 'unknown');
  } finally {
    timer.cancel();
    options.signal?.removeEventListener('abort', abort);
  }
}

/** A gateway's failure says nothing of the log; a refusal below 500 was made before it. */
function withStored(error: CodedError, status: number): CodedError {
  if (error.stored !== undefined) return error;
  const { code, message, retryAfter } = error;
  return new CodedError(code, message, {
    stored: status < 500 ? false : 'unknown',
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}

function toPublished(answer: unknown): Published {
  const { channel, offset, epoch, position, volatile } = asObject(answer) ?? {};
  if (typeof channel === 'string' && volatile === true) return { channel, volatile };
  if (
    typeof channel !== 'string' ||
    typeof offset !== 'number' ||
    typeof epoch !== 'string' ||
    typeof position !== 'string'
  ) {
    throw new CodedError('internal', 'expected the answer to a publish', { stored: 'unknown' });
  }
  return { channel, offset, epoch, position };
}

function toRefusal(fields: Readonly<Record<string, unknown>>): CodedError {
  const { code, detail, title, message, retryAfter, stored } = fields;
  const text = [message, detail, title].find((one) => typeof one === 'string');
  const name = toCode(code, 'internal');
  const wasRefused = stored === false || (stored === undefined && CODES[name].http < 500);
  return new CodedError(name, typeof text === 'string' ? text : CODES[name].reason, {
    stored: wasRefused ? false : 'unknown',
    ...(typeof retryAfter === 'number' && retryAfter >= 0 ? { retryAfter } : {}),
  });
}

function unsent(message: string): CodedError {
  return new CodedError('bad_request', message, { stored: false });
}
