/** Answers: how the API's results become HTTP, the same for every call. */
import { BINARY_MEDIA_TYPE, CODES, encodeMessage, encodePage, encodeRuns } from '@trunkline/wire';
import type { CodedError, ErrorFrame, Message, MessageRun } from '@trunkline/wire';
import { problemAnswer } from '../http/problem.ts';
import type { HttpAnswer, RequestHead } from '../http/request.ts';

const JSON_HEADERS = {
  'content-type': 'application/json',
  'cache-control': 'no-store',
  // What users published stands in answers: no browser shall take it for a page or a script.
  'x-content-type-options': 'nosniff',
};

/** What a client is told to wait where a temporary refusal does not say. */
const RETRY_AFTER_MS = 1_000;

/**
 * A good answer: JSON text that nothing keeps. Payloads stand in it as published, so it is joined
 * by hand and never comes from `JSON.stringify` alone.
 */
export function jsonAnswer(
  text: string,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  return {
    status: 200,
    headers: { ...JSON_HEADERS, ...headers },
    body: text,
  };
}

/** How an answer with messages is written: its members, and the messages of its channels. */
export interface Page {
  /** Members beside `messages`, as JSON text without braces. */
  readonly members: string;
  readonly runs: readonly MessageRun[];
}

/** A good answer that holds messages, in JSON or as one binary frame. [BIN-2] */
export function pageAnswer(
  { members, runs }: Page,
  binary: boolean,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  if (binary) {
    const body = encodePage(`{${members}}`, runs.map(encodeRecords));
    const type = { 'content-type': BINARY_MEDIA_TYPE };
    return { status: 200, headers: { ...JSON_HEADERS, ...type, ...VARY, ...headers }, body };
  }
  const messages = runs.map(encodeMessages).filter((text) => text !== '');
  return jsonAnswer(`{"messages":[${messages.join()}],${members}}`, { ...VARY, ...headers });
}

/** What an answer in two encodings says to caches. */
export const VARY = { vary: 'Accept' } as const;

/** An answer with more headers; what it varies by is joined (RFC 9110 §12.5.5). */
export function withHeaders(
  answer: HttpAnswer,
  headers: Readonly<Record<string, string>>,
): HttpAnswer {
  const vary = [headers['vary'], answer.headers?.['vary']].filter((field) => field !== undefined);
  const joined = vary.length === 0 ? {} : { vary: vary.join(', ') };
  return { ...answer, headers: { ...answer.headers, ...headers, ...joined } };
}

/** Texts by the array of messages they come from: many readers are given the same slice. */
const encodedMessages = new WeakMap<readonly Message[], string>();
const encodedRecords = new WeakMap<readonly Message[], Uint8Array>();
const NO_RECORDS = new Uint8Array(0);

/** Messages of one channel as the elements of a JSON array, encoded once per slice. */
function encodeMessages({ channel, epoch, messages }: MessageRun): string {
  // An empty list may be one object for all channels.
  if (messages.length === 0) return '';
  let text = encodedMessages.get(messages);
  if (text === undefined) {
    text = messages.map((message) => encodeMessage(channel, epoch, message, false)).join();
    encodedMessages.set(messages, text);
  }
  return text;
}

/** Messages of one channel as binary records, encoded once per slice. */
function encodeRecords(run: MessageRun): Uint8Array {
  const { messages } = run;
  if (messages.length === 0) return NO_RECORDS;
  let records = encodedRecords.get(messages);
  if (records === undefined) {
    records = encodeRuns([run]);
    encodedRecords.set(messages, records);
  }
  return records;
}

/** An error that stands among results: the error frame of a session. [HTTP-12] */
export function errorFrame(error: CodedError): ErrorFrame {
  return {
    type: 'error',
    code: error.code,
    // What broke inside is for the log alone.
    message: error.code === 'internal' ? CODES.internal.reason : error.message,
    ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
    ...(error.stored === undefined ? {} : { stored: error.stored }),
  };
}

/** The answer to a request that failed, with what HTTP asks of its status. */
export function failureAnswer(
  head: RequestHead,
  error: CodedError,
  headers: Readonly<Record<string, string>>,
): HttpAnswer {
  const { code, message, stored } = error;
  const status: number = CODES[code].http;
  const retryAfter = error.retryAfter ?? (isRetryStatus(status) ? RETRY_AFTER_MS : undefined);
  return problemAnswer(code, message, {
    headers: status === 401 ? { ...headers, 'www-authenticate': challengeFor(head) } : headers,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(stored === undefined ? {} : { stored }),
  });
}

function isRetryStatus(status: number): boolean {
  return status === 429 || status === 503;
}

/** RFC 6750 §3: what was wrong is told only to who tried. */
function challengeFor(head: RequestHead): string {
  return head.headers['authorization'] === undefined ? 'Bearer' : 'Bearer error="invalid_token"';
}
