import { describe, expect, test } from 'vitest';
import { checkHistory, formatViolation } from '../../src/history-checker.ts';
import type { HistoryEvent } from '../../src/history.ts';
import { ended, follows, given, marked, published, whole } from '../follow-histories.ts';
import { acknowledged, publish } from '../histories.ts';

function faultsOf(...events: readonly HistoryEvent[]): string[] {
  return checkHistory({ events, keyWindowMs: 1000, ...whole }).map(formatViolation);
}

/** A life that ended, and a mark that was told when the log had this one. */
function markedIn(life: string, filter: string): readonly HistoryEvent[] {
  return [
    ...follows('s1', { [filter]: {} }, { epoch: 'd', top: 3 }),
    ...[publish('m4'), acknowledged('m4', 'd:4'), given('d:4')],
    { kind: 'purged', step: 0, channel: 'news' },
    ...[marked('s1', '~m', life), ended, ...published],
  ];
}

const resumed = { session: 'w2', recovered: true, top: 3 };
const all = ['e:1', 'e:2', 'e:3'].map((position) => given(position, { session: 'w2' }));

describe('a mark from which one goes on in another life than its reader was told of', () => {
  test('is from before the first message of that life, if the log had it by then', () => {
    const pattern = follows('s2', { '#': { after: '~m' } }, resumed);
    expect(faultsOf(...markedIn('e', '#'), ...pattern, ...all)).toEqual([]);
    const name = follows('s2', { news: { after: '~m' } }, { ...resumed, position: 'e:0' });
    expect(faultsOf(...markedIn('e', 'news'), ...name, ...all)).toEqual([]);
  });

  test('is of the life that ended, if the log had no other one by then', () => {
    const pattern = follows('s2', { '#': { after: '~m' } }, resumed);
    expect(faultsOf(...markedIn('d', '#'), ...pattern, ...all)).toEqual([
      expect.stringContaining('resumed at d:4: expected gap epoch, got recovered'),
    ]);
    const name = follows('s2', { news: { after: '~m' } }, { ...resumed, position: 'e:0' });
    expect(faultsOf(...markedIn('d', 'news'), ...name, ...all)).toEqual([
      expect.stringContaining('stood at d:4 and goes on at e:0'),
      expect.stringContaining('expected gap epoch, got recovered'),
    ]);
  });

  test('leaves nothing out, neither of the one life nor of the other', () => {
    const name = follows('s2', { news: { after: '~m' } }, { ...resumed, position: 'e:1' });
    expect(faultsOf(...markedIn('e', 'news'), ...name, ...all.slice(1))).toEqual([
      expect.stringContaining('e:1, which is m1, came neither as a message nor as a gap'),
    ]);
    const other = [publish('m5', { connection: 'c2' }), acknowledged('m5', 'd:5')];
    const pattern = follows('s2', { '#': { after: '~m' } }, resumed);
    expect(faultsOf(...other, ...markedIn('e', '#'), ...pattern, ...all)).toEqual([
      expect.stringContaining('d:5, which is m5, came neither as a message nor as a gap'),
    ]);
  });
});
