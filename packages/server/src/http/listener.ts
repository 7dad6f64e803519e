/** HttpListener: one address on which HTTP is served. */
import type { Clock } from '../clock.ts';
import type { Log } from '../observe/log.ts';
import type { Wheel } from '../wheel.ts';
import type { Capacity } from './capacity.ts';
import type { Connection } from './connection.ts';
import { Connections } from './connections.ts';
import { Door } from './door.ts';
import { DEFAULT_HTTP2_LIMITS } from './h2-limits.ts';
import type { Http2Limits } from './h2-limits.ts';
import { Http1 } from './http1.ts';
import { Http2 } from './http2.ts';
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from './limits.ts';
import { createNetServer, listen } from './net-server.ts';
import type { ListenAddress } from './net-server.ts';
import type { HttpHandlers } from './request.ts';
import { StreamBranch } from './stream-branch.ts';
import { PlainRefusal, TlsBranch } from './tls-branch.ts';
import type { TlsSource } from './tls-socket.ts';

/** What a listener is made of. */
export interface HttpListenerOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly clock: Clock;
  readonly wheel: Wheel;
  readonly handlers: HttpHandlers;
  readonly log: Log;
  /** Those left out have their defaults. */
  readonly limits?: Partial<HttpLimits>;
  /** Those left out have their defaults. */
  readonly http2Limits?: Partial<Http2Limits>;
  /** Set to serve over TLS, and nothing without it. */
  readonly tls?: TlsSource;
  /** Shared with other listeners of the server; without it the limits are this listener's own. */
  readonly capacity?: Capacity;
}

/** Serves HTTP/1.1 and HTTP/2 on one address. */
export interface HttpListener {
  /** Open connections, streams included. */
  readonly connectionCount: number;
  /** Open HTTP/2 connections, and the streams in them. */
  readonly http2: { readonly sessionCount: number; readonly streamCount: number };
  /**
   * Resolves when peers can connect.
   *
   * @throws when the address can't be listened on.
   */
  start(): Promise<ListenAddress>;
  /**
   * Takes no new connections and ends those without a request; one with requests ends after its
   * answers. Streams stay: they are their owners' to end. Resolves when nothing listens any more.
   * Idempotent.
   */
  stop(): Promise<void>;
  /** Ends the connections that wait for a request. */
  closeIdle(): void;
  /** Cuts all connections, streams included; for the end of a drain's deadline. */
  destroyAll(): void;
}

/** Makes a listener; it listens once `start` is called. */
export function createHttpListener(options: HttpListenerOptions): HttpListener {
  const { host, port, clock, wheel, log } = options;
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits };
  const speaksTls = options.tls !== undefined;
  const connections = new Connections(clock, wheel, limits, log, speaksTls, options.capacity);
  const streams = new StreamBranch(options.handlers, limits, log);
  const http2 = createHttp2(options, streams, limits);
  const door = createDoor(options, connections, streams, http2);
  const server = createNetServer((socket) => door.enter(socket));
  return {
    get connectionCount() {
      return connections.count;
    },
    http2,
    async start() {
      const address = await listen(server, host, port);
      server.on('error', (error) => log.error({ error }, 'the HTTP listener failed'));
      return address;
    },
    async stop() {
      if (!server.listening) return;
      // Its callback waits for all connections; listening ends with the call.
      server.close();
      connections.stop();
    },
    closeIdle: () => connections.closeIdle(),
    destroyAll: () => connections.destroyAll(),
  };
}

function createHttp2(
  { clock, handlers, log, ...options }: HttpListenerOptions,
  streams: StreamBranch,
  limits: HttpLimits,
): Http2 {
  const http2Limits = { ...DEFAULT_HTTP2_LIMITS, ...options.http2Limits };
  return new Http2({ handlers, streams, limits, http2Limits, clock, log });
}

/** What is served: HTTP/1.1 and HTTP/2, both of them with TLS or both without. */
function createDoor(
  { clock, handlers, log, tls }: HttpListenerOptions,
  connections: Connections,
  streams: StreamBranch,
  http2: Http2,
): Door {
  const http1 = new Http1({ connections, handlers, streams, clock, log });
  if (tls === undefined) return new Door(connections, [http2, streams], http1);

  const inner = new Door(connections, [streams], http1);
  const branches = {
    http1: (connection: Connection) => inner.enterProtected(connection),
    http2(connection: Connection) {
      inner.watch(connection);
      http2.begin(connection);
    },
  };
  return new Door(connections, [new TlsBranch(tls, branches, log)], new PlainRefusal());
}
