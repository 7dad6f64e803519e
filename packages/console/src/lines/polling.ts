/** Polling: the same question again and again, patient or not. */
import { parsePosition } from '@trunkline/wire';
import type { Attempt, Dial, HangUp } from './line.ts';
import { ask } from './poll.ts';
import type { News } from './poll.ts';

/** An empty answer that came faster than this was not waited for, e.g. while the server drains. */
const PATIENCE_MS = 1_000;

/** How a kind of polling goes. */
export interface Rhythm {
  /** How long the server may hold a question; 0 to be answered at once. */
  readonly waitSeconds: number;
  /** From an answer to the next question. */
  readonly intervalMs: number;
}

/** Makes the dial of a kind of polling. */
export function pollBy(rhythm: Rhythm): Dial {
  return (attempt) => {
    const polling = new Polling(attempt, rhythm);
    void polling.next(0); // Never rejects, as `ask` does not.
    return polling.hangUp;
  };
}

class Polling {
  readonly #attempt: Attempt;
  readonly #rhythm: Rhythm;
  readonly #aborter = new AbortController();
  #cancelPause: () => void = () => {};
  #opened = false;
  #etag: string | undefined;
  #session: string | undefined;

  constructor(attempt: Attempt, rhythm: Rhythm) {
    this.#attempt = attempt;
    this.#rhythm = rhythm;
  }

  readonly hangUp: HangUp = () => {
    this.#cancelPause();
    this.#aborter.abort();
  };

  /** The first question never waits: its answer says at once what became of the places. */
  async next(waitSeconds: number): Promise<void> {
    const attempt = this.#attempt;
    const askedAt = attempt.pace.now();
    const { signal } = this.#aborter;
    const etag = waitSeconds === 0 ? this.#etag : undefined;
    const isFirst = !this.#opened;
    const question = { waitSeconds, signal, etag, isFirst, session: this.#session };
    const answer = await ask(attempt, question);
    if (signal.aborted) return;
    if (answer.kind === 'lost') {
      attempt.lost(answer.reason, answer.retryAfterMs);
      return;
    }
    if (answer.kind === 'refused') {
      attempt.refused(answer.reason);
      return;
    }
    const moved = answer.kind === 'news' && this.#take(answer);
    const isIdle = !moved || answer.messages.length === 0;
    const more = !isIdle && answer.more;
    const isHasty = waitSeconds > 0 && isIdle && attempt.pace.now() - askedAt < PATIENCE_MS;
    const pauseMs = more ? 0 : isHasty ? PATIENCE_MS : this.#rhythm.intervalMs;
    const again = (): void => void this.next(more ? 0 : this.#rhythm.waitSeconds);
    if (pauseMs > 0) this.#cancelPause = attempt.pace.after(pauseMs, again);
    else again();
  }

  /** Hands on what came. @returns true when the place is another one now. */
  #take(news: News): boolean {
    const attempt = this.#attempt;
    const askedFrom = attempt.after();
    attempt.tell({ kind: 'carrier', carrier: news.carrier });
    attempt.tell({ kind: 'bytes', count: news.size });
    if (news.session !== undefined && news.session !== this.#session) {
      this.#session = news.session;
      attempt.tell({ kind: 'session', session: news.session });
    }
    if (!this.#opened) for (const beginning of news.beginnings) attempt.begun(beginning);
    else this.#tellGaps(news);
    this.#opened = true;
    for (const { channel, gap, position } of news.losses) {
      attempt.gap(channel, gap, parsePosition(position));
    }
    for (const snapshot of news.snapshots) attempt.tell({ kind: 'snapshot', snapshot });
    for (const message of news.messages) attempt.message(message);
    for (const [channel, position] of news.positions) attempt.reached(channel, position);
    if (news.mark !== undefined) attempt.marked(attempt.filters, news.mark);
    const moved = attempt.after() !== askedFrom;
    // An ETag belongs to its question: from another place it would be another one.
    this.#etag = moved ? undefined : news.etag;
    return moved;
  }

  #tellGaps({ beginnings }: News): void {
    for (const { filter, gap, place } of beginnings) {
      if (gap !== undefined) this.#attempt.gap(filter, gap, parsePosition(place ?? ''));
    }
  }
}
