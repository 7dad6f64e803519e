/**
 * Session: one conversation over a WebSocket, in either encoding, from dialing to its end.
 * Replies are told synchronously and in the order they came, so that what follows one in the same
 * frame is never seen before it.
 */
import {
  BINARY_SUBPROTOCOL,
  CodedError,
  encodeJsonRecord,
  JSON_SUBPROTOCOL,
  memberSource,
} from '@trunkline/wire';
import type { RetryHint } from '../backoff.ts';
import { framesOf } from './binary.ts';
import type { EncodingName } from './binary.ts';
import { endingOf, endingOfClose } from '../ending.ts';
import type { Ending } from '../ending.ts';
import { parseObject, toCode } from '../events.ts';
import { addressOf } from '../http.ts';
import type { Platform, Socket, Timer } from '../platform.ts';
import { OPEN_MS_MAX, SILENCE_GRACE_MS } from './transports/transport.ts';

/** Requests without an answer; over it the next one is refused. */
const REQUESTS_MAX = 1024;
/** A request that got no answer for so long takes the session with it. */
const REQUEST_MS_MAX = 30_000;
/** How often silence and old requests are looked for. */
const TICK_MS = 1000;
/** A server that goes away is left after so long at most, whatever it says. */
const GOAWAY_MS_MAX = 300_000;
/** The server's ping interval until the welcome tells it. */
const PING_MS = 25_000;

/** One object from the server. */
export interface Frame {
  readonly fields: Readonly<Record<string, unknown>>;
  /** Its text as it came; empty for a message that came in binary. */
  readonly text: string;
  /** The JSON of a payload that came beside the text. */
  readonly source?: string;
}

/** What became of a request. */
export type Reply =
  | { readonly ok: true; readonly frame: Frame }
  | { readonly ok: false; readonly error: CodedError };

/** What the owner of a session hears. */
export interface SessionHandlers {
  /** Requests may be made from now on. */
  onWelcome(): void;
  onPush(type: string, frame: Frame): void;
  /**
   * Exactly once, unless this side closed; never from inside the constructor. Requests without an
   * answer hear of it afterwards.
   */
  onEnd(ending: Ending): void;
}

interface Request {
  readonly sentMs: number;
  readonly onReply: (reply: Reply) => void;
}

export class Session {
  readonly #handlers: SessionHandlers;
  readonly #platform: Platform;
  readonly #token: string | undefined;
  readonly #requests = new Map<number, Request>();
  readonly #listening = new AbortController();
  #socket: Socket | undefined;
  #nextId = 1;
  #welcomed = false;
  #ended = false;
  #timer: Timer;
  #leaveTimer: Timer | undefined;
  /** Until when the server wants us gone. */
  #leaveByMs: number | undefined;
  #retryAfterMs: number | undefined;
  #pingMs = PING_MS;
  #heardMs: number;
  #pingSentMs: number | undefined;

