/**
 * Session: one conversation over a WebSocket, from dialing to its end: hello and welcome, commands
 * and their answers, signs of life, goodbyes. What is read over it is the attempt's (`websocket.ts`).
 *
 * Answers are told synchronously and in the order in which they came, so that what follows one in
 * the same frame is never seen before it.
 */
import { CodedError } from '@trunkline/wire';
import type { CodeName } from '@trunkline/wire';
import type { RetryHint } from '../backoff.ts';
import type { Frame } from '../encodings/encoding.ts';
import { endingOf, endingOfClose } from '../ending.ts';
import type { Ending } from '../ending.ts';
import { asObject, known, toError } from '../events.ts';
import { addressOf } from '../http.ts';
import type { Platform, Socket, Timer } from '../platform.ts';
import { OPEN_MS_MAX, PROBE_MS_MAX, SILENCE_GRACE_MS } from './transport.ts';
import type { Target, Welcome } from './transport.ts';

/** Commands without an answer; over it the next one is refused. */
const REQUESTS_MAX = 1024;
/** A command that got no answer for so long has failed. */
const ANSWER_MS_MAX = 30_000;
/** The server's ping interval until the welcome tells it, and the shortest that is believed. */
const PING_MS = 25_000;
const PING_MS_MIN = 1000;
/** No longer time that the server names is believed. */
const TOLD_MS_MAX = 300_000;
/** No lower rate of commands a second is believed. */
const RATE_MIN = 1;
/** At least so much of the time for an answer must pass while the page is awake. */
const AWAKE_MS = 1000;
/** So many milliseconds' worth of the server's rate of commands may be sent at once. */
const BURST_MS = 500;
/** With more unsent than this, what nobody waits for is not sent. */
const UNSENT_SIZE_MAX = 64 * 1024;

/** What came of a command. Its error says by `stored` whether a publish may have been stored. */
export type Reply = Frame | CodedError;

/** What the owner of a session hears. */
export interface SessionHandlers {
  /** Commands may be sent from now on. Once. */
  onWelcome(welcome: Welcome): void;
  /** What the server sends unasked, after the welcome. */
  onPush(type: string, frame: Frame): void;
  /** Once, unless this side closed; never from inside the constructor. */
  onEnd(ending: Ending): void;
}

interface Request {
  readonly timer: Timer;
  readonly onReply: (reply: Reply) => void;
}

export class Session {
  readonly #target: Target;
  readonly #handlers: SessionHandlers;
  readonly #platform: Platform;
  readonly #requests = new Map<number, Request>();
  #socket: Socket | undefined;
  #nextId = 1;
  #isDialed = false;
  #isWelcome = false;
  #hasEnded = false;
  /** For the welcome; then for silence, and for the answer to the question that follows it. */
  #timer: Timer | undefined;
  #leaveTimer: Timer | undefined;
  /** Until when the server wants us gone. */
  #leaveByMs: number | undefined;
  /** Of the error that came last, if nothing came behind it: a close may follow. */
  #retryAfterMs: number | undefined;
  #pingMs = PING_MS;
  #heardMs = 0;
  /** When a ping must be answered. */
  #answerByMs = Infinity;
  /** What a command costs of the rate, and until when what was sent has used it. */
  #commandMs = 0;
  #usedUntilMs = 0;

