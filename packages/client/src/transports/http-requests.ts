/**
 * HTTP requests: what a connection asks beside reading, where it reads over HTTP.
 *
 * Publishes keep their order: one request is under way at a time, and the next carries all that came
 * meanwhile. Where nobody knows what became of one, those behind it are not sent: they fail as not
 * stored, so that whoever sends them again can keep the order. Everything else is asked at once.
 */
import { CodedError, CODES } from '@trunkline/wire';
import type { Frame } from '../encodings/encoding.ts';
import { asObject, parseObject, toCode } from '../events.ts';
import { addressOf, bytesOf, networkError, refusalOf, textOf, tokenHeaders } from '../http.ts';
import type { Query } from '../http.ts';
import type { Platform } from '../platform.ts';
import type { Ask, Target } from './transport.ts';

/** A request that got no answer for so long failed. */
export const ANSWER_MS_MAX = 30_000;

/** Publishes of one request; a server takes twice as many. [HTTP-13] */
export const PUBLISHES_PER_REQUEST_MAX = 500;

/** Characters of them, unless one alone has more: in UTF-8 less than the 1 MB of a body. */
export const PUBLISHES_LENGTH_MAX = 256 * 1024;

/** A publish that waits for its turn. */
interface Waiting {
  readonly members: string;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: CodedError) => void;
}

/** Asks the server, one request for each question, until it is closed. */
export class HttpRequests {
  /** Of the requests that are begun from now on. */
  token: string | undefined;
  readonly #target: Target;
  readonly #platform: Platform;
  readonly #onStale: (error: CodedError) => void;
  readonly #aborter = new AbortController();
  #waiting: Waiting[] = [];
  #isPublishing = false;

  /** @param onStale hears that the token is not taken any more. */
  constructor(target: Target, platform: Platform, onStale: (error: CodedError) => void) {
    this.#target = target;
    this.#platform = platform;
    this.#onStale = onStale;
    this.token = target.token;
  }

