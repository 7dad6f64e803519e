/** What node:http makes of some bytes, to hold our own parser against. */
import { createServer, type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';

/** A request as node:http read it. */
export interface NodeRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
}

/**
 * Lets the strict parser of node:http read `bytes` as a connection's first.
 *
 * @returns the one request they are, or undefined when they are refused, or are not exactly one
 *   complete head.
 */
export function readByNode(bytes: Buffer): NodeRequest | undefined {
  const requests: IncomingMessage[] = [];
  let refused = false;
  let rest = 0;
  const server = createServer({ maxHeaderSize: 16 * 1024, insecureHTTPParser: false });
  server.on('request', (request) => void requests.push(request));
  server.on('upgrade', (request, _stream, head) => {
    requests.push(request);
    rest = head.length;
  });
  server.on('connect', () => {
    refused = true;
  });
  server.on('clientError', () => {
    refused = true;
  });
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  server.emit('connection', stream);
  // The listener of node:http parses before `emit` returns: no need to wait for anything.
  stream.emit('data', bytes);
  stream.destroy();
  const [first] = requests;
  if (refused || rest > 0 || requests.length !== 1 || first === undefined) return undefined;
  return { method: first.method ?? '', url: first.url ?? '', rawHeaders: first.rawHeaders };
}

/** Fields as pairs, joined as RFC 9110 §5.3 says. */
export function fieldsOf(rawHeaders: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const value = rawHeaders[index + 1] ?? '';
    const before = fields[name];
    fields[name] =
      before === undefined ? value : before + (name === 'cookie' ? '; ' : ', ') + value;
  }
  return fields;
}
