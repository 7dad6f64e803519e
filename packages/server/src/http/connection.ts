/**
 * Connection: what the listener knows of a socket until a stream takes it over.
 *
 * It has one deadline at any time, on the wheel: for the first head, between requests, and while
 * it closes. While a request waits for its answer there is none, so that a poll may wait.
 */
import type { Socket } from 'node:net';
import type { Alarm, AlarmMarks, Wheel } from '../wheel.ts';
import { closingAnswer } from './answer.ts';
import type { HttpDate } from './date.ts';
import type { HttpLimits } from './limits.ts';
import { problemAnswer } from './problem.ts';
import type { HttpAnswer } from './request.ts';

/**
 * - `opening`: the first head is awaited.
 * - `busy`: at least one request waits for its answer; one of them is served at a time.
 * - `idle`: all requests were answered and the connection was kept.
 * - `stream`: it belongs to a stream, or to the request for one.
 * - `handshake`: it becomes a TLS connection.
 * - `session`: it belongs to its occupant, which ends it.
 * - `closing`: the last bytes were written; what the peer still sends is dropped.
 */
export type Phase = 'opening' | 'busy' | 'idle' | 'stream' | 'handshake' | 'session' | 'closing';

/** Who serves a whole connection for as long as it lives, e.g. an HTTP/2 session. */
export interface Occupant {
  /** True when it has nothing under way. */
  readonly isIdle: boolean;
  /** Lets what is under way end, takes in nothing new, and then closes the connection. */
  close(): void;
  /** The connection is closed. */
  release(): void;
}

/** What all connections of a listener share. */
export interface ConnectionHost {
  readonly wheel: Wheel;
  readonly limits: HttpLimits;
  readonly date: HttpDate;
  /** True when no connection is kept after its answers. */
  readonly stopping: boolean;
  /** Runs `task` when this turn of the event loop has handled its input. */
  defer(task: () => void): void;
  /** The connection is a stream's from now on. */
  release(connection: Connection): void;
  /** TLS protects the connection from now on: its socket is another. */
  replace(connection: Connection, socket: Socket): void;
}

/** A request that waits for its answer. */
export interface PendingRequest {
  /** What came of the body can't be read: whoever reads it is told, now or later. */
  breakBody(): void;
}

