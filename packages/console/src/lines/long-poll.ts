/** The line over long polling: a `fetch` that the server answers when there is something to tell. */
import { formatPosition } from '@trunkline/wire';
import { createLine } from './line.ts';
import type { Attempt, HangUp, Line, LineOptions } from './line.ts';
import { ask } from './poll.ts';

/** How long the server may hold a question. */
export const WAIT_SECONDS = 25;

/** An empty answer that came faster than this was not waited for, e.g. while the server drains. */
const PATIENCE_MS = 1_000;

/** Opens a line over long polling. */
export function connect(options: LineOptions): Line {
  return createLine(dial, options);
}

function dial(attempt: Attempt): HangUp {
  const aborter = new AbortController();
  let cancelPause = (): void => {};
  let opened = false;
  let after = attempt.after;

  // The first question does not wait: its answer says at once what became of the position.
  async function next(waitSeconds: number): Promise<void> {
    const askedAt = attempt.pace.now();
    const answer = await ask(attempt, { after, waitSeconds, signal: aborter.signal });
    if (aborter.signal.aborted) return;
    switch (answer.kind) {
      case 'lost':
        attempt.lost(answer.reason, answer.retryAfterMs);
        return;
      case 'refused':
        attempt.refused(answer.reason);
        return;
      case 'news':
        if (!opened) attempt.opened(answer.verdict);
        else if (answer.gap !== undefined) attempt.gap(answer.gap, answer.position);
        opened = true;
        for (const message of answer.messages) attempt.message(message);
        if (answer.position !== undefined) after = formatPosition(answer.position);
        break;
      case 'unchanged':
        break;
    }
    const hasty =
      waitSeconds > 0 &&
      (answer.kind === 'unchanged' || answer.messages.length === 0) &&
      attempt.pace.now() - askedAt < PATIENCE_MS;
    const nextWait = answer.kind === 'news' && answer.more ? 0 : WAIT_SECONDS;
    if (hasty) cancelPause = attempt.pace.after(PATIENCE_MS, () => void next(nextWait));
    else void next(nextWait);
  }

  void next(0); // Never rejects, as `ask` does not.
  return () => {
    cancelPause();
    aborter.abort();
  };
}
