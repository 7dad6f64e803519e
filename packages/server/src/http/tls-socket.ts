/** TlsSocket: the server's end of a TLS handshake on a socket that something else accepted. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { SecureContext, TLSSocketOptions } from 'node:tls';

/** Where the certificate comes from. */
export interface TlsSource {
  /** What a handshake that begins now is answered with; it may be another each time. */
  readonly context: SecureContext;
}

/** How one handshake is to be made, in the words of node:tls. */
export type TlsTerms = TlsSource &
  Pick<TLSSocketOptions, 'ALPNProtocols' | 'requestCert' | 'rejectUnauthorized'>;

/** Who is told how a handshake ended; one of both is called at most, and once. */
export interface HandshakeEvents {
  /** What is read from and written to `secured` is protected. */
  onSecure(secured: TLSSocket): void;
  /** The socket is destroyed. */
  onFailed(error: Error): void;
}

/** What a server of node:tls sets on its sockets; those made here are nobody's. */
interface ServerSocket extends TLSSocket {
  secureConnecting?: boolean;
  _releaseControl?(): void;
}

/** Begins a handshake. How long it may take is the caller's to decide. */
export function beginTls(socket: Socket, terms: TlsTerms, events: HandshakeEvents): void {
  const { context: secureContext, ...demands } = terms;
  const options = { ...demands, secureContext, isServer: true };
  const secured: ServerSocket = new TLSSocket(socket, options);
  const onFailed = (error: Error): void => {
    events.onFailed(error);
    socket.destroy();
  };
  secured.on('error', onFailed);
  secured.once('secure', () => {
    if (secured.destroyed) return;
    // node:http2 waits for it.
    secured.secureConnecting = false;
    // Before it node:tls keeps every fault to itself, and a broken socket stays open.
    // oxlint-disable-next-line no-underscore-dangle -- The name is node:tls's.
    secured._releaseControl?.();
    secured.removeListener('error', onFailed);
    secured.on('error', destroyBroken);
    events.onSecure(secured);
  });
}

/** A record that can't be read: node:tls tells of it and does no more. */
function destroyBroken(this: Socket): void {
  this.destroy();
}
