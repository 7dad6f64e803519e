/**
 * Http2Session: one HTTP/2 connection and the streams in it.
 *
 * node:http2 parses, frames and controls the flow; what a peer may do is ours to bound, and so is
 * when the session ends. Listeners are shared: a client that has a session of its own should cost
 * little more than its socket.
 */
import { constants } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { TokenBucket } from '../token-bucket.ts';
import type { Alarm, AlarmMarks } from '../wheel.ts';
import { BodyGate } from './body-gate.ts';
import type { Connection, Occupant } from './connection.ts';
import type { Http2Limits } from './h2-limits.ts';
import { resetStream } from './h2-stream.ts';

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_REFUSED_STREAM } = constants;

/** What all sessions of a listener share. */
export interface SessionHost {
  readonly limits: Http2Limits;
  /** Milliseconds of an arbitrary start, for rates. */
  nowMs(): number;
  /** A stream begins; it ends once, also when there is no room for it. @returns whether there is. */
  streamBegan(connection: Connection): boolean;
  streamEnded(connection: Connection): void;
  /** A request has come. */
  serve(stream: ServerHttp2Stream, rawHeaders: readonly string[], session: Http2Session): void;
  /** A peer did more than it may. */
  onFlood(connection: Connection, what: string): void;
}

/** The session that an object of node:http2 belongs to; shared listeners find it by this key. */
const SESSION = Symbol('session');

interface Linked {
  [SESSION]?: Http2Session;
}

