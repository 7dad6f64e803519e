import type { Position } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { gapText, verdictSentence } from '../src/verdict.ts';

const at = (offset: number, epoch = 'k3f9') => ({ epoch, offset });
const recovered = { kind: 'recovered', from: new Map([['a', at(40)]]) } as const;
const of = (position: Position | undefined) => position && new Map([['a', position]]);

describe('verdictSentence', () => {
  test('says where a reader started', () => {
    expect(verdictSentence({ kind: 'started', at: at(40) })).toEqual({
      tone: 'plain',
      text: 'Reading from now on, after k3f9:40',
    });
  });

  test.each([
    { newest: undefined, now: at(40), text: 'Recovered, nothing missed' },
    { newest: at(40), now: at(40), text: 'Recovered, nothing had come meanwhile' },
    { newest: at(41), now: at(41), text: 'Recovered, 1 message caught up' },
    { newest: at(52), now: at(60), text: 'Recovered, 12 messages caught up' },
    { newest: at(52), now: at(45), text: 'Recovered, 5 of 12 caught up' },
    { newest: at(9, 'new1'), now: at(45), text: 'Recovered, nothing missed' },
  ])('says "$text"', ({ newest, now, text }) => {
    expect(verdictSentence(recovered, of(newest), () => now)).toEqual({ tone: 'good', text });
  });

  test('counts from the origin of a channel that had no message', () => {
    const origin = { kind: 'recovered', from: new Map([['a', at(0, '0')]]) } as const;
    expect(verdictSentence(origin, of(at(3)), () => at(3)).text).toBe(
      'Recovered, 3 messages caught up',
    );
  });

  test('never calls a gap good', () => {
    expect(verdictSentence({ kind: 'gap', gap: { reason: 'epoch' } }, of(at(3))).tone).toBe('bad');
  });

  test('adds up what several channels caught up', () => {
    const from = new Map([
      ['a', at(40)],
      ['b', at(1)],
    ]);
    const newest = new Map([
      ['a', at(42)],
      ['b', at(4)],
    ]);
    const now = (channel: string) => newest.get(channel);
    expect(verdictSentence({ kind: 'recovered', from }, newest, now).text).toBe(
      'Recovered, 5 messages caught up',
    );
  });

  test('names no place where there are several', () => {
    const { text } = verdictSentence({ kind: 'started', at: undefined });
    expect(text).toBe('Reading from now on');
  });
});

describe('gapText', () => {
  test.each([
    [{ reason: 'trimmed', from: 8, to: 20 }, 'Gap: offsets 8 to 20 no longer kept'],
    [{ reason: 'trimmed', from: 8, to: 8 }, 'Gap: offset 8 no longer kept'],
    [{ reason: 'trimmed' }, 'Gap: messages no longer kept'],
    [{ reason: 'epoch' }, 'Gap: the channel began anew, what was before is gone'],
    [{ reason: 'ahead' }, 'Gap: the position is beyond the end of the stream'],
    [{ reason: 'unknown' }, 'Gap: the server does not know this position'],
    [{ reason: 'limit', from: 1, to: 3 }, 'Gap: offsets 1 to 3 left out, too many for one resume'],
  ] as const)('explains %o', (gap, text) => {
    expect(gapText(gap)).toBe(text);
  });
});
