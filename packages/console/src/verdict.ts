/** Verdicts in words for people. */
import { formatPosition } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { Verdict } from './lines/line.ts';

/** How a sentence is meant: `good` for proven, `bad` for loss, `plain` for the rest. */
export type Tone = 'good' | 'bad' | 'plain';

/** A verdict as a sentence. */
export interface Sentence {
  readonly tone: Tone;
  readonly text: string;
}

/**
 * Says a verdict.
 *
 * @param newest the channel's newest position at the time of the resume, once it is known: what
 * lies between is what was caught up.
 * @param now where the reader stands.
 */
export function verdictSentence(verdict: Verdict, newest?: Position, now?: Position): Sentence {
  switch (verdict.kind) {
    case 'started':
      return { tone: 'plain', text: `Reading from now on, after ${formatPosition(verdict.at)}` };
    case 'gap':
      return { tone: 'bad', text: gapText(verdict.gap) };
    case 'recovered': {
      const total = caughtUp(verdict.from, newest);
      if (total === undefined) return { tone: 'good', text: 'Recovered, nothing missed' };
      if (total === 0) return { tone: 'good', text: 'Recovered, nothing had come meanwhile' };
      const done = Math.min(total, caughtUp(verdict.from, now) ?? total);
      return {
        tone: 'good',
        text: `Recovered, ${done === total ? count(total) : `${done} of ${total}`} caught up`,
      };
    }
  }
}

/** Says why a stream can't prove that nothing was missed. */
export function gapText(gap: Gap): string {
  const range = rangeText(gap);
  switch (gap.reason) {
    case 'epoch':
      return 'Gap: the channel began anew, what was before is gone';
    case 'trimmed':
      return `Gap: ${range ?? 'messages'} no longer kept`;
    case 'ahead':
      return 'Gap: the position is beyond the end of the stream';
    case 'limit':
      return `Gap: ${range ?? 'messages'} left out, too many for one resume`;
    case 'unknown':
      return 'Gap: the server does not know this position';
    default:
      return `Gap: ${String(gap.reason)}`; // A later server may know more reasons.
  }
}

function rangeText({ from, to }: Gap): string | undefined {
  if (from === undefined || to === undefined) return undefined;
  return from === to ? `offset ${from}` : `offsets ${from} to ${to}`;
}

/** Offsets between two places of one stream; `undefined` when they do not compare. */
function caughtUp(from: Position, to: Position | undefined): number | undefined {
  if (to === undefined) return undefined;
  if (from.epoch !== to.epoch && from.offset !== 0) return undefined;
  return Math.max(0, to.offset - from.offset);
}

function count(total: number): string {
  return total === 1 ? '1 message' : `${total} messages`;
}
