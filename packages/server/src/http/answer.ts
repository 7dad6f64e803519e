/** Answers as bytes, for sockets that no node:http response belongs to. */
import { STATUS_CODES } from 'node:http';
import type { HttpAnswer, RequestHead } from './request.ts';

/** RFC 9110 §5.6.2 and §5.5: what may stand in a name and in a value. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Fields that are the listener's alone: how the message is framed, and what comes after it. */
export const OWN_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

/** True for statuses whose answers have no body (RFC 9110 §6.4.1). */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304 || status < 200;
}

/** The `Connection` field of an answer; empty when it needs none (RFC 9110 §7.6.1 and §7.8). */
export function connectionOptions(answer: HttpAnswer, close: boolean): string {
  // A 426 names the protocol to change to.
  const options = [
    close ? 'close' : '',
    answer.headers?.['upgrade'] === undefined ? '' : 'Upgrade',
  ];
  return options.filter((option) => option !== '').join(', ');
}

/** A whole answer, after which the connection ends. */
export function closingAnswer(answer: HttpAnswer, date: string): Buffer {
  const body = Buffer.from(isBodiless(answer.status) ? '' : (answer.body ?? ''));
  const length = isBodiless(answer.status) ? '' : `content-length: ${body.length}\r\n`;
  const { headers = {} } = answer;
  const upgrade = headers['upgrade'] === undefined ? '' : `upgrade: ${headers['upgrade']}\r\n`;
  const start = startOf(answer.status, date, headers) + upgrade + length;
  const head = `${start}connection: ${connectionOptions(answer, true)}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

/**
 * The head of an answer that becomes a stream.
 *
 * A 200 is chunked, so that a stream that was cut is told from one that ended, and says `close`:
 * the socket belongs to the stream from now on and never takes another request (RFC 9112 §9.6).
 * HTTP/1.0 knows no chunks; there the end of the connection has to do.
 */
export function streamHead(
  status: 101 | 200,
  headers: Readonly<Record<string, string>>,
  version: RequestHead['version'],
  date: string,
): string {
  const start = startOf(status, date, headers);
  if (status === 101) return `${start}connection: Upgrade\r\nupgrade: websocket\r\n\r\n`;
  const framing = version === '1.0' ? '' : 'transfer-encoding: chunked\r\n';
  return `${start}${framing}connection: close\r\n\r\n`;
}

/** Status line and fields up to those of the framing. */
function startOf(status: number, date: string, headers: Readonly<Record<string, string>>): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\ndate: ${date}\r\n`;
  for (const name of Object.keys(headers)) {
    if (OWN_FIELDS.has(name)) continue;
    const value = headers[name] ?? '';
    checkField(name, value);
    text += `${name}: ${value}\r\n`;
  }
  return text;
}

/**
 * Sees that a field can stand in a head: a line break in a value would let whoever chose it write
 * the rest of the answer.
 *
 * @throws {TypeError} when it can't.
 */
export function checkField(name: string, value: string): void {
  if (NAME.test(name) && VALUE.test(value)) return;
  throw new TypeError(`a header's value must be visible ASCII or Latin-1 (header ${name})`);
}
