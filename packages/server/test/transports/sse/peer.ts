/** The client's end of an event stream in tests, and the server's end on a clock the test moves. */
import type { Socket } from 'node:net';
import { bodyFraming } from '@trunkline/server/internal/http/chunked.ts';
import type { RequestHead } from '@trunkline/server/internal/http/request.ts';
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import { SSE_DEFAULTS } from '@trunkline/server/internal/transports/sse/config.ts';
import type { SseConfig } from '@trunkline/server/internal/transports/sse/config.ts';
import { GzipFraming, GzipStream } from '@trunkline/server/internal/transports/sse/gzip.ts';
import type { EventGzipConfig } from '@trunkline/server/internal/transports/sse/gzip.ts';
import { GzipSseLink, SseLink } from '@trunkline/server/internal/transports/sse/link.ts';
import type { SseLinkParts } from '@trunkline/server/internal/transports/sse/link.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';
import { ManualClock } from '@trunkline/testkit';
import { openSockets, until } from '../websocket/peer.ts';

/** An alarm comes so much later at most. */
export const TICK_MS = 250;

/** A request as an `EventSource` makes it. */
export const HEAD: RequestHead = {
  method: 'GET',
  path: '/v1/sse',
  search: 'channel=news',
  headers: {},
  remoteAddress: '192.0.2.7',
  secure: false,
  version: '1.1',
};

/** Reads the body of an answer: chunks where it has chunks. */
export class StreamPeer {
  readonly socket: Socket;
  readonly #chunked: boolean;
  #unread = Buffer.alloc(0);
  readonly frames: string[] = [];
  /** The body's bytes. */
  readonly body: Buffer[] = [];
  /** The last chunk came. */
  complete = false;
  ended = false;

  constructor(socket: Socket, chunked = true) {
    this.socket = socket;
    this.#chunked = chunked;
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on('end', () => (this.ended = true));
    socket.on('close', () => (this.ended = true));
    socket.on('error', () => {});
  }

  send(): void {
    throw new Error('the peer of an event stream can only listen');
  }

  setReading(reading: boolean): void {
    if (reading) this.socket.resume();
    else this.socket.pause();
  }

  drop(): void {
    this.socket.resetAndDestroy();
  }

  #take(bytes: Buffer): void {
    this.body.push(bytes);
    this.frames.push(bytes.toString());
  }

  #read(bytes: Buffer): void {
    if (!this.#chunked) {
      this.#take(bytes);
      return;
    }
    this.#unread = Buffer.concat([this.#unread, bytes]);
    for (;;) {
      const line = this.#unread.indexOf('\r\n');
      if (line < 0) return;
      const size = Number.parseInt(this.#unread.toString('latin1', 0, line), 16);
      if (this.#unread.length < line + size + 4) return;
      if (size === 0) this.complete = true;
      else this.#take(this.#unread.subarray(line + 2, line + 2 + size));
      this.#unread = this.#unread.subarray(line + size + 4);
    }
  }
}

/** A link over a real socket. */
export class Harness implements AsyncDisposable {
  readonly clock = new ManualClock({ monotonicMs: 5000.5 });
  readonly wheel = new Wheel(this.clock, TICK_MS);
  readonly link: SseLink;
  readonly peer: StreamPeer;
  goneCount = 0;

  static async open(
    config: Partial<SseConfig> = {},
    head = HEAD,
    gzip?: EventGzipConfig,
  ): Promise<Harness> {
    return new Harness(await openSockets(), { ...SSE_DEFAULTS, ...config }, head, gzip);
  }

  private constructor(
    sockets: { readonly server: Socket; readonly client: Socket },
    config: SseConfig,
    head: RequestHead,
    gzip: EventGzipConfig | undefined,
  ) {
    // As the listener makes its sockets.
    sockets.server.allowHalfOpen = false;
    this.peer = new StreamPeer(sockets.client, head.version === '1.1');
    const parts: SseLinkParts = {
      turn: new Turn(this.clock),
      wheel: this.wheel,
      config,
      onGone: () => (this.goneCount += 1),
    };
    if (gzip === undefined) {
      this.link = new SseLink(sockets.server, head, parts);
    } else {
      const body = bodyFraming(head.version);
      const stream = new GzipStream(new GzipFraming(gzip, body), body);
      this.link = new GzipSseLink(sockets.server, head, parts, stream);
    }
  }

  readonly settle = async (): Promise<void> => {
    await this.clock.settle();
  };

  readonly until = async (what: string, condition: () => boolean): Promise<void> => {
    await until(what, condition, this.settle);
  };

  /** Lets rounds pass in which something unwanted would show. */
  readonly rest = async (): Promise<void> => {
    for (let round = 0; round < 20; round += 1) await this.settle();
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.wheel.close();
    this.peer.socket.destroy();
    await this.until('the link to be gone', () => this.goneCount === 1);
  }
}