/** A connection's session, from its preface to its end. */
export class Http2Session implements Occupant, Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined = undefined;
  alarmAfter: AlarmMarks | undefined = undefined;

  readonly #session: ServerHttp2Session & Linked;
  /** What it has taken over. */
  readonly connection: Connection;
  readonly #host: SessionHost;
  #gate: BodyGate | undefined;
  #streams = 0;
  #answersSize = 0;
  #controlFrames: TokenBucket | undefined;
  #ending = false;

  constructor(session: ServerHttp2Session, connection: Connection, host: SessionHost) {
    this.#session = session;
    this.connection = connection;
    this.#host = host;
  }

  /** Begins to serve; what was read of the connection already comes in a later tick. */
  start(): void {
    const session = this.#session;
    session[SESSION] = this;
    session.setLocalWindowSize(this.#host.limits.sessionWindowSize);
    session.on('stream', onStream);
    session.on('ping', onControlFrame);
    session.on('remoteSettings', onControlFrame);
    session.on('goaway', onGoaway);
    session.on('error', onError);
    session.on('close', onSessionClose);
    this.connection.giveToSession(this);
    this.#rest();
  }

  /** For those who read bodies of this session. */
  get bodyGate(): BodyGate {
    this.#gate ??= new BodyGate(this.#host.limits.largeBodiesMax);
    return this.#gate;
  }

  /** True when an answer of so many bytes may wait for the peer beside those that do. */
  hasRoomFor(answerSize: number): boolean {
    return this.#answersSize + answerSize <= this.#host.limits.answersSizeMax;
  }

  /** An answer of so many bytes waits for the peer. */
  answerBegan(size: number): void {
    this.#answersSize += size;
  }

  /** The peer has taken it, or its stream is gone. */
  answerEnded(size: number): void {
    this.#answersSize -= size;
  }

  /** True when no stream is open. */
  get isIdle(): boolean {
    return this.#streams === 0;
  }

  /** Says GOAWAY; streams that are open go on, and the connection closes after the last of them. */
  close(): void {
    if (this.#ending) return;
    this.#ending = true;
    if (!this.#session.destroyed) this.#session.close();
    this.#seeToEnd();
  }

  /** For the wheel: the session was silent for too long, or the peer is gone or does not end it. */
  onAlarm(): void {
    if (!this.#ending) this.close();
    else if (this.#streams > 0 && !this.#session.pendingSettingsAck) this.#seeToEnd();
    else this.connection.socket.destroy();
  }

  /** For the shared listeners. */
  begin(stream: ServerHttp2Stream & Linked, rawHeaders: readonly string[]): void {
    stream.on('error', onError);
    if (stream.destroyed) return;
    stream[SESSION] = this;
    stream.on('close', onStreamClose);
    this.#streams += 1;
    if (this.#ending) this.#seeToEnd();
    else this.connection.host.wheel.cancel(this);
    if (!this.#host.streamBegan(this.connection)) {
      // RFC 9113 §8.7: nothing of it was done, so the client may try it again elsewhere.
      resetStream(stream, NGHTTP2_REFUSED_STREAM);
      return;
    }
    this.#host.serve(stream, rawHeaders, this);
  }

  /** For the shared listeners. */
  streamEnded(): void {
    this.#streams -= 1;
    this.#host.streamEnded(this.connection);
    if (this.#streams > 0) return;
    if (this.connection.host.stopping) this.close();
    if (this.#ending) this.#seeToEnd();
    else this.#rest();
  }

  /** For the shared listeners: a frame that asks for nothing but work. */
  countControlFrame(): void {
    const { limits } = this.#host;
    const nowMs = this.#host.nowMs();
    this.#controlFrames ??= new TokenBucket(
      limits.controlFramesBurst,
      limits.controlFramesPerSecondMax,
      nowMs,
    );
    if (this.#controlFrames.take(nowMs) === 0 || this.#session.destroyed) return;
    this.#host.onFlood(this.connection, 'PING and SETTINGS frames');
    this.#ending = true;
    this.#session.destroy(new Error('too many control frames'), NGHTTP2_ENHANCE_YOUR_CALM);
    this.#armEnd();
  }

  /** For the shared listeners: the peer opens no more streams, and node:http2 closes after them. */
  peerLeaves(): void {
    this.#ending = true;
    this.#seeToEnd();
  }

  /** For the shared listeners: node:http2 is done with the session, and ends the socket. */
  gone(): void {
    this.#ending = true;
    if (this.connection.socket.destroyed) this.connection.host.wheel.cancel(this);
    else this.#armEnd();
  }

  /** The connection is closed. */
  release(): void {
    this.connection.host.wheel.cancel(this);
    this.#ending = true;
  }

  #rest(): void {
    this.connection.host.wheel.arm(this, this.connection.host.limits.idleMs);
  }

  #seeToEnd(): void {
    if (this.#streams > 0 && !this.#session.destroyed) this.#ask();
    else this.#armEnd();
  }

  /**
   * Sees whether the peer is still there: SETTINGS must be acknowledged (RFC 9113 §6.5.3). Behind a
   * GOAWAY a frame that breaks the rules makes nghttp2 read nothing more, not even the end of the
   * connection, and node:http2 says nothing of it.
   */
  #ask(): void {
    if (!this.#session.pendingSettingsAck) this.#session.settings({});
    this.#rest();
  }

  /** A peer that takes nothing and ends nothing would keep the socket for ever. */
  #armEnd(): void {
    const { socket, host } = this.connection;
    if (!socket.destroyed) host.wheel.arm(this, host.limits.lingerMs);
  }
}

function onStream(
  this: Linked,
  stream: ServerHttp2Stream,
  _headers: IncomingHttpHeaders,
  _flags: number,
  rawHeaders: readonly string[],
): void {
  this[SESSION]?.begin(stream, rawHeaders);
}

function onStreamClose(this: Linked): void {
  this[SESSION]?.streamEnded();
}

function onControlFrame(this: Linked): void {
  this[SESSION]?.countControlFrame();
}

function onGoaway(this: Linked): void {
  this[SESSION]?.peerLeaves();
}

function onSessionClose(this: Linked): void {
  this[SESSION]?.gone();
}

function onError(): void {
  // 'close' follows and does what is to be done; resets by the peer are no news to anyone.
}
