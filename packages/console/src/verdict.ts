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
 * @param newest the newest positions of the channels at the time of the resume, once they are
 * known: what lies between is what was caught up.
 * @param now where the reader stands.
 */
export function verdictSentence(
  verdict: Verdict,
  newest?: ReadonlyMap<string, Position>,
  now: (channel: string) => Position | undefined = () => undefined,
): Sentence {
  switch (verdict.kind) {
    case 'started': {
      const { at } = verdict;
      const after = at === undefined ? '' : `, after ${formatPosition(at)}`;
      return { tone: 'plain', text: `Reading from now on${after}` };
    }
    case 'gap':
      return { tone: 'bad', text: gapText(verdict.gap) };
    case 'recovered': {
      const total = newest && caughtUp(verdict.from, (channel) => newest.get(channel));
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

/** Offsets between two places of each channel; `undefined` where they do not compare. */
function caughtUp(
  from: ReadonlyMap<string, Position>,
  to: (channel: string) => Position | undefined,
): number | undefined {
  let total = 0;
  for (const [channel, begin] of from) {
    const end = to(channel);
    if (end === undefined || (begin.epoch !== end.epoch && begin.offset !== 0)) return undefined;
    total += Math.max(0, end.offset - begin.offset);
  }
  return total;
}

function count(total: number): string {
  return total === 1 ? '1 message' : `${total} messages`;
}