  constructor(target: Target, handlers: SessionHandlers, platform: Platform) {
    this.#target = target;
    this.#handlers = handlers;
    this.#platform = platform;
    // Halfway the server is asked who it takes this client for: a refusal says more than silence.
    this.#wait(OPEN_MS_MAX / 2, () => {
      this.#wait(OPEN_MS_MAX / 2, () => this.#lose(`no welcome within ${OPEN_MS_MAX} ms`, true));
      if (this.#isDialed && target.token === undefined) this.#hello();
    });
    try {
      const { subprotocol } = target.encoding;
      const socket = new platform.WebSocket(addressOf(target.url, 'ws', 'ws'), [subprotocol]);
      socket.binaryType = 'arraybuffer';
      this.#socket = socket;
      this.#listen(socket, subprotocol);
    } catch (error) {
      const refused = new CodedError('bad_request', String(error), { cause: error });
      queueMicrotask(() => this.end({ kind: 'refused', error: refused }));
    }
  }

  /** False before the welcome and when it is over: then nothing can be asked. */
  get isOpen(): boolean {
    return this.#isWelcome && !this.#hasEnded;
  }

  /** Milliseconds until a command that is in no hurry should be sent. [WS-12] */
  get paceMs(): number {
    return Math.max(0, this.#usedUntilMs - BURST_MS - this.#nowMs);
  }

  /**
   * Sends a command, and hears its answer exactly once, or why there is none.
   *
   * @param members the command's JSON members without `id`, on one line.
   */
  request(members: string, onReply: (reply: Reply) => void): void {
    if (!this.isOpen) {
      onReply(failure('unavailable', 'the session is not open', false));
    } else if (this.#requests.size >= REQUESTS_MAX) {
      onReply(failure('rate_limited', `${REQUESTS_MAX} commands wait for an answer`, false));
    } else {
      this.#request(members, onReply);
    }
  }

  /** Sends a command that wants no answer, unless much is unsent already. */
  send(members: string): void {
    if (this.isOpen && !((this.#socket?.bufferedAmount ?? 0) > UNSENT_SIZE_MAX)) {
      this.#send(members);
    }
  }

  /** Ends as lost when no sign of life comes within a few seconds. */
  probe(): void {
    if (this.isOpen && this.#answerByMs > this.#nowMs + PROBE_MS_MAX) this.#ask(PROBE_MS_MAX);
  }

  /** Ends it and tells so, unless it has ended. */
  end(ending: Ending): void {
    if (this.#hasEnded) return;
    this.close();
    this.#handlers.onEnd(ending);
  }

  /** Ends it without a word. What waits for an answer hears that there is none. Idempotent. */
  close(): void {
    this.#hasEnded = true;
    this.#timer?.cancel();
    this.#leaveTimer?.cancel();
    this.#socket?.close(1000);
    for (const id of this.#requests.keys()) {
      this.#answer(id, failure('unavailable', 'the session ended before the answer'));
    }
  }

  #listen(socket: Socket, subprotocol: string): void {
    const on = (type: string, task: (event: Event) => void): void =>
      socket.addEventListener(type, (event) => {
        if (!this.#hasEnded) task(event);
      });
    on('open', () => {
      // Where the server names none, what comes tells. [WS-1]
      const { protocol = '' } = socket;
      if (protocol !== '' && protocol !== subprotocol) {
        this.#lose(`the server speaks ${protocol}, not ${subprotocol}`);
        return;
      }
      this.#isDialed = true;
      if (this.#target.token !== undefined) this.#hello();
    });
    on('message', (event) => this.#onData((event as MessageEvent<string | ArrayBuffer>).data));
    // An error says nothing that the close after it does not.
    on('close', (event) => {
      const { code, reason } = event as CloseEvent;
      this.end(endingOfClose(code, reason, this.#hint()));
    });
  }

  /** [WS-10] */
  #hello(): void {
    const { token } = this.#target;
    this.#request(membersIn({ type: 'hello', token }), (reply) => {
      if (reply instanceof CodedError) this.end(endingOf(reply));
      else this.#onWelcome(reply.fields);
    });
  }

  #onWelcome(fields: Frame['fields']): void {
    // It may come twice: unasked, and in answer to a hello.
    if (this.#isWelcome) return;
    this.#isWelcome = true;
    const limits = asObject(fields['limits']) ?? {};
    const { commandsPerSecond = 0, ...others } = known(limits, 'number', [
      ...(['keyWindowMs', 'commandsPerSecond', 'messageBytes'] as const),
    ]);
    const isPaced = commandsPerSecond > 0;
    // With much less than one a second it would wait for days.
    const rate = Math.max(RATE_MIN, commandsPerSecond);
    const welcome = {
      ...known(fields, 'string', ['session', 'user']),
      ...others,
      ...(isPaced && { commandsPerSecond: rate }),
    };
    const { ping } = fields;
    if (typeof ping === 'number') {
      this.#pingMs = Math.min(Math.max(PING_MS_MIN, ping), TOLD_MS_MAX);
    }
    if (isPaced) this.#commandMs = 1000 / rate;
    this.#listenForSilence();
    this.#handlers.onWelcome(welcome);
  }

  #onData(data: string | ArrayBuffer): void {
    this.#heardMs = this.#nowMs;
    if (this.#answerByMs < Infinity) this.#listenForSilence();
    let frames: readonly Frame[];
    try {
      frames = this.#target.encoding.framesOf(data);
    } catch (error) {
      this.#lose(error instanceof Error ? error.message : String(error));
      return;
    }
    for (const frame of frames) {
      if (this.#hasEnded) return;
      this.#take(frame);
    }
  }

  #take(frame: Frame): void {
    const { type, id, within } = frame.fields;
    const error = type === 'error' ? errorOf(frame.fields) : undefined;
    this.#retryAfterMs = error?.retryAfter;
    if (typeof id === 'number') this.#answer(id, error ?? frame);
    else if (type === 'welcome') {
      // With a token it is the answer to the hello that tells who this is.
      if (this.#target.token === undefined) this.#onWelcome(frame.fields);
    } else if (type === 'goaway') this.#leaveWithin(within);
    else if (this.#isWelcome && typeof type === 'string' && error === undefined) {
      this.#handlers.onPush(type, frame);
    }
  }

  #request(members: string, onReply: (reply: Reply) => void): void {
    const id = this.#nextId;
    this.#nextId += 1;
    const timer = this.#platform.clock.after(ANSWER_MS_MAX, () =>
      this.#answer(id, failure('timeout', `no answer within ${ANSWER_MS_MAX} ms`)),
    );
    this.#requests.set(id, { timer, onReply });
    this.#send(`"id":${id},${members}`);
  }

  #answer(id: number, reply: Reply): void {
    const request = this.#requests.get(id);
    if (request === undefined) return;
    this.#requests.delete(id);
    request.timer.cancel();
    request.onReply(reply);
  }

  /** Messages flow until a random moment, then this side leaves. [WS-6] */
  #leaveWithin(within: unknown): void {
    if (this.#leaveTimer !== undefined) return;
    const { clock, random } = this.#platform;
    const withinMs = typeof within === 'number' ? Math.min(Math.max(0, within), TOLD_MS_MAX) : 0;
    this.#leaveByMs = this.#nowMs + withinMs;
    this.#leaveTimer = clock.after(Math.round(random() * withinMs), () =>
      this.end({ kind: 'lost', reason: 'draining: asked to go away', hint: { withinMs: 0 } }),
    );
  }

  /** What the server said so far about coming back. */
  #hint(): RetryHint {
    const notBeforeMs = this.#retryAfterMs;
    return {
      ...(this.#leaveByMs !== undefined && {
        withinMs: Math.max(0, this.#leaveByMs - this.#nowMs),
      }),
      ...(notBeforeMs !== undefined && { notBeforeMs }),
    };
  }

  /** A page can't see the server's own pings, so after a silence of their interval it asks. */
  #listenForSilence(): void {
    this.#answerByMs = Infinity;
    this.#wait(this.#heardMs + this.#pingMs - this.#nowMs, () => {
      if (this.#heardMs + this.#pingMs > this.#nowMs) this.#listenForSilence();
      else this.#ask(SILENCE_GRACE_MS);
    });
  }

  /**
   * Only a question without an answer is death, since a sleeping page hears nothing and its timers
   * are late: so after the first part of the time the rest of it must pass as well, awake.
   */
  #ask(limitMs: number): void {
    this.#answerByMs = this.#nowMs + limitMs;
    this.#send('"type":"ping"');
    const die = (): void => this.#lose('no answer to a ping');
    this.#wait(limitMs - AWAKE_MS, () => this.#wait(AWAKE_MS, die));
  }

  #wait(delayMs: number, task: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#platform.clock.after(delayMs, task);
  }

  #lose(reason: string, isTimeout = false): void {
    this.end({ kind: 'lost', reason, hint: this.#hint(), isTimeout });
  }

  #send(members: string): void {
    this.#usedUntilMs = Math.max(this.#usedUntilMs, this.#nowMs) + this.#commandMs;
    this.#socket?.send(this.#target.encoding.commandOf(`{${members}}`));
  }

  get #nowMs(): number {
    return this.#platform.clock.monotonicMs();
  }
}

/** The JSON members of a command, on one line. */
export function membersIn(command: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(command).slice(1, -1);
}

function failure(
  code: CodeName,
  message: string,
  stored: false | 'unknown' = 'unknown',
): CodedError {
  return new CodedError(code, message, { stored });
}

/** What the server's error object says; that of a publish tells whether it is stored. [PUB-4] */
function errorOf(fields: Frame['fields']): CodedError {
  const { code } = fields;
  const message = typeof code === 'string' ? code : 'the server did not say why';
  return toError(fields, { code: 'internal', message });
}
