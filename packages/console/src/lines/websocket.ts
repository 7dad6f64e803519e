/** The line over WebSocket: `/v1/ws`, a subscription for each channel and pattern, either encoding. */
import { isWildcard, matchesPattern, parsePosition, reconnectAfterClose } from '@trunkline/wire';
import type { ErrorFrame } from '@trunkline/wire';
import { FRAMINGS } from './framing.ts';
import type { Framing, OtherFrame } from './framing.ts';
import { createLine } from './line.ts';
import type { Attempt, HangUp, Line, LineOptions } from './line.ts';
import { isTemporary, toPresence, toSnapshot } from './read.ts';
import { closeReason } from './refusal.ts';

/** From the first byte to the welcome and to the answers of all subscribes. */
const ANSWER_MS_MAX = 10_000;

/** How long a pong may take. */
const PONG_MS_MAX = 10_000;

/** No heartbeat is faster, whatever the server says. */
const PING_MS_MIN = 1_000;

/**
 * A server that takes anonymous clients greets unasked. One that has said nothing for this long
 * waits for a hello, and answers it with what is missing.
 */
const GREETING_MS_MAX = 2_000;

const HELLO_ID = 0;

/** The id of the first filter's subscribe; the others follow. */
const SUBSCRIBE_ID = 1;

/** Opens a line over WebSocket. */
export function connect(options: LineOptions): Line {
  return createLine(dial, options);
}

function dial(attempt: Attempt): HangUp {
  const call = new Call(attempt);
  return () => call.hangUp();
}

type Subscribed = Extract<OtherFrame, { type: 'subscribed' }>;

class Call {
  readonly #attempt: Attempt;
  readonly #framing: Framing;
  readonly #socket: WebSocket;
  /** Filters whose subscribe is not answered. */
  readonly #waiting: Set<string>;
  /** Patterns in the order of their answers: of several that match, the first one delivers. */
  readonly #patterns: string[] = [];
  /** Names whose presence this client may not see. */
  readonly #unseen = new Set<string>();
  /** Set until all subscriptions are answered. */
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
    this.#waiting = new Set(attempt.filters);
    this.#framing = FRAMINGS[attempt.encoding];
    const url = new URL('/v1/ws', attempt.server);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#socket = new WebSocket(url, this.#framing.subprotocol);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onmessage = (event) => this.#onFrame(event.data);
    this.#socket.onclose = (event) => this.#onClose(event);
    this.#socket.onopen = () => this.#onOpen();
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

  #send(command: object): void {
    this.#socket.send(this.#framing.encode(command));
  }

  #onOpen(): void {
    const compression = this.#socket.extensions.split(';')[0] ?? '';
    const { encoding } = this.#attempt;
    this.#attempt.tell({ kind: 'carrier', carrier: { encoding, compression } });
    const { token } = this.#attempt;
    // In a hello and not in the address, which proxies and logs may keep.
    if (token !== undefined) this.#send({ type: 'hello', id: HELLO_ID, token });
    else {
      this.#cancelHello = this.#in(GREETING_MS_MAX, () =>
        this.#send({ type: 'hello', id: HELLO_ID }),
      );
    }
  }

  #onFrame(data: unknown): void {
    this.#heard = true;
    const attempt = this.#attempt;
    attempt.tell({ kind: 'bytes', count: this.#framing.sizeOf(data) });
    let said;
    try {
      said = this.#framing.decode(data);
    } catch {
      this.#drop('the server sent something that cannot be read');
      return;
    }
    for (const one of said) {
      if (one.kind === 'frame') this.#onServerFrame(one.frame);
      else {
        attempt.message(one.message);
        this.#onMark(one.message.channel, one.mark);
      }
    }
  }

  #onServerFrame(frame: OtherFrame): void {
    const attempt = this.#attempt;
    switch (frame.type) {
      case 'welcome':
        // One that came unasked is for an anonymous client.
        if (attempt.token !== undefined && frame.id !== HELLO_ID) return;
        this.#cancelHello();
        attempt.tell({ kind: 'session', session: frame.session });
        for (const filter of attempt.filters) this.#subscribe(filter);
        this.#listen(Math.max(PING_MS_MIN, frame.ping));
        return;
      case 'subscribed':
        this.#onSubscribed(frame);
        return;
      case 'gap':
        attempt.gap(frame.channel, frame.gap, parsePosition(frame.position ?? ''));
        return;
      case 'expired':
        attempt.expired(frame.channel, frame.epoch, frame.from, frame.to);
        this.#onMark(frame.channel, frame.mark);
        return;
      case 'mark':
        attempt.marked([frame.channel], frame.mark);
        return;
      case 'snapshot':
        attempt.tell({ kind: 'snapshot', snapshot: toSnapshot(frame.channel, frame) });
        return;
      case 'presence':
      case 'join':
      case 'leave':
        this.#onPresence(frame.type, frame);
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

  #subscribe(channel: string): void {
    const { filters } = this.#attempt;
    const after = this.#attempt.placeOf(channel);
    this.#send({
      type: 'subscribe',
      id: SUBSCRIBE_ID + filters.indexOf(channel),
      channel,
      ...(after === undefined ? {} : { after }),
      ...(isWildcard(channel) ? {} : { snapshot: true }),
      ...(isWildcard(channel) || this.#unseen.has(channel) ? {} : { presence: true }),
    });
  }

  #onSubscribed(frame: Subscribed): void {
    const { channel, position, mark, recovered, gap } = frame;
    if (!this.#waiting.delete(channel)) return;
    if (this.#waiting.size === 0) this.#cancelAnswer();
    if (isWildcard(channel)) this.#patterns.push(channel);
    const isVolatile = frame.volatile === true;
    const place = position ?? mark;
    this.#attempt.begun({ filter: channel, place, recovered, gap, isVolatile });
    if (frame.members !== undefined) this.#onPresence('presence', frame);
  }

  /** A mark on what came in a channel is that of the pattern which brought it. */
  #onMark(channel: string, mark: string | undefined): void {
    const pattern = this.#patterns.find((one) => matchesPattern(one, channel));
    if (mark !== undefined && pattern !== undefined) this.#attempt.marked([pattern], mark);
  }

  #onPresence(type: string, told: object): void {
    const news = toPresence(type, told);
    if (news !== undefined) this.#attempt.tell({ kind: 'presence', news });
  }

  #onError(frame: ErrorFrame): void {
    this.#retryAfterMs = frame.retryAfter ?? 0;
    const { id } = frame;
    if (id === undefined) return; // The close that follows says what to do.
    const channel = this.#attempt.filters[id - SUBSCRIBE_ID];
    if (channel !== undefined && frame.code === 'forbidden' && this.#mayWatchLess(channel)) {
      // Who is there may be hidden from one who may read the channel [PRES-9].
      this.#unseen.add(channel);
      const news = { kind: 'refused', channel, reason: frame.message } as const;
      this.#attempt.tell({ kind: 'presence', news });
      this.#subscribe(channel);
    } else if (isTemporary(frame.code)) this.#drop(frame.message);
    else this.#attempt.refused(frame.message);
  }

  #mayWatchLess(channel: string): boolean {
    return !isWildcard(channel) && !this.#unseen.has(channel);
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
      this.#send({ type: 'ping' });
      this.#cancelHeartbeat = this.#in(PONG_MS_MAX, () => {
        if (this.#heard) this.#listen(periodMs);
        else this.#drop('the server stopped answering');
      });
    });
  }
}

function nothing(): void {}
