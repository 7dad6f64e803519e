/** HTTP for tests: one request, one answer, nothing hidden; every header is the test's. */
import { request as openRequest } from 'node:http';
import type { Agent, IncomingMessage, OutgoingHttpHeaders } from 'node:http';

/** Milliseconds after which an answer that did not come fails its test. */
const ANSWER_MS_MAX = 45_000;

/** What a test asks for beside the URL. */
export interface Asked {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
  readonly agent?: Agent;
}

/** A whole answer. */
export interface Answered {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly bytes: Buffer;
  /** The body as JSON, of the shape that the test expects. @throws {SyntaxError} when it is none. */
  json<Shape = Fields>(): Shape;
}

/** Parsed JSON. */
export type Fields = Readonly<Record<string, unknown>>;

/** Sends one request and reads its answer. */
export function ask(url: string, asked: Asked = {}): Promise<Answered> {
  const { method = 'GET', headers = {}, body, agent } = asked;
  return new Promise((resolve, reject) => {
    const request = openRequest(url, { method, headers, agent: agent ?? false });
    request.setTimeout(ANSWER_MS_MAX, () => request.destroy(new Error(`no answer: ${url}`)));
    request.on('error', reject);
    request.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(pieces);
        const text = bytes.toString('utf8');
        const status = response.statusCode ?? 0;
        const json = <Shape>(): Shape => JSON.parse(text) as Shape;
        resolve({ status, headers: response.headers, text, bytes, json });
      });
    });
    request.end(body);
  });
}

/** Posts JSON text, or a value as JSON. */
export function post(
  url: string,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): Promise<Answered> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const type = { 'content-type': 'application/json' };
  return ask(url, { method: 'POST', headers: { ...type, ...headers }, body: text });
}
