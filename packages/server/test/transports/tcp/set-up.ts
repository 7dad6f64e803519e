/** A TCP transport on a free port whose time the test moves, and clients that speak bytes. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { Capacity } from '@trunkline/server/internal/http/capacity.ts';
import type { CapacityLimits } from '@trunkline/server/internal/http/capacity.ts';
import type { Close, Frame, Link, LinkHandler } from '@trunkline/server/internal/link/link.ts';
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import type { Log } from '@trunkline/server/internal/observe/log.ts';
import { TCP_DEFAULTS } from '@trunkline/server/internal/transports/tcp/config.ts';
import { TcpTransport } from '@trunkline/server/internal/transports/tcp/transport.ts';
import type { TcpTransportOptions } from '@trunkline/server/internal/transports/tcp/transport.ts';
import type { Peer } from '@trunkline/server/internal/transports/transport.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';
import { ManualClock } from '@trunkline/testkit';
import { until } from '../websocket/peer.ts';

/** An alarm comes so much later at most. */
export const TICK_MS = 250;

/** Writes down what its link says. */
export class Recorder implements LinkHandler {
  readonly frames: Uint8Array[] = [];
  readonly closes: Close[] = [];

  get text(): string {
    return Buffer.concat(this.frames).toString('latin1');
  }

  onFrame(frame: Frame): void {
    this.frames.push(Uint8Array.from(frame as Uint8Array));
  }

  onDrain(): void {}

  onClose(close: Close): void {
    this.closes.push(close);
  }
}

/** The client's end of a connection. */
export class BytePeer {
  readonly socket: Socket;
  readonly frames: Uint8Array[] = [];
  ended = false;
  closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.frames.push(chunk));
    socket.on('end', () => (this.ended = true));
    socket.on('close', () => {
      this.ended = true;
      this.closed = true;
    });
    socket.on('error', () => {});
  }

  get text(): string {
    return Buffer.concat(this.frames).toString('latin1');
  }

  send(frame: Frame): void {
    this.socket.write(frame);
  }

  setReading(reading: boolean): void {
    if (reading) this.socket.resume();
    else this.socket.pause();
  }

  drop(): void {
    this.socket.resetAndDestroy();
  }
}

/** What a test says of its transport; the rest is usual. */
export type TestOptions = Partial<TcpTransportOptions & CapacityLimits> & {
  /** Makes the handler of each link that is let in; a {@link Recorder} unless given. */
  readonly open?: (link: Link, peer: Peer) => LinkHandler;
};

/** The transport, its clients, and the time between them. */
export class TcpWorld implements AsyncDisposable {
  readonly clock = new ManualClock({ monotonicMs: 5000.5 });
  readonly wheel = new Wheel(this.clock, TICK_MS);
  readonly capacity: Capacity;
  readonly transport: TcpTransport;
  /** What was logged: its level and message. */
  readonly lines: string[] = [];
  /** The links, their handlers and peers, in the order they came. */
  readonly links: Link[] = [];
  readonly handlers: Recorder[] = [];
  readonly peers: Peer[] = [];
  readonly #clients: BytePeer[] = [];
  port = 0;

  static async start(options: TestOptions = {}): Promise<TcpWorld> {
    const world = new TcpWorld(options);
    world.port = (await world.transport.start()).port;
    return world;
  }

  private constructor({ open, ...options }: TestOptions) {
    const { connectionsMax = 100, connectionsPerAddressMax = 100 } = options;
    const write = (level: string) => (_fields: object, message: string) => {
      this.lines.push(`${level} ${message}`);
    };
    const log: Log = {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
    };
    this.capacity = new Capacity({ connectionsMax, connectionsPerAddressMax }, log);
    this.transport = new TcpTransport({
      host: '127.0.0.1',
      port: 0,
      turn: new Turn(this.clock),
      wheel: this.wheel,
      log,
      config: TCP_DEFAULTS,
      capacity: this.capacity,
      admit: (peer) => ({
        kind: 'welcome',
        open: (link) => {
          this.peers.push(peer);
          this.links.push(link);
          if (open !== undefined) return open(link, peer);
          const handler = new Recorder();
          this.handlers.push(handler);
          return handler;
        },
      }),
      ...options,
    });
  }

  /** Connects without a handshake, and waits for nothing. */
  async dial(): Promise<BytePeer> {
    // A peer whose end is its own to say.
    const socket = connect({ port: this.port, host: '127.0.0.1', allowHalfOpen: true });
    const client = new BytePeer(socket);
    this.#clients.push(client);
    await once(socket, 'connect');
    return client;
  }

  /** Connects, and waits for the link. */
  async connect(): Promise<{ readonly peer: BytePeer; readonly link: Link }> {
    const index = this.links.length;
    const peer = await this.dial();
    await this.until('a link', () => this.links.length > index);
    const link = this.links[index];
    if (link === undefined) throw new Error('expected a link');
    return { peer, link };
  }

  readonly settle = async (): Promise<void> => {
    await this.clock.settle();
  };

  readonly until = async (what: string, condition: () => boolean): Promise<void> => {
    await until(what, condition, this.settle);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.#clients) socket.destroy();
    await this.transport.stop();
    this.transport.destroyAll();
    await this.until('no connection', () => this.transport.connectionCount === 0);
    this.wheel.close();
  }
}