  constructor(
    options: {
      readonly url: string;
      readonly token?: string;
      /** `binary` where the server has it. */
      readonly encoding?: EncodingName;
    },
    handlers: SessionHandlers,
    platform: Platform,
  ) {
    this.#handlers = handlers;
    this.#platform = platform;
    this.#token = options.token;
    this.#heardMs = platform.clock.monotonicMs();
    this.#timer = platform.clock.after(OPEN_MS_MAX, () => this.#lose('no welcome in time'));
    try {
      const address = addressOf(options.url, 'ws', 'ws');
      const preferred = options.encoding === 'binary' ? [BINARY_SUBPROTOCOL] : [];
      this.#socket = new platform.WebSocket(address, [...preferred, JSON_SUBPROTOCOL]);
      this.#socket.binaryType = 'arraybuffer';
      this.#listen(this.#socket);
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      const refused = new CodedError('bad_request', detail, { cause: error });
      queueMicrotask(() => this.#end({ kind: 'refused', error: refused }));
    }
  }

  /**
   * Sends a command and hears its answer, or why there will be none.
   *
   * @param members the command's JSON members without `id`, on one line.
   */
  request(members: string, onReply: (reply: Reply) => void): void {
    const fault = this.#requestFault();
    if (fault !== undefined) {
      onReply({ ok: false, error: fault });
      return;
    }
    const id = this.#nextId;
    this.#nextId += 1;
    this.#requests.set(id, { sentMs: this.#platform.clock.monotonicMs(), onReply });
    this.#send(`{"id":${id},${members}}`);
  }

  /** Ends the session from this side; `onEnd` is not called. Idempotent. */
  close(): void {
    if (this.#ended) return;
    this.#stop();
    this.#failRequests();
  }

  #requestFault(): CodedError | undefined {
    if (this.#ended || !this.#welcomed) {
      return new CodedError('unavailable', 'the session is not open', { stored: false });
    }
    if (this.#requests.size < REQUESTS_MAX) return undefined;
    const message = `at most ${REQUESTS_MAX} commands wait for an answer: await some first`;
    return new CodedError('rate_limited', message, { stored: false });
  }

  #listen(socket: Socket): void {
    const { signal } = this.#listening;
    const on = (type: string, task: (event: Event) => void) =>
      socket.addEventListener(type, task, { signal });
    on('open', () => this.#hello());
    on('message', (event) => this.#onFrame('data' in event ? event.data : undefined));
    // An error says nothing that the close after it does not.
    on('close', (event) => {
      const code = 'code' in event && typeof event.code === 'number' ? event.code : 1006;
      const reason = 'reason' in event && typeof event.reason === 'string' ? event.reason : '';
      this.#end(endingOfClose(code, reason, this.#hint()));
    });
  }

  #hello(): void {
    const token = this.#token === undefined ? '' : `,"token":${JSON.stringify(this.#token)}`;
    const id = this.#nextId;
    this.#nextId += 1;
    this.#requests.set(id, {
      sentMs: this.#platform.clock.monotonicMs(),
      onReply: (reply) => {
        if (reply.ok) this.#onWelcome(reply.frame);
        else this.#end(endingOf(reply.error));
      },
    });
    this.#send(`{"id":${id},"type":"hello"${token}}`);
  }

  #onWelcome(frame: Frame): void {
    // The server may welcome twice: unasked after the handshake, and in answer to the hello.
    if (this.#welcomed) return;
    this.#welcomed = true;
    const ping = frame.fields['ping'];
    if (typeof ping === 'number' && ping > 0) this.#pingMs = ping;
    this.#timer.cancel();
    this.#tick();
    this.#handlers.onWelcome();
  }

