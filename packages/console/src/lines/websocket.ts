/** The line over WebSocket: `/v1/ws`, JSON text frames, one subscription. */
import {
  CODES,
  decodeServerFrames,
  JSON_SUBPROTOCOL,
  parsePosition,
  reconnectAfterClose,
} from '@trunkline/wire';
import type { ErrorFrame, ServerFrame } from '@trunkline/wire';
import { createLine } from './line.ts';
import type { Attempt, HangUp, Line, LineOptions } from './line.ts';
import { isTemporary, toLineMessage, toVerdict } from './read.ts';

/** From the first byte to the welcome and to the answer of the subscribe. */
const ANSWER_MS_MAX = 10_000;

/** How long a pong may take. */
const PONG_MS_MAX = 10_000;

/** No heartbeat is faster, whatever the server says. */
const PING_MS_MIN = 1_000;

/**
 * A server that takes anonymous clients, or a token in the handshake, greets unasked. One that has
 * said nothing for this long waits for a hello, and answers it with what is missing.
 */
const GREETING_MS_MAX = 2_000;

const HELLO_ID = 0;
const SUBSCRIBE_ID = 1;

/** Opens a line over WebSocket. */
export function connect(options: LineOptions): Line {
  return createLine(dial, options);
}

function dial(attempt: Attempt): HangUp {
  const call = new Call(attempt);
  return () => call.hangUp();
}

class Call {
  readonly #attempt: Attempt;
  readonly #socket: WebSocket;
  /** Set until the subscription is answered. */
  #cancelAnswer: () => void;
  /** Set until the welcome. */
  #cancelHello: () => void = nothing;
  #cancelHeartbeat: () => void = nothing;
  #cancelGoaway: () => void = nothing;
  /** Something came since the heartbeat last looked. */
  #heard = false;
  /** Asked for by an error that came before the close. */
  #retryAfterMs = 0;

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
    const url = new URL('/v1/ws', attempt.server);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    if (attempt.token !== undefined) url.searchParams.set('access_token', attempt.token);
    this.#socket = new WebSocket(url, JSON_SUBPROTOCOL);
    this.#socket.onmessage = (event) => this.#onFrame(event.data);
    this.#socket.onclose = (event) => this.#onClose(event);
    this.#socket.onopen = () => {
      this.#cancelHello = this.#in(GREETING_MS_MAX, () => {
        this.#socket.send(JSON.stringify({ type: 'hello', id: HELLO_ID }));
      });
    };
    this.#cancelAnswer = this.#in(ANSWER_MS_MAX, () => this.#drop('no answer in time'));
  }

  hangUp(): void {
    this.#cancelAnswer();
    this.#cancelHello();
    this.#cancelHeartbeat();
    this.#cancelGoaway();
    this.#socket.onopen = null;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close(1000);
  }

  #in(delayMs: number, task: () => void): () => void {
    return this.#attempt.pace.after(delayMs, task);
  }

  #drop(reason: string): void {
    this.#attempt.lost(reason, this.#retryAfterMs);
  }

  #onFrame(data: unknown): void {
    this.#heard = true;
    if (typeof data !== 'string') return;
    let frames: ServerFrame[];
    try {
      frames = decodeServerFrames(data);
    } catch {
      this.#drop('the server sent something that is not JSON');
      return;
    }
    for (const frame of frames) this.#onServerFrame(frame);
  }

  #onServerFrame(frame: ServerFrame): void {
    const attempt = this.#attempt;
    switch (frame.type) {
      case 'welcome':
        this.#cancelHello();
        this.#subscribe();
        this.#listen(Math.max(PING_MS_MIN, frame.ping));
        return;
      case 'subscribed': {
        this.#cancelAnswer();
        const at = parsePosition(frame.position ?? '');
        attempt.opened(toVerdict(attempt.after, at, frame.recovered, frame.gap));
        return;
      }
      case 'message':
        attempt.message(toLineMessage(frame));
        return;
      case 'gap':
        attempt.gap(frame.gap, parsePosition(frame.position ?? ''));
        return;
      case 'unsubscribed':
        attempt.refused('the server ended the subscription: not allowed any more');
        return;
      case 'goaway':
        // At a random moment inside the window, so that not everybody moves at once.
        this.#cancelGoaway();
        this.#cancelGoaway = this.#in(attempt.pace.random() * frame.within, () =>
          this.#drop('the server is going away'),
        );
        return;
      case 'error':
        this.#onError(frame);
        return;
      default:
        return; // A client ignores what it does not know.
    }
  }

  #subscribe(): void {
    const { channel, after } = this.#attempt;
    const command = { type: 'subscribe', id: SUBSCRIBE_ID, channel };
    this.#socket.send(JSON.stringify(after === undefined ? command : { ...command, after }));
  }

  #onError(frame: ErrorFrame): void {
    this.#retryAfterMs = frame.retryAfter ?? 0;
    if (frame.id !== SUBSCRIBE_ID && frame.id !== HELLO_ID) return; // The close that follows says what to do.
    if (isTemporary(frame.code)) this.#drop(frame.message);
    else this.#attempt.refused(frame.message);
  }

  #onClose(event: CloseEvent): void {
    const reason = closeReason(event);
    const after = reconnectAfterClose(event.code);
    if (after === 'stay' || after === 'refresh') this.#attempt.refused(reason);
    else this.#drop(reason);
  }

  /** A page never sees the server's pings, so it asks when it hears nothing: RFC 6455 §5.5.2. */
  #listen(periodMs: number): void {
    this.#heard = false;
    this.#cancelHeartbeat = this.#in(periodMs, () => {
      if (this.#heard) {
        this.#listen(periodMs);
        return;
      }
      this.#socket.send('{"type":"ping"}');
      this.#cancelHeartbeat = this.#in(PONG_MS_MAX, () => {
        if (this.#heard) this.#listen(periodMs);
        else this.#drop('the server stopped answering');
      });
    });
  }
}

/** What the peer said, or what its code means. */
function closeReason({ code, reason }: CloseEvent): string {
  if (reason !== '') return reason;
  const known = Object.values(CODES).find(({ close }) => close === code);
  return known?.reason ?? 'the connection broke';
}

function nothing(): void {}
