import { describe, expect, test } from 'vitest';
import { checkHistory, formatViolation } from '../src/history-checker.ts';
import type { BrokenPromise, History, HistoryEvent } from '../src/history.ts';
import { acknowledged, log, publish } from './histories.ts';
import {
  ended,
  follows,
  given,
  lapsed,
  left,
  lost,
  marked,
  passing,
  published,
  SESSION,
  whole,
} from './follow-histories.ts';

function brokenBy(
  events: readonly HistoryEvent[],
  more: Partial<History> = {},
): [BrokenPromise, string][] {
  return checkHistory({ events, keyWindowMs: 1000, ...more }).map((violation) => [
    violation.promise,
    formatViolation(violation),
  ]);
}

/** Two patterns of one subscription; one lost the channel, and the other one goes on by the mark. */
const besideLoss: readonly HistoryEvent[] = [
  ...published,
  ...follows('s1', { '+': { after: 'start' } }, { recovered: true, top: 3 }),
  ...[given('e:1'), marked('s1', '~a'), ended],
  ...follows(
    's2',
    { '+': { after: '~a' }, '#': { after: '~z' } },
    { session: 'w2', recovered: true, lossy: ['#'], top: 3 },
  ),
  { ...marked('s2', '~c'), session: 'w2' },
  { ...lost('e:3', { reason: 'trimmed', from: 1, to: 3 }), session: 'w2' },
  { ...ended, session: 'w2' },
  ...follows('s3', { '+': { after: '~c' } }, { session: 'w3', recovered: true, top: 3 }),
];

