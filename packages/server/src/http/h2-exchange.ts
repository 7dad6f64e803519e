/** Http2Exchange: one request of HTTP/2 and its answer. */
import { constants } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import { CodedError, type CodeName } from '@trunkline/wire';
import type { Alarm, AlarmMarks } from '../wheel.ts';
import { isBodiless } from './answer.ts';
import { BodyReader, bodyTooLarge } from './body.ts';
import type { ConnectionHost } from './connection.ts';
import type { Http2Session } from './h2-session.ts';
import { answerFields, endRequest, EXCHANGE, resetStream } from './h2-stream.ts';
import type { OwnedStream } from './h2-stream.ts';
import type { HttpAnswer, HttpRequest, RequestHead } from './request.ts';

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM } = constants;

const EMPTY = new Uint8Array(0);

/** Bodies that are not larger wait for no turn: publishing is not held up by uploads. */
const WINDOWED_SIZE_MAX = 64 * 1024;

/** Told once, with the body or with why there is none. */
type BodyDone = (error: Error | undefined, body: Uint8Array) => void;

/**
 * - `waiting`: for its answer.
 * - `answered`: the answer is on its way.
 * - `over`: the answer left, or the stream is gone.
 */
type State = 'waiting' | 'answered' | 'over';

/** What the handlers see of a request, and where their answer goes. */
export class Http2Exchange implements HttpRequest, Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined = undefined;
  alarmAfter: AlarmMarks | undefined = undefined;

  readonly method: string;
  readonly path: string;
  readonly search: string;
  readonly headers: RequestHead['headers'];
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly version = '2';
  readonly #stream: ServerHttp2Stream;
  readonly #host: ConnectionHost;
  readonly #session: Http2Session;
  #state: State = 'waiting';
  /** Set while a body is read, or waits for its turn. */
  #failBody: ((error: Error) => void) | undefined;
  #bodyTaken = false;
  /** Bytes of the answer that the peer has not taken. */
  #answerSize = 0;
  #abortTasks: (() => void)[] | undefined;

  /** @param session whose other streams it shares memory with. */
  constructor(head: RequestHead, stream: ServerHttp2Stream, session: Http2Session) {
    this.method = head.method;
    this.path = head.path;
    this.search = head.search;
    this.headers = head.headers;
    this.remoteAddress = head.remoteAddress;
    this.secure = head.secure;
    this.#stream = stream;
    this.#host = session.connection.host;
    this.#session = session;
    const owned: OwnedStream = stream;
    owned[EXCHANGE] = this;
    stream.on('finish', onFinish);
    stream.on('close', onClose);
  }

  body(sizeMax: number): Promise<Uint8Array> {
    if (this.#bodyTaken)
      return Promise.reject(new Error('a body is read once; it was read before'));
    this.#bodyTaken = true;
    if (this.#state !== 'waiting') {
      return Promise.reject(new CodedError('bad_request', 'the request is over'));
    }
    const stream = this.#stream;
    if (stream.endAfterHeaders) return Promise.resolve(EMPTY);
    const { 'content-length': length } = this.headers;
    if (Number(length ?? 0) > sizeMax) return Promise.reject(bodyTooLarge(sizeMax));
    const { wheel, limits } = this.#host;
    wheel.arm(this, limits.bodyMs);
    return new Promise((resolve, reject) => {
      const done = (error: Error | undefined, body: Uint8Array): void => {
        this.#failBody = undefined;
        wheel.cancel(this);
        if (error === undefined) resolve(body);
        else reject(error);
      };
      // What the window holds was taken from the network in any case.
      if (length !== undefined && Number(length) <= WINDOWED_SIZE_MAX) this.#read(sizeMax, done);
      else this.#readInTurn(sizeMax, done);
    });
  }

  #readInTurn(sizeMax: number, done: BodyDone): void {
    const gate = this.#session.bodyGate;
    const begin = (): void => {
      this.#read(sizeMax, (error, body) => {
        gate.leave();
        done(error, body);
      });
    };
    this.#failBody = (error) => {
      gate.forget(begin);
      done(error, EMPTY);
    };
    gate.enter(begin);
  }

  #read(sizeMax: number, done: BodyDone): void {
    const stream = this.#stream;
    if (this.headers['expect'] !== undefined && !stream.closed) {
      stream.additionalHeaders({ ':status': 100 });
    }
    const reader = new BodyReader(stream, sizeMax, done);
    this.#failBody = (error) => reader.fail(error);
  }

  onAbort(task: () => void): void {
    if (this.#state === 'waiting') (this.#abortTasks ??= []).push(task);
    else if (this.#state === 'over') task();
  }

  /**
   * Sends the answer; does nothing when the peer is gone.
   *
   * @throws {TypeError} for a header that can't stand in a head; another answer may follow then.
   */
  answer(answer: HttpAnswer): void {
    if (this.#state !== 'waiting') return;
    const stream = this.#stream;
    if (stream.closed || stream.destroyed) return;
    const fields = answerFields(answer, this.#host.date.text());
    const body = isBodiless(answer.status) ? '' : (answer.body ?? '');
    const size = this.method === 'HEAD' ? 0 : Buffer.byteLength(body);
    if (!this.#session.hasRoomFor(size)) {
      // Saying why would be one more answer.
      resetStream(stream, NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    stream.respond(fields, { endStream: size === 0 });
    this.#state = 'answered';
    this.#answerSize = size;
    this.#session.answerBegan(size);
    this.#abortTasks = undefined;
    this.#giveUpBody('bad_request', 'the request was answered before its body');
    this.#host.wheel.arm(this, this.#host.limits.answerMs);
    if (size > 0) stream.end(body);
  }

  onAlarm(): void {
    if (this.#state === 'waiting') {
      const seconds = this.#host.limits.bodyMs / 1000;
      this.#giveUpBody('timeout', `the body must come within ${seconds} s`);
    } else {
      // The peer does not take its answer.
      resetStream(this.#stream, NGHTTP2_CANCEL);
    }
  }

  #giveUpBody(code: CodeName, message: string): void {
    this.#failBody?.(new CodedError(code, message));
  }

  #over(): void {
    this.#state = 'over';
    this.#host.wheel.cancel(this);
    this.#session.answerEnded(this.#answerSize);
    this.#answerSize = 0;
  }

  /** For the shared listeners: all of the answer was handed to the network. */
  finished(): void {
    if (this.#state !== 'answered') return;
    this.#over();
    endRequest(this.#stream, (task) => this.#host.defer(task));
  }

  /** For the shared listeners: the stream is gone. */
  closed(): void {
    const waited = this.#state === 'waiting';
    this.#over();
    this.#giveUpBody('bad_request', 'the peer is gone');
    const tasks = this.#abortTasks;
    this.#abortTasks = undefined;
    if (waited && tasks !== undefined) for (const task of tasks) task();
  }
}

function onFinish(this: OwnedStream): void {
  this[EXCHANGE]?.finished();
}

function onClose(this: OwnedStream): void {
  this[EXCHANGE]?.closed();
}
