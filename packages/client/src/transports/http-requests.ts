/**
 * HTTP requests: what a connection asks beside reading, where it reads over HTTP.
 *
 * Publishes keep their order: one request is under way at a time, and the next carries all that came
 * meanwhile. Where nobody knows what became of one, those behind it are not sent: they fail as not
 * stored, so that whoever sends them again can keep the order. Everything else is asked at once.
 */
import { CODE_RULES, CodedError } from '@trunkline/wire';
import type { CodeName } from '@trunkline/wire';
import type { Encoding, Frame } from '../encodings/encoding.ts';
import { asObject, toCode, toError } from '../events.ts';
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
    if (ask.kind === PUBLISH) {
      return new Promise((resolve, reject) => {
        if (this.#aborter.signal.aborted) reject(unsent());
        else this.#waiting.push({ members: ask.members, resolve, reject });
        void this.#publishAll(); // Each failure is that of its publish.
      });
    }
    const { encoding } = this.#target;
    const headers = { accept: acceptOf(encoding) };
    const query = { channel: ask.channel, ...ask.query };
    return this.#ask(ask.kind, query, { headers }, (response) => answerOf(response, encoding));
  }

  /** Begins a request below `/v1/` with the present token. */
  async fetch(call: string, query: Query, init: RequestInit): Promise<Response> {
    const response = await this.#platform.fetch(addressOf(this.#target.url, 'http', call, query), {
      cache: 'no-store',
      // The server redirects nobody: it is a page to log in to a network, or the address is another.
      redirect: 'manual',
      ...init,
      headers: { ...tokenHeaders(this.token), ...(init.headers as object) },
    });
    const { status, type } = response;
    const isRedirect = status >= 300 && status < 400 && status !== 304;
    if (!isRedirect && type !== 'opaqueredirect') return response;
    await response.body?.cancel();
    throw new Error('redirected to another address');
  }

  /** Publishes without an answer; dropped while a whole request of others waits. */
  send(members: string): void {
    if (this.#waiting.length >= PUBLISHES_PER_REQUEST_MAX) return;
    this.request({ kind: PUBLISH, members }).catch(() => {}); // Nobody asked.
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
        if (failure.stored !== false || CODE_RULES[failure.code].temporary) this.#refuseWaiting();
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
  #post(batch: readonly Waiting[]): Promise<readonly unknown[]> {
    const body = `[${batch.map(({ members }) => `{${members}}`).join()}]`;
    const headers = { 'content-type': JSON_TYPE };
    return this.#ask(PUBLISH, {}, { method: 'POST', headers, body }, async (response) => {
      const answers: unknown = JSON.parse(await textOf(response));
      if (Array.isArray(answers) && answers.length === batch.length) return answers as unknown[];
      throw new CodedError('internal', `expected ${batch.length} answers`, { stored: 'unknown' });
    });
  }

  /** Asks, and gives up after a time. @throws {CodedError} */
  async #ask<T>(
    call: string,
    query: Query,
    init: RequestInit,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const { token } = this;
    const closing = this.#aborter.signal;
    if (closing.aborted) throw unsent();
    const fate = call === PUBLISH ? 'unknown' : undefined;
    const aborter = new AbortController();
    const { signal } = aborter;
    const giveUp = (code: CodeName, message: string) =>
      aborter.abort(new CodedError(code, message, { stored: fate }));
    const end = () => giveUp('unavailable', CLOSED);
    const timer = this.#platform.clock.after(ANSWER_MS_MAX, () => giveUp('timeout', NO_ANSWER));
    closing.addEventListener('abort', end);
    try {
      const response = await this.fetch(call, query, { ...init, signal });
      if (response.status === 200) return await read(response);
      const error = await refusalOf(response);
      const { code, message, retryAfter } = error;
      // A gateway's failure says nothing of the log; a refusal below 500 was made before it.
      const { stored = response.status < 500 ? false : 'unknown' } = error;
      const isStale = code === 'unauthenticated';
      if (isStale && token === this.token) this.#onStale(error);
      // What was asked is as good as before, and is to be asked again with another token.
      throw new CodedError(isStale ? 'unavailable' : code, message, {
        retryAfter,
        stored: fate && stored,
      });
    } catch (error) {
      throw networkError(error, fate);
    } finally {
      timer.cancel();
      closing.removeEventListener('abort', end);
    }
  }

  #refuseWaiting(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(unsent());
  }
}

/** The `Accept` of what has messages in it: a server without binary answers JSON. */
export function acceptOf({ mediaType }: Encoding): string {
  return mediaType === JSON_TYPE ? JSON_TYPE : `${mediaType}, ${JSON_TYPE};q=0.5`;
}

/** Reads a good answer. @throws {CodedError} when it is none. */
export async function answerOf(response: Response, encoding: Encoding): Promise<Frame> {
  if (response.status !== 200) throw await refusalOf(response);
  return encoding.answerOf(await bytesOf(response), typeOf(response));
}

/** What an answer is written in. */
export function typeOf(response: Response): string {
  return response.headers.get('content-type') ?? '';
}

/** Why a request was given up. */
export const NO_ANSWER = 'no answer in time';

const JSON_TYPE = 'application/json';
const PUBLISH = 'publish';
const CLOSED = 'the connection was closed';

function unsent(): CodedError {
  return new CodedError('unavailable', CLOSED, { stored: false });
}

/** The answer to one of several that were published. A refusal below 500 was made before the log. */
function toRefusal(fields: Frame['fields']): CodedError {
  const code = toCode(fields['code'], 'internal');
  const stored = CODE_RULES[code].http < 500 ? false : 'unknown';
  return toError(fields, { code, message: code, stored });
}
