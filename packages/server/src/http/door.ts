/**
 * Door: what the first bytes of a connection are, and who serves them.
 *
 * Each kind of opening is a branch. The door reads until one branch takes the connection; the
 * last takes whatever is left. Listeners are shared by all sockets: an idle connection should
 * cost its socket and little else.
 */
import type { Socket } from 'node:net';
import type { Connection } from './connection.ts';
import type { Connections } from './connections.ts';

/** One thing that the first bytes of a connection can be. */
export interface Branch {
  /** For logs and tests. */
  readonly name: string;
  /**
   * Looks at all bytes that came so far.
   *
   * - `no`: they are something else, whatever follows.
   * - `more`: that can't be said yet.
   * - `taken`: the branch has taken the connection over; the door does not touch it again.
   */
  offer(connection: Connection, seen: Buffer): 'no' | 'more' | 'taken';
}

/** Who takes what no branch wants. Takes the bytes seen as well. */
export interface LastBranch {
  take(connection: Connection, seen: Buffer): void;
}

/** Reads the first bytes of connections and finds who serves them. */
export class Door {
  readonly #connections: Connections;
  readonly #branches: readonly Branch[];
  readonly #last: LastBranch;
  readonly #onData: (this: Socket, chunk: Buffer) => void;
  readonly #onClose: (this: Socket) => void;

  /** @param branches in the order they are asked; each must tell itself from those after it. */
  constructor(connections: Connections, branches: readonly Branch[], last: LastBranch) {
    this.#connections = connections;
    this.#branches = branches;
    this.#last = last;
    const read = (socket: Socket, chunk: Buffer): void => this.#read(socket, chunk);
    this.#onData = function onData(chunk) {
      read(this, chunk);
    };
    this.#onClose = function onClose() {
      connections.remove(this);
    };
  }

  /** Takes in a socket that was just accepted. */
  enter(socket: Socket): void {
    socket.on('error', onError);
    socket.on('close', this.#onClose);
    if (this.#connections.add(socket) !== undefined) socket.on('data', this.#onData);
  }

  /** Takes in a connection whose socket was replaced by one that protects it. */
  enterProtected(connection: Connection): void {
    const { socket } = connection;
    this.watch(connection);
    socket.on('data', this.#onData);
    socket.resume();
  }

  /** Sees to it that the end of the connection's socket is noticed; whoever serves it does more. */
  watch({ socket }: Connection): void {
    socket.on('error', onError);
    socket.on('close', this.#onClose);
  }

  #read(socket: Socket, chunk: Buffer): void {
    const connection = this.#connections.of(socket);
    if (connection === undefined) return;
    const seen = connection.seen === undefined ? chunk : Buffer.concat([connection.seen, chunk]);
    // Whoever takes the connection finds it without a reader, and paused.
    socket.removeListener('data', this.#onData);
    socket.pause();
    connection.seen = undefined;
    for (const branch of this.#branches) {
      const answer = branch.offer(connection, seen);
      if (answer === 'taken') return;
      if (answer === 'more') {
        connection.seen = seen;
        socket.on('data', this.#onData);
        socket.resume();
        return;
      }
    }
    this.#last.take(connection, seen);
  }
}

function onError(): void {
  // 'close' follows and does what is to be done; a reset by the peer is no news to anyone.
}
