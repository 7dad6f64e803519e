/** The line over short polling: the same question once a second, answered 304 when nothing came. */
import { formatPosition } from '@trunkline/wire';
import { createLine } from './line.ts';
import type { Attempt, HangUp, Line, LineOptions } from './line.ts';
import { ask } from './poll.ts';

/** From an answer to the next question. */
export const INTERVAL_MS = 1_000;

/** Opens a line over short polling. */
export function connect(options: LineOptions): Line {
  return createLine(dial, options);
}

function dial(attempt: Attempt): HangUp {
  const aborter = new AbortController();
  let cancelPause = (): void => {};
  let opened = false;
  let after = attempt.after;
  let etag: string | undefined;

  async function next(): Promise<void> {
    const answer = await ask(attempt, { after, waitSeconds: 0, etag, signal: aborter.signal });
    if (aborter.signal.aborted) return;
    let delayMs = INTERVAL_MS;
    switch (answer.kind) {
      case 'lost':
        attempt.lost(answer.reason, answer.retryAfterMs);
        return;
      case 'refused':
        attempt.refused(answer.reason);
        return;
      case 'news': {
        if (!opened) attempt.opened(answer.verdict);
        else if (answer.gap !== undefined) attempt.gap(answer.gap, answer.position);
        opened = true;
        for (const message of answer.messages) attempt.message(message);
        const place = answer.position === undefined ? after : formatPosition(answer.position);
        // An ETag belongs to its question: from another place it would be another one.
        etag = place === after ? answer.etag : undefined;
        after = place;
        if (answer.more) delayMs = 0;
        break;
      }
      case 'unchanged':
        break;
    }
    cancelPause = attempt.pace.after(delayMs, () => void next());
  }

  void next(); // Never rejects, as `ask` does not.
  return () => {
    cancelPause();
    aborter.abort();
  };
}
