/**
 * The line over SSE: an `EventSource` on `/v1/sse`, one channel, so `id:` is the position.
 *
 * An `EventSource` of its own would come back without jitter, give up for good on any status but
 * 200, and hear only event names it was told of. So it serves for one connection here, and the
 * line dials again from its position, as on every other transport.
 */
import { CODES, formatPosition, isCodeName, parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import { step } from '../ledger.ts';
import { createLine } from './line.ts';
import type { Attempt, HangUp, Line, LineMessage, LineOptions } from './line.ts';
import { ask } from './poll.ts';
import type { Answer } from './poll.ts';
import { entryOf, gapOf, isTemporary, positionOf, toVerdict } from './read.ts';

/** From the request to the `open` event. */
const OPEN_MS_MAX = 10_000;

/** Messages held back while event names are looked up; beyond it the line dials again. */
const HELD_MAX = 10_000;

const BYTES_PREFIX = 'bytes:';

/** Opens a line over SSE. */
export function connect(options: LineOptions): Line {
  return createLine(dial, options, { byName: true });
}

function dial(attempt: Attempt): HangUp {
  const stream = new Stream(attempt);
  return () => stream.hangUp();
}

class Stream {
  readonly #attempt: Attempt;
  readonly #source: EventSource;
  readonly #aborter = new AbortController();
  #cancelOpen: () => void;
  /** Set while event names are looked up. */
  #held: LineMessage[] | undefined;

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
    const url = new URL('/v1/sse', attempt.server);
    url.searchParams.set('channel', attempt.channel);
    if (attempt.after !== undefined) url.searchParams.set('after', attempt.after);
    if (attempt.token !== undefined) url.searchParams.set('access_token', attempt.token);
    this.#source = new EventSource(url);
    this.#on('open', (event) => this.#onOpen(event));
    this.#on('gap', (event) => {
      const gap = gapOf(entryOf(read(event), 'gap') ?? read(event)) ?? { reason: 'unknown' };
      attempt.gap(gap, parsePosition(event.lastEventId));
    });
    this.#on('close', (event) => this.#onClose(event));
    for (const name of ['message', ...attempt.events]) {
      this.#on(name, (event) => this.#onMessage(event, name, false));
      this.#on(BYTES_PREFIX + name, (event) => this.#onMessage(event, name, true));
    }
    this.#source.onerror = (event) => {
      // The server has no `error` event, but a name is only a name: theirs carries data.
      if (!(event instanceof MessageEvent)) void this.#onFailure();
    };
    this.#cancelOpen = attempt.pace.after(OPEN_MS_MAX, () => attempt.lost('no answer in time'));
  }

  hangUp(): void {
    this.#cancelOpen();
    this.#aborter.abort();
    this.#source.close();
  }

  /** The browser's own `open` carries no data; the server's event of that name does. */
  #on(name: string, task: (event: MessageEvent<string>) => void): void {
    this.#source.addEventListener(name, (event: Event) => {
      if (event instanceof MessageEvent && this.#source.readyState !== EventSource.CLOSED) {
        task(event as MessageEvent<string>);
      }
    });
  }

  #onOpen(event: MessageEvent<string>): void {
    const { channel, after } = this.#attempt;
    this.#cancelOpen();
    const told = read(event);
    const at = positionOf(entryOf(entryOf(told, 'positions'), channel));
    const recovered = entryOf(entryOf(told, 'recovered'), channel) === true;
    const gap = gapOf(entryOf(entryOf(told, 'gaps'), channel));
    this.#attempt.opened(toVerdict(after, at ?? parsePosition(event.lastEventId), recovered, gap));
  }

  #onMessage(event: MessageEvent<string>, name: string, bytes: boolean): void {
    const position = parsePosition(event.lastEventId);
    if (position === undefined) return;
    const message: LineMessage = {
      position,
      kind: bytes ? 'bytes' : 'json',
      payload: event.data,
      ...(name === 'message' ? {} : { event: name }),
    };
    if (this.#held !== undefined) {
      this.#held.push(message);
      if (this.#held.length > HELD_MAX) this.#attempt.lost('too much came at once');
      return;
    }
    const last = this.#attempt.position();
    if (last !== undefined && step(last, position).missed > 0) {
      this.#held = [message];
      void this.#learn(last); // Never rejects, as `ask` does not.
      return;
    }
    this.#attempt.message(message);
  }

  /**
   * A hole may be only a message whose event name nobody listens for. The names are looked up, and
   * the line dials again from before the hole; a hole that stays is handed on as it is.
   */
  async #learn(last: Position): Promise<void> {
    const after = formatPosition(last);
    const answer = await this.#ask(after);
    if (this.#aborter.signal.aborted) return;
    if (answer.kind === 'lost') {
      this.#attempt.lost(answer.reason, answer.retryAfterMs);
      return;
    }
    const names = answer.kind === 'news' ? eventsOf(answer.messages) : [];
    this.#attempt.expect(names);
    const held = this.#held ?? [];
    this.#held = undefined;
    // Not heard any more when a name was new: the line has dialled again.
    for (const message of held) this.#attempt.message(message);
  }

  #onClose(event: MessageEvent<string>): void {
    const told = read(event);
    const code = entryOf(told, 'code');
    const retryAfter = entryOf(told, 'retryAfter');
    const reason = isCodeName(code) ? CODES[code].reason : 'the server ended the stream';
    if (!isTemporary(code)) this.#attempt.refused(reason);
    else this.#attempt.lost(reason, typeof retryAfter === 'number' ? retryAfter : 0);
  }

  async #onFailure(): Promise<void> {
    const refused = this.#source.readyState === EventSource.CLOSED;
    this.#source.close();
    this.#cancelOpen();
    if (!refused) {
      this.#attempt.lost('the connection broke');
      return;
    }
    // An `EventSource` does not tell the status it was refused with; a poll does.
    const answer = await this.#ask(this.#attempt.after);
    if (answer.kind === 'refused') this.#attempt.refused(answer.reason);
    else if (answer.kind === 'lost') this.#attempt.lost(answer.reason, answer.retryAfterMs);
    else this.#attempt.lost('the stream was refused');
  }

  #ask(after: string | undefined): Promise<Answer> {
    return ask(this.#attempt, { after, waitSeconds: 0, signal: this.#aborter.signal });
  }
}

function eventsOf(messages: readonly LineMessage[]): string[] {
  return messages.flatMap(({ event }) => (event === undefined ? [] : [event]));
}

function read(event: MessageEvent<string>): unknown {
  try {
    return JSON.parse(event.data);
  } catch {
    return undefined;
  }
}
