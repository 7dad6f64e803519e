/** TLS: the branch for connections that begin with a handshake, and who serves what it protects. */
import type { TLSSocket } from 'node:tls';
import type { Log } from '../observe/log.ts';
import type { Connection } from './connection.ts';
import type { Branch, LastBranch } from './door.ts';
import { problemAnswer } from './problem.ts';
import type { HttpAnswer } from './request.ts';
import { beginTls } from './tls-socket.ts';
import type { TlsSource } from './tls-socket.ts';

/** Who serves a connection that is protected. */
export interface ProtectedBranches {
  /** HTTP/2 was negotiated. */
  http2(connection: Connection): void;
  /** HTTP/1.1 was negotiated, or nothing. */
  http1(connection: Connection): void;
}

/** RFC 8446 §5.1: the content type of a record that holds a handshake. */
const HANDSHAKE = 0x16;

/** RFC 7301; the server's order of preference. */
const PROTOCOLS = ['h2', 'http/1.1'];

/** Takes the connections that begin with a TLS handshake. */
export class TlsBranch implements Branch {
  readonly name = 'tls';
  readonly #source: TlsSource;
  readonly #branches: ProtectedBranches;
  readonly #log: Log;

  constructor(source: TlsSource, branches: ProtectedBranches, log: Log) {
    this.#source = source;
    this.#branches = branches;
    this.#log = log;
  }

  offer(connection: Connection, seen: Buffer): 'no' | 'taken' {
    if (seen[0] !== HANDSHAKE) return 'no';
    const { socket } = connection;
    connection.beginHandshake();
    // TLS takes what was put back before it reads from the handle.
    socket.unshift(seen);
    const terms = { context: this.#source.context, ALPNProtocols: PROTOCOLS };
    beginTls(socket, terms, {
      onSecure: (secured) => this.#serve(connection, secured),
      onFailed: (error) => {
        const { remoteAddress: address } = connection;
        this.#log.debug({ error, address }, 'a TLS handshake failed');
      },
    });
    return 'taken';
  }

  #serve(connection: Connection, secured: TLSSocket): void {
    if (connection.phase !== 'handshake') return;
    connection.protect(secured);
    if (secured.alpnProtocol === 'h2') this.#branches.http2(connection);
    else this.#branches.http1(connection);
  }
}

const PLAIN: HttpAnswer = problemAnswer(
  'bad_request',
  'This port speaks HTTP over TLS only: ask with https or wss.',
);

/** Tells those who speak without TLS on a port that has it. */
export class PlainRefusal implements LastBranch {
  take(connection: Connection): void {
    connection.answerAndClose(PLAIN);
  }
}