  /** As `Attempt.request`. @throws {CodedError} */
  async request(ask: Ask): Promise<Frame> {
    if (ask.kind === 'call') throw new CodedError('not_found', 'there are no calls over HTTP');
    if (ask.kind === 'publish') {
      return new Promise((resolve, reject) => {
        if (this.#aborter.signal.aborted) reject(unsent());
        else this.#waiting.push({ members: ask.members, resolve, reject });
        void this.#publishAll(); // Each failure is that of its publish.
      });
    }
    const { encoding } = this.#target;
    const query = { channel: ask.channel, ...ask.query };
    return this.#fetch(ask.kind, query, {}, async (response) => {
      if (ask.kind === 'presence') return { fields: parseObject(await textOf(response)) ?? {} };
      return encoding.answerOf(await bytesOf(response), typeOf(response));
    });
  }

  /** Publishes without an answer; dropped while a whole request of others waits. */
  send(members: string): void {
    if (this.#waiting.length >= PUBLISHES_PER_REQUEST_MAX) return;
    this.request({ kind: 'publish', members }).catch(() => {}); // Nobody asked.
  }

  /** What has no answer yet is rejected. Idempotent. */
  close(): void {
    this.#aborter.abort();
    this.#refuseWaiting();
  }

  async #publishAll(): Promise<void> {
    if (this.#isPublishing) return;
    this.#isPublishing = true;
    await Promise.resolve(); // What is published in one go is one request.
    while (this.#waiting.length > 0) {
      const batch = this.#nextBatch();
      try {
        const answers = await this.#post(batch);
        for (const [index, { resolve, reject }] of batch.entries()) {
          const fields = asObject(answers[index]) ?? {};
          if ('code' in fields) reject(toRefusal(fields));
          else resolve({ fields });
        }
      } catch (error) {
        const failure = error as CodedError; // Whatever it was.
        for (const { reject } of batch) reject(failure);
        // Nothing may overtake what may yet be stored, or is sent again.
        if (failure.stored !== false || CODES[failure.code].temporary) this.#refuseWaiting();
      }
    }
    this.#isPublishing = false;
  }

  #nextBatch(): Waiting[] {
    let length = 0;
    const end = this.#waiting.findIndex(({ members }, index) => {
      length += members.length;
      return index === PUBLISHES_PER_REQUEST_MAX || (index > 0 && length > PUBLISHES_LENGTH_MAX);
    });
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
  }

  /** One answer for each, in their order. [HTTP-12] */
  async #post(batch: readonly Waiting[]): Promise<readonly unknown[]> {
    const body = `[${batch.map(({ members }) => `{${members}}`).join()}]`;
    const headers = { 'content-type': 'application/json' };
    return this.#fetch('publish', {}, { method: 'POST', headers, body }, async (response) => {
      const answers: unknown = JSON.parse(await textOf(response));
      if (Array.isArray(answers) && answers.length === batch.length) return answers as unknown[];
      throw new CodedError('internal', `expected ${batch.length} answers`, { stored: 'unknown' });
    });
  }

  /** @throws {CodedError} */
  async #fetch<T>(
    call: string,
    query: Query,
    init: RequestInit,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const { clock, fetch } = this.#platform;
    const { url, encoding } = this.#target;
    const { signal } = this.#aborter;
    if (signal.aborted) throw unsent();
    const stored = call === 'publish' ? 'unknown' : undefined;
    const aborter = new AbortController();
    const end = () => aborter.abort(new CodedError('unavailable', CLOSED, told(stored)));
    const timer = clock.after(ANSWER_MS_MAX, () =>
      aborter.abort(new CodedError('timeout', 'no answer in time', told(stored))),
    );
    signal.addEventListener('abort', end);
    try {
      const response = await fetch(addressOf(url, 'http', call, query), {
        cache: 'no-store',
        ...init,
        headers: {
          accept: acceptOf(encoding.mediaType),
          ...tokenHeaders(this.token),
          ...(init.headers as Record<string, string> | undefined),
        },
        signal: aborter.signal,
      });
      if (response.status === 200) return await read(response);
      throw this.#refusal(await refusalOf(response), call, response.status);
    } catch (error) {
      throw networkError(error, stored);
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', end);
    }
  }

  /** A gateway's failure says nothing of the log; a refusal below 500 was made before it. */
  #refusal(refusal: CodedError, call: string, status: number): CodedError {
    const { code, message, retryAfter, stored = status < 500 ? false : 'unknown' } = refusal;
    const isStale = code === 'unauthenticated';
    const error = new CodedError(isStale ? 'unavailable' : code, message, {
      ...(call === 'publish' && { stored }),
      ...(retryAfter === undefined ? {} : { retryAfter }),
    });
    // What was asked is as good as before: it is to be asked again with another token.
    if (isStale) this.#onStale(refusal);
    return error;
  }

  #refuseWaiting(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(unsent());
  }
}

/** The `Accept` of what has messages in it: a server without binary answers JSON. */
export function acceptOf(mediaType: string): string {
  return mediaType === JSON_TYPE ? JSON_TYPE : `${mediaType}, ${JSON_TYPE};q=0.5`;
}

/** What an answer is written in. */
export function typeOf(response: Response): string {
  return response.headers.get('content-type') ?? '';
}

const JSON_TYPE = 'application/json';
const CLOSED = 'the connection was closed';

function unsent(): CodedError {
  return new CodedError('unavailable', CLOSED, { stored: false });
}

function told(stored: 'unknown' | undefined): { readonly stored?: 'unknown' } {
  return stored === undefined ? {} : { stored };
}

/** The answer to one of several that were published. */
function toRefusal(fields: Readonly<Record<string, unknown>>): CodedError {
  const { code, message, retryAfter, stored } = fields;
  const name = toCode(code, 'internal');
  const wasRefused = stored === false || (stored === undefined && CODES[name].http < 500);
  return new CodedError(name, typeof message === 'string' ? message : name, {
    stored: wasRefused ? false : 'unknown',
    ...(typeof retryAfter === 'number' && retryAfter >= 0 ? { retryAfter } : {}),
  });
}
