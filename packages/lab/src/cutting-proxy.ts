/** CuttingProxy: hands bytes on between a client and a server, up to one of a test's choice. */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** Where a connection is cut: behind so many bytes from the client, or to it. */
export interface Cut {
  readonly way: 'up' | 'down';
  readonly size: number;
}

export class CuttingProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #cut: Cut | undefined;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer({ noDelay: true }, (client) => this.#onClient(client));
  }

  /** @param target the port of the server. */
  static async before(target: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** True until the connection that is to be cut was. */
  get isArmed(): boolean {
    return this.#cut !== undefined;
  }

  /** Ends what is open, and cuts the next connection there; those after it go through. */
  arm(cut: Cut): void {
    this.end();
    this.#cut = cut;
  }

  end(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #onClient(client: Socket): void {
    const server = connect({ host: '127.0.0.1', port: this.#target, noDelay: true });
    const cut = this.#cut;
    this.#keep(client, server);
    this.#keep(server, client);
    this.#hand(client, server, cut?.way === 'up' ? cut.size : Infinity);
    this.#hand(server, client, cut?.way === 'down' ? cut.size : Infinity);
  }

  #hand(from: Socket, to: Socket, size: number): void {
    let left = size;
    const end = () => {
      this.#cut = undefined;
      to.end();
      from.destroy();
    };
    if (left === 0) end();
    from.on('data', (piece: Buffer) => {
      if (left === 0) return;
      const part = piece.subarray(0, Math.min(left, piece.length));
      left -= part.length;
      to.write(part);
      if (left === 0) end();
    });
  }

  #keep(socket: Socket, other: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}); // 'close' follows.
    socket.on('end', () => other.end());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      other.end();
    });
  }
}
