/** NetServer: how this server listens, whatever is spoken on the connections. */
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

/** Handshakes the kernel keeps for us while a storm of clients arrives; it has a limit of its own. */
const BACKLOG = 4096;

/** How long a connection is silent before the kernel asks whether the peer is still there. */
const PROBE_AFTER_MS = 60_000;

/** IPv4 addresses as a socket for both families shows them (RFC 4291 §2.5.5.2). */
const MAPPED_IPV4 = '::ffff:';

/** Where a listener listens. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Makes a server that listens once {@link listen} is called. */
export function createNetServer(onSocket: (socket: Socket) => void): Server {
  const server = createServer({
    // A socket whose peer is done would otherwise stay half open until someone ends it.
    allowHalfOpen: false,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: PROBE_AFTER_MS,
  });
  return server.on('connection', onSocket);
}

/**
 * Resolves when peers can connect.
 *
 * @param port 0 for any free one.
 * @throws the system's error when the address can't be listened on.
 */
export function listen(server: Server, host: string, port: number): Promise<ListenAddress> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: BACKLOG }, () => {
      server.removeListener('error', reject);
      const address = server.address();
      if (address === null || typeof address === 'string') {
        reject(new Error(`expected to listen on a port, got ${String(address)}`));
      } else {
        resolve({ host: address.address, port: address.port });
      }
    });
  });
}

/** The peer's address; undefined when the peer is gone already. */
export function addressOf(socket: Socket): string | undefined {
  const address = socket.remoteAddress;
  return address?.startsWith(MAPPED_IPV4) ? address.slice(MAPPED_IPV4.length) : address;
}

/** The host of an address by which a listener is reached: nobody can connect to "all addresses". */
export function urlHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