/** Histories in which every promise is kept. */
const CLEAN: Record<string, [readonly HistoryEvent[], Partial<History>?]> = {
  'a channel born meanwhile': [
    [...follows('s1', { '#': {} }), ...published, given('e:1'), given('e:2'), given('e:3')],
    whole,
  ],
  'a resume by a mark': [
    [
      ...follows('s1', { '#': {} }),
      ...published,
      ...[given('e:1'), marked('s1', '~m'), given('e:2'), ended],
      ...follows('s2', { '#': { after: '~m' } }, { session: 'w2', recovered: true, top: 3 }),
      ...[given('e:2', { session: 'w2' }), given('e:3', { session: 'w2' })],
    ],
    whole,
  ],
  'what one that overlaps asked for from further back': [
    [
      ...published,
      ...follows('s1', { '#': {} }, { top: 3 }),
      ...follows('s2', { news: { after: 'e:1' } }, { recovered: true, position: 'e:1', top: 3 }),
      ...[given('e:2'), given('e:3')],
    ],
    whole,
  ],
  'a name begun anew of which a pattern gave all that it asks for': [
    [
      ...published,
      ...follows('s1', { '#': { after: 'start' } }, { recovered: true, top: 3 }),
      ...[given('e:1'), given('e:2'), given('e:3')],
      ...['s2', 's3'].flatMap((name) =>
        follows(name, { news: { after: 'e:1' } }, { recovered: true, position: 'e:1', top: 3 }),
      ),
      ...[marked('s1', '~m'), ended],
      ...follows('s4', { '#': { after: '~m' } }, { session: 'w2', recovered: true, top: 3 }),
    ],
    whole,
  ],
  'a pattern begun anew where another one began later': [
    [
      ...published,
      ...follows('s1', { '+': { after: 'start' } }, { recovered: true, top: 3 }),
      ...follows('s2', { '#': {} }, { top: 3 }),
      ...[given('e:1'), given('e:2'), given('e:3')],
      ...follows('s3', { '+': { after: 'start' } }, { recovered: true, top: 3 }),
      ...[given('e:1'), given('e:2'), given('e:3')],
    ],
    whole,
  ],
  'a mark right behind that of an answer, which covers what a name was given': [
    [
      ...published,
      ...follows('s1', { news: {} }, { position: 'e:0', top: 3 }),
      given('e:1'),
      ...follows('s2', { '#': { after: 'start' } }, { recovered: true, top: 3 }),
      ...[marked('s2', '~a'), marked('s2', '~b'), ended],
      ...follows('s3', { '#': { after: '~b' } }, { session: 'w2', recovered: true, top: 3 }),
      ...[given('e:2', { session: 'w2' }), given('e:3', { session: 'w2' })],
    ],
    whole,
  ],
  'a mark of where a pattern began, when another one that was further back is left': [
    [
      ...published,
      ...follows('s1', { '+': { after: 'start' } }, { session: 'w0', recovered: true, top: 3 }),
      ...[given('e:1', { session: 'w0' }), given('e:2', { session: 'w0' })],
      ...[
        { ...marked('s1', '~m'), session: 'w0' },
        { ...ended, session: 'w0' },
      ],
      ...follows('s2', { '#': { after: 'start' } }, { recovered: true, top: 3 }),
      ...follows('s3', { '+': { after: '~m' } }, { recovered: true, top: 3 }),
      ...[marked('s3', '~n'), ...left('s2'), ended],
      ...follows('s4', { '+': { after: '~n' } }, { session: 'w2', recovered: true, top: 3 }),
      given('e:3', { session: 'w2' }),
    ],
    whole,
  ],
  'what one that overlaps asked for from a life of the stream that ended': [
    [
      ...published,
      ...follows('s0', { '+': {} }, { session: 'w0', epoch: 'd', top: 3 }),
      ...[
        { ...marked('s0', '~m'), session: 'w0' },
        { ...ended, session: 'w0' },
      ],
      ...follows('s1', { news: { after: 'e:2' } }, { recovered: true, position: 'e:2', top: 3 }),
      given('e:3'),
      ...follows('s2', { '+': { after: '~m' } }, { recovered: true, top: 3 }),
      ...[given('e:1'), given('e:2'), given('e:3')],
      { kind: 'purged', step: 0, channel: 'news' },
    ],
  ],
  'own messages that one left out and another one that overlaps asked for': [
    [
      ...[publish('m1', { connection: 'w0' }), acknowledged('m1', 'e:1')],
      ...published.slice(2),
      ...follows(
        's0',
        { '#': { after: 'start' } },
        { session: 'w0', muted: true, recovered: true, top: 3 },
      ),
      ...[
        { ...marked('s0', '~m'), session: 'w0' },
        { ...ended, session: 'w0' },
      ],
      ...follows('s1', { '#': { after: '~m' } }, { recovered: true, top: 3 }),
      given('e:2'),
      ...follows('s2', { news: { after: 'e:0' } }, { recovered: true, position: 'e:0', top: 3 }),
      ...[given('e:1'), given('e:2'), given('e:3')],
    ],
    whole,
  ],
  'the loss of what one that overlaps asked for from further back': [
    [
      ...published,
      ...follows('s0', { '#': {} }, { session: 'w0', position: 'e:0', top: 3 }),
      given('e:1', { session: 'w0' }),
      ...[
        { ...marked('s0', '~m'), session: 'w0' },
        { ...ended, session: 'w0' },
      ],
      ...follows('s1', { news: { after: 'e:2' } }, { recovered: true, position: 'e:2', top: 3 }),
      ...follows('s2', { '#': { after: '~m' } }, { recovered: true, top: 3 }),
      ...[given('e:3'), lost('e:3', { reason: 'trimmed', from: 2, to: 3 })],
    ],
    whole,
  ],
  'a list of members that was under way when the session left': [
    [
      ...follows('s1', { now: {} }),
      ...left('s1').slice(0, 1),
      { ...SESSION, kind: 'watching', channel: 'now', users: ['ann', 'bob'] },
      ...left('s1').slice(1),
    ],
    { logs: new Map(), listed: ['now'] },
  ],
  'what a name lost and a pattern has of a stream that began anew': [
    [
      ...published,
      ...follows('s1', { '#': {} }, { epoch: 'd', top: 3 }),
      ...follows('s2', { news: { after: 'd:3' } }, { recovered: false, position: 'e:1', top: 1 }),
      lost('e:0'),
      ...[given('e:1'), given('e:2'), given('e:3')],
    ],
    whole,
  ],
  'own messages that are left out': [
    [
      ...follows('s1', { '#': {} }, { muted: true }),
      ...[publish('m1'), publish('m2', { connection: 'w1' }), publish('m3')],
      ...[given('e:1'), acknowledged('m2', 'e:2'), given('e:3')],
    ],
    whole,
  ],
  'another life of which it published everything itself': [
    [
      ...follows('s1', { '#': {} }, { muted: true, epoch: 'd', top: 3 }),
      { kind: 'purged', step: 0, channel: 'news' },
      ...[publish('m1', { connection: 'w1' }), acknowledged('m1', 'e:1')],
    ],
    { logs: log('e:1', ['m1']) },
  ],
  'another life of which everything is over, which a stream tells by its mark alone': [
    [
      ...follows('s1', { '#': {} }, { epoch: 'd', top: 3 }),
      { kind: 'purged', step: 0, channel: 'news' },
      ...[publish('m1', { ttl: 10, unixMs: 50 }), acknowledged('m1', 'e:1'), marked('s1', '~m')],
    ],
    { logs: log('e:1', ['m1']) },
  ],
  'what one asked for from further back than a mark stood, behind what was over': [
    [
      ...[publish('m1', { ttl: 10, unixMs: 50 }), acknowledged('m1', 'e:1')],
      ...[publish('m2', { ttl: 10, unixMs: 50 }), acknowledged('m2', 'e:2')],
      ...published.slice(4),
      ...follows('s1', { news: {} }, { position: 'e:0', top: 3 }),
      ...[lapsed(2, 2), given('e:3')],
      ...follows('s2', { '#': { after: 'start' } }, { recovered: true, top: 3 }),
      ...[lapsed(1, 2), given('e:3')],
    ],
    whole,
  ],
  'what one asked for at a mark that nobody can place, beside one that was further back': [
    [
      ...published,
      ...follows('s1', { news: {} }, { position: 'e:1', top: 3 }),
      ...follows('s2', { '+': { after: 'start' } }, { recovered: true, top: 3 }),
      ...[given('e:2'), marked('s2', '~a'), marked('s2', '~b'), given('e:3'), ...left('s2')],
      ...follows('s3', { '+': { after: '~b' } }, { recovered: true, top: 3 }),
      given('e:3'),
    ],
    whole,
  ],
  'what one pattern has after the mark of an answer by which another one lost it': [
    [...besideLoss, given('e:2', { session: 'w3' }), given('e:3', { session: 'w3' })],
    whole,
  ],
  'a loss on the way back to what one asked for, and what comes again after that': [
    [
      ...published,
      ...follows('s1', { '+': { after: 'start' }, '#': {} }, { recovered: true, top: 3 }),
      ...[given('e:1'), marked('s1', '~a'), given('e:2'), marked('s1', '~b'), ended],
      ...follows('s2', { '#': { after: '~b' } }, { recovered: true, top: 3 }),
      given('e:3'),
      ...follows('s3', { '+': { after: '~a' } }, { recovered: true, top: 3 }),
      ...[lost('e:2', { reason: 'trimmed', from: 2, to: 2 }), given('e:3')],
    ],
    whole,
  ],
  'the loss of one that stands nobody knows where, before one from further back is answered': [
    [
      ...published,
      ...follows('s0', { '+': {} }, { session: 'w0', position: 'e:1', top: 3 }),
      ...[
        { ...marked('s0', '~m'), session: 'w0' },
        { ...ended, session: 'w0' },
      ],
      ...follows('s1', { '#': { after: '~z' } }, { recovered: true, top: 3 }),
      lost('e:2', { reason: 'trimmed', from: 2, to: 2 }),
      ...follows('s2', { '+': { after: '~m' } }, { recovered: true, top: 3 }),
      given('e:3'),
    ],
    whole,
  ],
  'a loss behind those of an answer, of the one that began before the first message': [
    [
      ...follows('s1', { '#': {} }),
      ...published,
      ...follows('s2', { '+': { after: '~z' } }, { lossy: ['+'], top: 3 }),
      lost('e:3', { reason: 'trimmed', from: 1, to: 3 }),
      lost('e:1', { reason: 'trimmed', from: 1, to: 1 }),
      ...[given('e:2'), given('e:3')],
    ],
    whole,
  ],
  'a pattern begun anew where a name delivers for it that began later': [
    [
      ...published,
      ...follows('s1', { '#': { after: 'start' } }, { recovered: true, top: 3 }),
      ...[given('e:1'), marked('s1', '~a'), given('e:2'), ended],
      ...follows('s2', { '#': { after: '~a' } }, { recovered: true, top: 3 }),
      ...follows('s3', { news: { after: 'e:2' } }, { recovered: true, position: 'e:2', top: 3 }),
      ...[given('e:2'), given('e:3')],
      ...follows('s4', { '#': { after: '~a' } }, { recovered: true, top: 3 }),
      ...[given('e:2'), given('e:3')],
    ],
    whole,
  ],
  'the loss of another life from its first message on, behind all of the one before': [
    [
      ...follows('s1', { '#': {} }),
      ...[publish('m1'), acknowledged('m1', 'e:1'), given('e:1')],
      { kind: 'purged', step: 0, channel: 'news' },
      ...[publish('m0'), acknowledged('m0', 'f:1'), publish('m2'), acknowledged('m2', 'f:2')],
      ...[lost('f:1', { reason: 'trimmed', from: 1, to: 1 }), given('f:2')],
    ],
    { logs: log('f:2', ['m2']) },
  ],
  'messages that are over': [
    [
      ...follows('s1', { '#': {} }),
      ...[publish('m1'), publish('m2', { ttl: 10, unixMs: 50 }), publish('m3')],
      ...[acknowledged('m2', 'e:2'), given('e:1'), lapsed(2, 2), given('e:3')],
    ],
    whole,
  ],
};

