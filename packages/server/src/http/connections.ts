/** Connections: all open sockets of a listener, taken in while there is room for them. */
import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Log } from '../observe/log.ts';
import type { Wheel } from '../wheel.ts';
import { Capacity } from './capacity.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import { HttpDate } from './date.ts';
import type { HttpLimits } from './limits.ts';
import { addressOf } from './net-server.ts';
import { problemAnswer } from './problem.ts';

/** The registry: takes sockets in within the limits, and finds the connection of a socket. */
export class Connections implements ConnectionHost {
  readonly wheel: Wheel;
  readonly limits: HttpLimits;
  readonly date: HttpDate;
  readonly #clock: Clock;
  readonly #speaksTls: boolean;
  /** A socket that belongs to a stream has no connection any more, but still counts at its address. */
  readonly #open = new Map<Socket, Connection | string>();
  readonly #capacity: Capacity;
  #refusals = 0;
  #stopping = false;

  /**
   * @param speaksTls true when nothing can be said before a handshake.
   * @param capacity shared with other listeners of the server, if there are any.
   */
  constructor(
    clock: Clock,
    wheel: Wheel,
    limits: HttpLimits,
    log: Log,
    speaksTls = false,
    capacity: Capacity = new Capacity(limits, log),
  ) {
    this.wheel = wheel;
    this.limits = limits;
    this.date = new HttpDate(clock);
    this.#clock = clock;
    this.#speaksTls = speaksTls;
    this.#capacity = capacity;
  }

  /** Open connections, streams included; those that were refused do not count. */
  get count(): number {
    return this.#open.size - this.#refusals;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /** The connection of a socket that no stream has. */
  of(socket: Socket): Connection | undefined {
    const connection = this.#open.get(socket);
    return connection instanceof Connection ? connection : undefined;
  }

  /**
   * Takes a new socket in, or answers and closes it.
   *
   * @returns the connection to read from; undefined when the socket was refused.
   */
  add(socket: Socket): Connection | undefined {
    const address = addressOf(socket);
    if (address === undefined || this.#stopping) {
      socket.destroy();
      return undefined;
    }
    const full = this.#capacity.enter(address);
    if (full === 'server') {
      this.#refuse(socket, address, 'unavailable', 'The server has no room for more connections.');
      return undefined;
    }
    if (full === 'address') {
      const limit = this.limits.connectionsPerAddressMax;
      const detail = `Your address has ${limit} connections, which is the limit.`;
      this.#refuse(socket, address, 'rate_limited', detail);
      return undefined;
    }
    const connection = new Connection(socket, address, this, false);
    this.#open.set(socket, connection);
    connection.open();
    return connection;
  }

  /** The socket is closed. */
  remove(socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) return;
    this.#open.delete(socket);
    if (typeof connection === 'string') {
      this.#capacity.leave(connection);
      return;
    }
    connection.closed();
    if (connection.refused) this.#refusals -= 1;
    else this.#capacity.leave(connection.remoteAddress);
  }

  defer(task: () => void): void {
    this.#clock.defer(task);
  }

  release(connection: Connection): void {
    const { socket, remoteAddress } = connection;
    if (this.#open.has(socket)) this.#open.set(socket, remoteAddress);
  }

  replace(connection: Connection, socket: Socket): void {
    if (!this.#open.delete(connection.socket)) return;
    this.#open.set(socket, connection);
  }

  /** Ends the connections without a request; those with one end after its answer. */
  stop(): void {
    this.#stopping = true;
    this.closeIdle();
  }

  /** Ends the connections that wait for a request. */
  closeIdle(): void {
    for (const connection of this.#open.values()) {
      if (typeof connection === 'string') continue;
      if (connection.isIdle || connection.phase === 'handshake') connection.close();
    }
  }

  /** Cuts every connection, streams included. */
  destroyAll(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }

  #refuse(
    socket: Socket,
    address: string,
    code: 'unavailable' | 'rate_limited',
    detail: string,
  ): void {
    // Telling costs a socket for a while; in a flood the rest learns it from the closed connection,
    // and so does who expects TLS: it could not read what it is told.
    if (this.#speaksTls || this.#refusals >= this.limits.refusalsMax) {
      socket.destroy();
      return;
    }
    this.#refusals += 1;
    const connection = new Connection(socket, address, this, true);
    this.#open.set(socket, connection);
    const retryAfter = this.limits.refusedRetryMs;
    connection.answerAndClose(problemAnswer(code, detail, { retryAfter }));
  }
}
