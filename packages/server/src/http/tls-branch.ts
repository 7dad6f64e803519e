/** TLS: the branch for connections that begin with a handshake, and who serves what it protects. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { SecureContext } from 'node:tls';
import type { Log } from '../observe/log.ts';
import type { Connection } from './connection.ts';
import type { Branch, LastBranch } from './door.ts';
import { problemAnswer } from './problem.ts';
import type { HttpAnswer } from './request.ts';

/** Where the certificate comes from. */
export interface TlsSource {
  /** What a handshake that begins now is answered with; it may be another each time. */
  readonly context: SecureContext;
}

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

/** What a server of node:tls sets on its sockets; those made here are nobody's. */
interface ServerSocket extends TLSSocket {
  secureConnecting?: boolean;
  _releaseControl?(): void;
}

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
    this.#shake(connection, socket);
    return 'taken';
  }

  #shake(connection: Connection, socket: Socket): void {
    const secured: ServerSocket = new TLSSocket(socket, {
      isServer: true,
      secureContext: this.#source.context,
      ALPNProtocols: PROTOCOLS,
    });
    const onFailed = (error: Error): void => {
      const { remoteAddress: address } = connection;
      this.#log.debug({ error, address }, 'a TLS handshake failed');
      socket.destroy();
    };
    secured.on('error', onFailed);
    secured.once('secure', () => {
      if (secured.destroyed || connection.phase !== 'handshake') return;
      // node:http2 waits for it.
      secured.secureConnecting = false;
      // Before it node:tls keeps every fault to itself, and a broken socket stays open.
      // oxlint-disable-next-line no-underscore-dangle -- The name is node:tls's.
      secured._releaseControl?.();
      secured.removeListener('error', onFailed);
      secured.on('error', destroyBroken);
      connection.protect(secured);
      if (secured.alpnProtocol === 'h2') this.#branches.http2(connection);
      else this.#branches.http1(connection);
    });
  }
}

/** A record that can't be read: node:tls tells of it and does no more. */
function destroyBroken(this: Socket): void {
  this.destroy();
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