/** One socket, from its first byte until a stream takes it or it closes. */
export class Connection implements Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined = undefined;
  alarmAfter: AlarmMarks | undefined = undefined;

  readonly remoteAddress: string;
  readonly host: ConnectionHost;
  /** What the door has read and not handed on. */
  seen: Buffer | undefined = undefined;
  /** The request that came last. */
  newest: PendingRequest | undefined = undefined;
  /** True when it was over a limit from the start and only waits to be told so. */
  readonly refused: boolean;
  #socket: Socket;
  #secure = false;
  #occupant: Occupant | undefined = undefined;
  #phase: Phase = 'opening';
  #unanswered = 0;
  // What begins the requests behind the one that is served; `pipelinedMax` bounds them.
  #waiting: (() => void)[] | undefined = undefined;
  #deaf = false;
  // Between requests: how long already, and what had been read when it began.
  #silentMs = 0;
  #bytesAtRest = 0;
  #headBegun = false;

  constructor(socket: Socket, remoteAddress: string, host: ConnectionHost, refused: boolean) {
    this.#socket = socket;
    this.remoteAddress = remoteAddress;
    this.host = host;
    this.refused = refused;
  }

  /** The socket that requests are read from: that of TLS once there is one. */
  get socket(): Socket {
    return this.#socket;
  }

  /** True when TLS protects it. */
  get secure(): boolean {
    return this.#secure;
  }

  /** True when nothing more is read: the connection closes after the answers that are due. */
  get isDeaf(): boolean {
    return this.#deaf;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** True when it waits for a request of which nothing has come. */
  get isIdle(): boolean {
    if (this.#phase === 'opening') return this.socket.bytesRead === 0;
    if (this.#occupant !== undefined) return this.#occupant.isIdle;
    return this.#phase === 'idle' && this.socket.bytesRead === this.#bytesAtRest;
  }

  /** Requests that wait for their answers. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Starts the deadline for the first head. */
  open(): void {
    this.host.wheel.arm(this, this.host.limits.headMs);
  }

  /** A request's head is complete. */
  requestBegan(request: PendingRequest): void {
    this.newest = request;
    this.#unanswered += 1;
    this.#phase = 'busy';
    this.host.wheel.cancel(this);
  }

  /**
   * Runs `begin` once all answers before have left completely; never when the connection ends
   * before that.
   */
  whenAnswered(begin: () => void): void {
    (this.#waiting ??= []).push(begin);
  }

  /** An answer left completely; the connection is kept. */
  requestEnded(): void {
    this.#unanswered -= 1;
    if (this.#phase !== 'busy') return;
    if (this.#unanswered > 0) {
      // Nobody is there to be answered once the peer has ended the connection.
      if (this.socket.writable) this.#waiting?.shift()?.();
      return;
    }
    if (this.host.stopping || this.#deaf) this.close();
    else this.#rest();
  }

  /** True when nothing is answered after this request. */
  endsAfter(request: PendingRequest): boolean {
    return this.newest === request && (this.host.stopping || this.#deaf);
  }

  /** Reads nothing more; what the peer still sends is dropped, within a limit. */
  stopReading(): void {
    if (this.#deaf) return;
    this.#deaf = true;
    const { socket } = this;
    const start = socket.bytesRead;
    socket.removeAllListeners('data');
    // A new listener for data is what makes node:http give the socket's handle back.
    socket.on('data', () => {
      if (socket.bytesRead - start > this.host.limits.lingerSizeMax) socket.destroy();
    });
    socket.resume();
  }

  /** A request for a stream is being decided: nothing is read and no deadline runs meanwhile. */
  holdForStream(): void {
    this.#phase = 'stream';
    this.seen = undefined;
    this.host.wheel.cancel(this);
    this.socket.pause();
  }

  /** Gives the socket away; it flows from now on. */
  giveToStream(): Socket {
    this.host.release(this);
    this.socket.resume();
    return this.socket;
  }

  /** The TLS handshake begins; it has a time of its own. */
  beginHandshake(): void {
    this.#phase = 'handshake';
    this.seen = undefined;
    this.host.wheel.arm(this, this.host.limits.handshakeMs);
  }

  /** TLS is established: everything that is read and written goes through `socket` from now on. */
  protect(socket: Socket): void {
    this.host.replace(this, socket);
    this.#socket = socket;
    this.#secure = true;
    this.#phase = 'opening';
    this.host.wheel.arm(this, this.host.limits.headMs);
  }

  /** Gives the connection to who serves all that comes on it. */
  giveToSession(occupant: Occupant): void {
    this.#phase = 'session';
    this.seen = undefined;
    this.#occupant = occupant;
    this.host.wheel.cancel(this);
  }

  /** The socket is closed: no deadline runs any more. */
  closed(): void {
    this.host.wheel.cancel(this);
    this.#occupant?.release();
  }

  /** Writes a last answer and closes. Throws for header values that can't stand in a head. */
  answerAndClose(answer: HttpAnswer): void {
    if (this.#phase === 'closing') return;
    const bytes = closingAnswer(answer, this.host.date.text());
    if (this.socket.writable) this.socket.write(bytes);
    this.close();
  }

  /**
   * Says that nothing more comes, and waits a moment for the peer to do the same. Closing at once
   * while bytes of the peer are on their way would reset the connection and could take the answer
   * from the peer before it was read (RFC 9112 §9.6).
   */
  close(): void {
    if (this.#occupant !== undefined) {
      this.#occupant.close();
      return;
    }
    if (this.#phase === 'closing') return;
    if (this.#phase === 'handshake') {
      // There is nothing that could be said.
      this.socket.destroy();
      return;
    }
    this.#phase = 'closing';
    this.seen = undefined;
    if (this.socket.destroyed) return;
    this.host.wheel.arm(this, this.host.limits.lingerMs);
    this.stopReading();
    this.socket.end();
  }

  onAlarm(): void {
    if (this.#phase === 'opening') this.#endOpening();
    else if (this.#phase === 'idle') this.#endSilence();
    else if (this.#phase === 'closing' || this.#phase === 'handshake') this.socket.destroy();
  }

  #endOpening(): void {
    // Browsers open connections ahead of need; there is nothing to answer to on those.
    if (this.isIdle) this.close();
    else this.#endSlowHead();
  }

  #endSlowHead(): void {
    const seconds = this.host.limits.headMs / 1000;
    this.answerAndClose(
      problemAnswer('timeout', `A request's head must be complete within ${seconds} s.`),
    );
  }

  #rest(): void {
    this.#phase = 'idle';
    this.newest = undefined;
    this.#silentMs = 0;
    this.#headBegun = false;
    this.#bytesAtRest = this.socket.bytesRead;
    this.host.wheel.arm(this, this.#lookMs);
  }

  /**
   * Looks, as often as a head may take, whether the next head has begun. One that had begun at a
   * look and is not complete at the next is too slow, so that drops of bytes keep nothing open.
   */
  #endSilence(): void {
    this.#silentMs += this.#lookMs;
    if (this.#headBegun) this.#endSlowHead();
    else if (!this.isIdle) this.#headBegun = true;
    else if (this.#silentMs >= this.host.limits.idleMs) this.close();
    if (this.#phase === 'idle') this.host.wheel.arm(this, this.#lookMs);
  }

  get #lookMs(): number {
    const { headMs, idleMs } = this.host.limits;
    return Math.min(headMs, idleMs);
  }
}
