/** Exchange: one request of node:http and its answer. */
import { type IncomingMessage, ServerResponse } from 'node:http';
import { CodedError } from '@trunkline/wire';
import type { Alarm, AlarmMarks } from '../wheel.ts';
import { connectionOptions, isBodiless, OWN_FIELDS } from './answer.ts';
import { BodyReader, bodyTooLarge } from './body.ts';
import type { Connection, PendingRequest } from './connection.ts';
import type { HttpAnswer, HttpRequest, RequestHead } from './request.ts';

const EMPTY = new Uint8Array(0);

/** A response that knows its exchange, so that listeners are shared by all of them. */
export class ExchangeResponse<
  Request extends IncomingMessage = IncomingMessage,
> extends ServerResponse<Request> {
  exchange: Exchange | undefined = undefined;
}

/**
 * - `waiting`: for its answer.
 * - `answered`: the answer is on its way.
 * - `over`: the answer left, or the peer did.
 */
type State = 'waiting' | 'answered' | 'over';

/** What the handlers see of a request, and where their answer goes. */
export class Exchange implements HttpRequest, PendingRequest, Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined = undefined;
  alarmAfter: AlarmMarks | undefined = undefined;

  readonly method: string;
  readonly path: string;
  readonly search: string;
  readonly headers: RequestHead['headers'];
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly version: RequestHead['version'];
  readonly #request: IncomingMessage;
  readonly #response: ExchangeResponse;
  readonly #connection: Connection;
  #state: State = 'waiting';
  #asksToContinue: boolean;
  #reader: BodyReader | undefined;
  #bodyTaken = false;
  #broken = false;
  #abortTasks: (() => void)[] | undefined;

  constructor(
    head: RequestHead,
    request: IncomingMessage,
    response: ExchangeResponse,
    connection: Connection,
    asksToContinue: boolean,
  ) {
    this.method = head.method;
    this.path = head.path;
    this.search = head.search;
    this.headers = head.headers;
    this.remoteAddress = head.remoteAddress;
    this.secure = head.secure;
    this.version = head.version;
    this.#request = request;
    this.#response = response;
    this.#connection = connection;
    this.#asksToContinue = asksToContinue;
    response.exchange = this;
    response.on('finish', onFinish);
    response.on('close', onClose);
  }

  /** True while it waits for its answer and not all of its body was parsed. */
  get isIncomplete(): boolean {
    return this.#state === 'waiting' && !this.#request.complete;
  }

  body(sizeMax: number): Promise<Uint8Array> {
    if (this.#bodyTaken)
      return Promise.reject(new Error('a body is read once; it was read before'));
    this.#bodyTaken = true;
    if (this.#state !== 'waiting') {
      return Promise.reject(new CodedError('bad_request', 'the request is over'));
    }
    const { 'content-length': length, 'transfer-encoding': coding } = this.headers;
    if (this.#broken) return Promise.reject(brokenBody());
    if (length === undefined && coding === undefined) return Promise.resolve(EMPTY);
    if (Number(length ?? 0) > sizeMax) return Promise.reject(bodyTooLarge(sizeMax));
    if (this.#asksToContinue) {
      this.#asksToContinue = false;
      this.#response.writeContinue();
    }
    const { wheel, limits } = this.#connection.host;
    wheel.arm(this, limits.bodyMs);
    return new Promise((resolve, reject) => {
      this.#reader = new BodyReader(this.#request, sizeMax, (error, body) => {
        this.#reader = undefined;
        wheel.cancel(this);
        if (error === undefined) resolve(body);
        else reject(error);
      });
    });
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
    const { host } = this.#connection;
    const response = this.#response;
    const { status } = answer;
    const body = isBodiless(status) ? undefined : (answer.body ?? '');
    // A body that did not come completely stands between this request and the next.
    const isLast = !this.#request.complete || this.#connection.endsAfter(this);
    const options = connectionOptions(answer, isLast || !response.shouldKeepAlive);
    const headers = ['date', host.date.text()];
    for (const [name, value] of Object.entries(answer.headers ?? {})) {
      if (name === 'upgrade' || !OWN_FIELDS.has(name)) headers.push(name, value);
    }
    if (body !== undefined) headers.push('content-length', String(Buffer.byteLength(body)));
    if (options !== '') headers.push('connection', options);
    response.sendDate = false;
    response.writeHead(status, headers);
    this.#state = 'answered';
    this.#abortTasks = undefined;
    if (this.#reader !== undefined) {
      const message = 'the request was answered before its body';
      this.#reader.fail(new CodedError('bad_request', message));
    }
    if (isLast) this.#connection.stopReading();
    host.wheel.arm(this, host.limits.answerMs);
    response.end(body);
  }

  breakBody(): void {
    // What came after a whole body is not the body's fault.
    if (this.#request.complete) return;
    this.#broken = true;
    this.#reader?.fail(brokenBody());
  }

  onAlarm(): void {
    if (this.#state === 'waiting') {
      const seconds = this.#connection.host.limits.bodyMs / 1000;
      this.#reader?.fail(new CodedError('timeout', `the body must come within ${seconds} s`));
    } else {
      // The peer does not take its answer.
      this.#connection.socket.destroy();
    }
  }

  /** For the shared listeners: all of the answer was handed to the network. */
  finished(): void {
    if (this.#state !== 'answered') return;
    this.#state = 'over';
    this.#connection.host.wheel.cancel(this);
    this.#connection.requestEnded();
  }

  /** For the shared listeners: the peer is gone, or the answer is. */
  closed(): void {
    const waited = this.#state === 'waiting';
    this.#state = 'over';
    this.#connection.host.wheel.cancel(this);
    this.#reader?.fail(new CodedError('bad_request', 'the peer is gone'));
    const tasks = this.#abortTasks;
    this.#abortTasks = undefined;
    if (waited && tasks !== undefined) for (const task of tasks) task();
  }
}

function brokenBody(): CodedError {
  return new CodedError('bad_request', 'the body is not framed as RFC 9112 says');
}

function onFinish(this: ExchangeResponse): void {
  this.exchange?.finished();
}

function onClose(this: ExchangeResponse): void {
  this.exchange?.closed();
}