describe('checkHistory, of those who follow patterns, finds nothing wrong with', () => {
  test.each(Object.entries(CLEAN))('%s', (_, [events, more]) => {
    expect(brokenBy(events, more)).toEqual([]);
  });
});

/** Histories in which one promise is broken, and what is told of it. */
const BROKEN: Record<string, [BrokenPromise, string, readonly HistoryEvent[], Partial<History>?]> =
  {
    'a message that never came': [
      2,
      'm2',
      [...follows('s1', { '#': {} }), ...published, given('e:1'), given('e:3')],
    ],
    'the end of a channel that never came': [
      2,
      'at the end',
      [...follows('s1', { '#': {} }), ...published, given('e:1'), given('e:2')],
      whole,
    ],
    'another life of the stream that never came': [
      2,
      'm2',
      [
        ...follows('s1', { '#': {} }, { muted: true, epoch: 'd', top: 3 }),
        { kind: 'purged', step: 0, channel: 'news' },
        ...[publish('m1', { connection: 'w1' }), acknowledged('m1', 'e:1')],
        ...published.slice(2, 4),
      ],
      { logs: log('e:1', ['m1', 'm2']) },
    ],
    'the rest of a life of the stream that ended': [
      2,
      'm2',
      [
        ...[...follows('s1', { '#': {} }), ...published.slice(0, 4), given('e:1')],
        { kind: 'purged', step: 0, channel: 'news' },
      ],
      { logs: log('f:1', []) },
    ],
    'the rest of a life of the stream that ended, where only the next one is told to lose': [
      2,
      'm2',
      [
        ...[...follows('s1', { '#': {} }), ...published.slice(0, 4), given('e:1')],
        { kind: 'purged', step: 0, channel: 'news' },
        ...[publish('m0'), acknowledged('m0', 'f:1')],
        lost('f:1', { reason: 'trimmed', from: 1, to: 1 }),
      ],
      { logs: log('f:2', []) },
    ],
    'what two that overlap deliver both': [
      3,
      'e:1 again',
      [...follows('s1', { '+': {} }), ...follows('s2', { '#': {} }), given('e:1'), given('e:1')],
    ],
    'a mark that is too new': [
      2,
      'm2',
      [
        ...follows('s1', { '#': {} }),
        ...published,
        ...[given('e:1'), marked('s1', '~m'), ended],
        ...follows('s2', { '#': { after: '~m' } }, { session: 'w2', recovered: true, top: 3 }),
        given('e:3', { session: 'w2' }),
      ],
    ],
    'a mark that is too old': [
      3,
      'e:1 again',
      [
        ...follows('s1', { '#': {} }),
        ...[given('e:1'), marked('s1', '~m'), ended],
        ...follows('s2', { '#': { after: '~m' } }, { session: 'w2', recovered: true, top: 1 }),
        given('e:1', { session: 'w2' }),
      ],
    ],
    'a message after its time': [
      'expired',
      'after it was over',
      [publish('m1', { ttl: 10, unixMs: 0 }), ...follows('s1', { '#': {} }), given('e:1')],
    ],
    'a message that was left out before its time': [
      'expired',
      'before it was over',
      [
        ...follows('s1', { '#': {} }),
        ...[publish('m1', { ttl: 100, unixMs: 50 }), acknowledged('m1', 'e:1'), lapsed(1, 1)],
      ],
    ],
    'its own message to who does not want it': [
      'unasked',
      'its own',
      [...follows('s1', { '#': {} }, { muted: true }), given('e:1', { isOwn: true })],
    ],
    'a channel that nobody asked for': [
      'unasked',
      'follows no such channel',
      [...follows('s1', { 'room/+': {} }), given('e:1')],
    ],
    'a volatile message that came twice': [
      3,
      'p1 again',
      [
        publish('p1', { channel: 'now' }),
        ...follows('s1', { now: {} }),
        passing('p1'),
        passing('p1'),
      ],
    ],
    'a volatile message that a fast reader never got': [
      'volatile',
      'never was slow',
      [
        ...follows('s1', { now: {} }),
        publish('p1', { channel: 'now' }),
        { kind: 'passed', step: 0, attempt: 'p1' },
      ],
      { logs: new Map() },
    ],
    'what one pattern never got after the mark of an answer by which another one lost it': [
      2,
      'e:2, which is m2, came neither as a message nor as a gap',
      [...besideLoss, given('e:3', { session: 'w3' })],
      whole,
    ],
    'what came after the loss of an answer, for one that lost nothing': [
      2,
      'e:1, which is m1, came neither as a message nor as a gap',
      [
        ...follows('s1', { '#': {} }),
        ...published,
        ...follows('s2', { '+': { after: '~z' } }, { lossy: ['+'], top: 3 }),
        lost('e:3', { reason: 'trimmed', from: 1, to: 3 }),
        ...[given('e:2'), given('e:3')],
      ],
      whole,
    ],
    'the newest of a slot that a slow reader never got': [
      'volatile',
      'the newest of its slot',
      [
        ...follows('s1', { now: {} }),
        { ...SESSION, kind: 'slow' },
        publish('p1', { channel: 'now', slot: 'a' }),
        { kind: 'passed', step: 0, attempt: 'p1' },
      ],
      { logs: new Map() },
    ],
    'one who went twice': [
      'presence',
      'ann went twice',
      [
        ...follows('s1', { now: {} }),
        { ...SESSION, kind: 'watching', channel: 'now', users: [] },
        { ...SESSION, kind: 'went', channel: 'now', user: 'ann' },
      ],
    ],
    'a list of members that is wrong': [
      'presence',
      'there are ann, it was told ann,bob',
      [
        ...follows('s1', { now: {} }),
        { ...SESSION, kind: 'watching', channel: 'now', users: ['ann', 'bob'] },
      ],
      { logs: new Map(), listed: ['now'] },
    ],
  };

describe('checkHistory, of those who follow patterns, tells of', () => {
  test.each(Object.entries(BROKEN))('%s', (_, [promise, text, events, more]) => {
    const found = brokenBy(events, more);
    expect(found.map(([kind]) => kind)).toEqual([promise]);
    expect(found[0]?.[1]).toContain(text);
  });
});