  #onFrame(data: unknown): void {
    const isBinary = data instanceof ArrayBuffer;
    if (isBinary !== this.#isBinary || (!isBinary && typeof data !== 'string')) {
      this.#lose('the server sent a frame of another subprotocol');
      return;
    }
    this.#heardMs = this.#platform.clock.monotonicMs();
    this.#pingSentMs = undefined;
    if (isBinary) this.#onBytes(new Uint8Array(data));
    else this.#onText(data);
  }

  #onText(data: string): void {
    for (const text of data.split('\n')) {
      if (this.#ended) return;
      if (text.trim() === '') continue;
      const fields = parseObject(text);
      if (fields === undefined) this.#lose('the server sent what is no JSON object');
      else this.#take({ fields, text });
    }
  }

  #onBytes(bytes: Uint8Array): void {
    let frames: Frame[];
    try {
      frames = framesOf(bytes);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#lose('the server sent what is no binary frame');
      return;
    }
    for (const frame of frames) {
      if (this.#ended) return;
      this.#take(frame);
    }
  }

  /** Which of the subprotocols that were offered the server chose. */
  get #isBinary(): boolean {
    return this.#socket?.protocol === BINARY_SUBPROTOCOL;
  }

  #take(frame: Frame): void {
    const { type, id } = frame.fields;
    if (typeof id === 'number') {
      const request = this.#requests.get(id);
      this.#requests.delete(id);
      request?.onReply(
        type === 'error' ? { ok: false, error: errorOf(frame) } : { ok: true, frame },
      );
    } else if (type === 'welcome') {
      this.#onWelcome(frame);
    } else if (type === 'error') {
      // It concerns the connection, whose close tells the rest.
      this.#retryAfterMs = errorOf(frame).retryAfter;
    } else if (type === 'goaway') {
      this.#goAway(frame.fields['within']);
    } else if (typeof type === 'string' && type !== 'pong') {
      this.#handlers.onPush(type, frame);
    }
  }

  /** The server is about to leave: messages flow until a random moment, then this side leaves. */
  #goAway(within: unknown): void {
    if (this.#leaveTimer !== undefined) return;
    const { clock, random } = this.#platform;
    const told = typeof within === 'number' && within >= 0 ? within : 0;
    const withinMs = Math.min(told, GOAWAY_MS_MAX);
    this.#leaveByMs = clock.monotonicMs() + withinMs;
    this.#leaveTimer = clock.after(Math.round(random() * withinMs), () =>
      this.#end({ kind: 'lost', reason: 'draining: asked to go away', hint: { withinMs: 0 } }),
    );
  }

  /** What the server said so far about coming back. */
  #hint(): RetryHint {
    const leaveInMs = (this.#leaveByMs ?? 0) - this.#platform.clock.monotonicMs();
    return {
      ...(this.#leaveByMs === undefined ? {} : { withinMs: Math.max(0, leaveInMs) }),
      ...(this.#retryAfterMs === undefined ? {} : { notBeforeMs: this.#retryAfterMs }),
    };
  }

  /**
   * Looks for a dead peer. A page can't see the server's own pings, so it asks; only an unanswered
   * question is death, because a sleeping tab's timers are late.
   */
  #tick(): void {
    const nowMs = this.#platform.clock.monotonicMs();
    const [oldest] = this.#requests.values();
    if (this.#pingSentMs !== undefined && nowMs - this.#pingSentMs >= SILENCE_GRACE_MS) {
      this.#lose('no answer to a ping');
      return;
    }
    if (oldest !== undefined && nowMs - oldest.sentMs >= REQUEST_MS_MAX) {
      this.#lose('no answer to a command');
      return;
    }
    if (this.#pingSentMs === undefined && nowMs - this.#heardMs >= this.#pingMs) {
      this.#pingSentMs = nowMs;
      this.#send('{"type":"ping"}');
    }
    this.#timer = this.#platform.clock.after(TICK_MS, () => this.#tick());
  }

  #lose(reason: string): void {
    this.#end({ kind: 'lost', reason, hint: this.#hint() });
  }

  #end(ending: Ending): void {
    if (this.#ended) return;
    this.#stop();
    this.#handlers.onEnd(ending);
    this.#failRequests();
  }

  #stop(): void {
    this.#ended = true;
    this.#timer.cancel();
    this.#leaveTimer?.cancel();
    this.#listening.abort();
    this.#socket?.close(1000);
  }

  #failRequests(): void {
    const waiting = [...this.#requests.values()];
    this.#requests.clear();
    for (const { onReply } of waiting) {
      const message = 'the session ended before the answer';
      onReply({ ok: false, error: new CodedError('unavailable', message, { stored: 'unknown' }) });
    }
  }

  #send(text: string): void {
    this.#socket?.send(this.#isBinary ? encodeJsonRecord(text) : text);
  }
}

/** The source of a frame's payload, if it is JSON text. */
export function dataSource(frame: Frame): string | undefined {
  if (frame.source !== undefined || frame.text === '') return frame.source;
  return memberSource(frame.text, 'data');
}

function errorOf(frame: Frame): CodedError {
  const { code, message, retryAfter, stored } = frame.fields;
  return new CodedError(
    toCode(code, 'internal'),
    typeof message === 'string' ? message : 'the server told no more',
    {
      ...(typeof retryAfter === 'number' && retryAfter >= 0 ? { retryAfter } : {}),
      ...(stored === false || stored === 'unknown' ? { stored } : {}),
    },
  );
}
