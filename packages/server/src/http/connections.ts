/** Connections: all open sockets of a listener, and how many of them each address has. */
import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Log } from '../observe/log.ts';
import type { Wheel } from '../wheel.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import { HttpDate } from './date.ts';
import type { HttpLimits } from './limits.ts';
import { problemAnswer } from './problem.ts';
import { Tally } from './tally.ts';

/** IPv4 addresses as a socket for both families shows them (RFC 4291 §2.5.5.2). */
const MAPPED_IPV4 = '::ffff:';

/** Below this part of the limit there is room again: a count that swings is one line in the log. */
const ROOM_AGAIN = 0.9;

/** The registry: takes sockets in within the limits, and finds the connection of a socket. */
export class Connections implements ConnectionHost {
  readonly wheel: Wheel;
  readonly limits: HttpLimits;
  readonly date: HttpDate;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #speaksTls: boolean;
  /** A socket that belongs to a stream has no connection any more, but still counts at its address. */
  readonly #open = new Map<Socket, Connection | string>();
  readonly #ofAddress = new Tally();
  #refusals = 0;
  #full = false;
  #stopping = false;

  /** @param speaksTls true when nothing can be said before a handshake. */
  constructor(clock: Clock, wheel: Wheel, limits: HttpLimits, log: Log, speaksTls = false) {
    this.wheel = wheel;
    this.limits = limits;
    this.date = new HttpDate(clock);
    this.#clock = clock;
    this.#log = log;
    this.#speaksTls = speaksTls;
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
    if (this.count >= this.limits.connectionsMax) {
      this.#warnFull();
      this.#refuse(socket, address, 'unavailable', 'The server has no room for more connections.');
      return undefined;
    }
    if (this.count < this.limits.connectionsMax * ROOM_AGAIN) this.#full = false;
    if (this.#ofAddress.of(address) >= this.limits.connectionsPerAddressMax) {
      const limit = this.limits.connectionsPerAddressMax;
      const detail = `Your address has ${limit} connections, which is the limit.`;
      this.#log.debug({ address, limit }, 'a connection was refused: too many of its address');
      this.#refuse(socket, address, 'rate_limited', detail);
      return undefined;
    }
    const connection = new Connection(socket, address, this, false);
    this.#open.set(socket, connection);
    this.#ofAddress.add(address);
    connection.open();
    return connection;
  }

  /** The socket is closed. */
  remove(socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) return;
    this.#open.delete(socket);
    if (typeof connection === 'string') {
      this.#ofAddress.remove(connection);
      return;
    }
    connection.closed();
    if (connection.refused) this.#refusals -= 1;
    else this.#ofAddress.remove(connection.remoteAddress);
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

  #warnFull(): void {
    if (this.#full) return;
    this.#full = true;
    const limit = this.limits.connectionsMax;
    this.#log.warn({ limit }, 'new connections are refused: the limit of connections is reached');
  }
}

/** The peer's address; undefined when the peer is gone already. */
function addressOf(socket: Socket): string | undefined {
  const address = socket.remoteAddress;
  return address?.startsWith(MAPPED_IPV4) ? address.slice(MAPPED_IPV4.length) : address;
}
