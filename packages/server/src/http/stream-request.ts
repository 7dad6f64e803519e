/** StreamRequest over the socket of an HTTP/1.1 connection, whoever parsed its head. */
import { Duplex } from 'node:stream';
import { streamHead } from './answer.ts';
import type { Connection } from './connection.ts';
import type { HeaderFields } from './head.ts';
import type { HttpAnswer, RequestHead, StreamRequest } from './request.ts';

/** What the parser of a head found. */
interface ParsedHead {
  readonly path: string;
  readonly search: string;
  readonly headers: Readonly<HeaderFields>;
}

/** A request for a stream; until it is decided its socket is neither read nor timed. */
export class SocketStreamRequest implements StreamRequest {
  readonly method = 'GET';
  readonly path: string;
  readonly search: string;
  readonly headers: Readonly<HeaderFields>;
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly version: RequestHead['version'];
  /** Gone once the request is decided. */
  #connection: Connection | undefined;

  constructor(head: ParsedHead, version: '1.0' | '1.1', connection: Connection) {
    this.path = head.path;
    this.search = head.search;
    this.headers = head.headers;
    this.remoteAddress = connection.remoteAddress;
    this.secure = connection.secure;
    this.version = version;
    this.#connection = connection;
  }

  /** False once it was accepted or refused. */
  get isOpen(): boolean {
    return this.#connection !== undefined;
  }

  accept(status: 101 | 200, headers: Readonly<Record<string, string>>): Duplex {
    const connection = this.#decide();
    const { socket } = connection;
    if (socket.closed) return closedStream();
    const head = streamHead(status, headers, this.version, connection.host.date.text());
    if (socket.writable) socket.write(head, 'latin1');
    return connection.giveToStream();
  }

  refuse(answer: HttpAnswer): void {
    this.#decide().answerAndClose(answer);
  }

  #decide(): Connection {
    const connection = this.#connection;
    if (connection === undefined) {
      throw new Error('a stream request is accepted or refused once; it was decided before');
    }
    this.#connection = undefined;
    return connection;
  }
}

/**
 * What a request is given whose peer is gone: a stream that closes in the next tick, so that it
 * ends for its owner like any other.
 */
export function closedStream(): Duplex {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  stream.destroy();
  return stream;
}
