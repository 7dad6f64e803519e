import { describe, expect, test } from 'vitest';
import type { ChannelHead } from '../../src/follow-history.ts';
import { checkHistory, formatViolation } from '../../src/history-checker.ts';
import type { HistoryEvent } from '../../src/history.ts';
import {
  ended,
  follows,
  given,
  left,
  lost,
  marked,
  published,
  whole,
} from '../follow-histories.ts';
import { acknowledged, publish } from '../histories.ts';

function faultsOf(...events: readonly HistoryEvent[]): string[] {
  return checkHistory({ events, keyWindowMs: 1000, ...whole }).map(formatViolation);
}

/** The log was like that around the answer. */
function around(head: ChannelHead, events: readonly HistoryEvent[]): HistoryEvent[] {
  const heads = new Map([['news', head]]);
  return events.map((event) => (event.kind === 'following' ? { ...event, heads } : event));
}

/** A pattern from the first message on, with a mark behind that, which was given all three. */
const first: readonly HistoryEvent[] = [
  ...published,
  ...follows('s1', { '#': { after: 'start' } }, { recovered: true, top: 3 }),
  ...[given('e:1'), marked('s1', '~a'), given('e:2'), given('e:3')],
];

/** The same pattern again, from the mark. */
const again = follows('s9', { '#': { after: '~a' } }, { recovered: true, top: 3 });

const trimmed = { reason: 'trimmed', from: 1, to: 3 } as const;

describe('where a session began', () => {
  test('is where those began that it still has, once one has left', () => {
    const later = follows('s2', { '+': {} }, { top: 3 });
    expect(
      faultsOf(...first, ...later, ...left('s1'), ...again, given('e:2'), given('e:3')),
    ).toEqual([]);
  });

  test('is where the others began, once one of them begins anew', () => {
    const name = follows('s2', { news: {} }, { position: 'e:2', top: 3 });
    const anew = follows('s3', { '#': { after: '~a' } }, { recovered: true, top: 3 });
    const events = [...first, ...follows('s0', { '+': {} }, { top: 2 }), ...name, ...anew];
    expect(faultsOf(...events, given('e:2'), given('e:3'))).toEqual([]);
  });

  test('is where a pattern began, though the name that delivers for it begins anew', () => {
    const session = 'w2';
    const resumed = { session, recovered: true, top: 3 };
    const events = [
      ...first.slice(0, -2), // The mark is right behind the first message.
      ended,
      ...follows('s2', { '+': { after: 'start' } }, resumed),
      ...['e:1', 'e:2', 'e:3'].map((position) => given(position, { session })),
      ...follows('s3', { news: {} }, { session, position: 'e:3', top: 3 }),
      ...follows('s4', { news: { after: 'e:3' } }, { ...resumed, position: 'e:3' }),
      ...follows('s5', { '#': { after: '~a' } }, resumed),
    ];
    expect(faultsOf(...events)).toEqual([]);
  });

  test('is behind what an answer lost, whatever the client does before it is told', () => {
    const before = [...follows('s1', { '#': {} }), ...published, given('e:1')];
    const resumed = follows('s2', { '+': { after: '~z' } }, { lossy: ['+'], top: 3 });
    const asked = [...follows('s3', { 'a/+': {} }).slice(0, 1), ...left('s1').slice(0, 1)];
    const rest = [lost('e:3', trimmed), given('e:2'), given('e:3')];
    expect(faultsOf(...before, ...resumed, ...asked, ...rest)).toEqual([]);
  });

  test('is before all of a life where a name begins anew and goes on for a pattern', () => {
    const pattern = follows('s1', { '#': {} }, { epoch: 'd', top: 3 });
    const name = follows('s2', { news: {} }, { position: 'd:3', epoch: 'd', top: 3 });
    const lossy = { recovered: false, position: 'e:1', top: 1 };
    const anew = follows('s3', { news: { after: 'd:3' } }, lossy);
    const all = [given('e:1'), given('e:2'), given('e:3')];
    expect(faultsOf(...published, ...pattern, ...name, ...anew, lost('e:0'), ...all)).toEqual([]);
  });

  test('lacks what was left out before the mark it asks for, be that where a name began later', () => {
    const session = 'w2';
    const before: readonly HistoryEvent[] = [
      ...follows('s1', { '#': {} }, { muted: true }),
      ...[publish('m1'), publish('m2', { connection: 'w1' }), publish('m3')],
      ...[given('e:1'), acknowledged('m2', 'e:2'), marked('s1', '~m'), ended],
    ];
    const resumed = { session, recovered: true, top: 3 };
    const name = follows('s2', { news: { after: 'e:2' } }, { ...resumed, position: 'e:2' });
    const pattern = follows('s3', { '#': { after: '~m' } }, resumed);
    expect(faultsOf(...before, ...name, ...pattern, given('e:3', { session }))).toEqual([]);
  });

  test.each([
    [{ after: 'start' }, { recovered: true }],
    [{}, {}],
    [{ last: 3 }, {}],
  ])('is nowhere for sure where a life may have gone while it was opened %j', (start, verdict) => {
    const purged = { kind: 'purged', step: 0, channel: 'news' } as const;
    const none = { epoch: '0', oldest: 1, top: 0 };
    const answered = { epoch: 'e', oldest: 1, top: 2 };
    const head = { asked: none, answered, comparable: true };
    const opened = around(head, follows('s1', { '#': start }, verdict));
    const gone = { ...given('d:1'), payload: 'm0' } as HistoryEvent;
    const events = [publish('m0'), ...published, ...opened, gone, ended];
    expect(faultsOf(purged, ...events)).toEqual([]);
    expect(faultsOf(...events)).toEqual([expect.stringContaining('came neither as a message')]);
  });

  test('is in no life of which the session was told that it is over, whoever is left', () => {
    const events: readonly HistoryEvent[] = [
      ...follows('s1', { '#': { last: 1 } }, { epoch: 'd', top: 3 }),
      ...follows('s2', { '+': {} }, { epoch: 'd', top: 3 }),
      ...[publish('m4'), acknowledged('m4', 'd:4'), given('d:4')],
      { kind: 'purged', step: 0, channel: 'news' },
      ...[lost('0:0'), marked('s2', '~m'), ...left('s1'), ended, ...published],
      ...follows('s3', { '+': { after: '~m' } }, { session: 'w2', recovered: true, top: 3 }),
      ...['e:1', 'e:2', 'e:3'].map((position) => given(position, { session: 'w2' })),
    ];
    expect(faultsOf(...events)).toEqual([]);
  });

  test('is in the life in which the one began that is left, though another one was in one before', () => {
    const events: readonly HistoryEvent[] = [
      ...follows('s1', { '#': {} }, { epoch: 'd', top: 3 }),
      ...[{ kind: 'purged', step: 0, channel: 'news' } as const, ...published],
      ...follows('s2', { '+': { after: '~z' } }, { lossy: ['+'], top: 2 }),
      ...[marked('s2', '~m'), lost('e:2'), ...left('s1'), ended],
      ...follows('s3', { '+': { after: '~m' } }, { session: 'w2', recovered: true, top: 3 }),
      given('e:3', { session: 'w2' }),
    ];
    expect(faultsOf(...events)).toEqual([]);
  });

  test('is before any message for one that is left, though another one was in a life before', () => {
    const events: readonly HistoryEvent[] = [
      ...follows('s1', { '#': {} }, { epoch: 'd', top: 3 }),
      ...[publish('m4'), acknowledged('m4', 'd:4')],
      { kind: 'purged', step: 0, channel: 'news' },
      ...follows('s2', { '+': { after: '~z' } }, { lossy: ['+'] }),
      ...[marked('s2', '~m'), lost('0:0'), ...left('s1'), ended, ...published],
      ...follows('s3', { '+': { after: '~m' } }, { session: 'w2', recovered: true, top: 3 }),
      ...['e:1', 'e:2', 'e:3'].map((position) => given(position, { session: 'w2' })),
    ];
    expect(faultsOf(...events)).toEqual([]);
  });

  test('is in the life that goes on, of which an answer told that another one was before', () => {
    const events: readonly HistoryEvent[] = [
      ...[...published, ...follows('s1', { '#': {} }, { top: 1 })],
      ...follows('s2', { '+': { after: '~z' } }, { lossy: ['+'], top: 1 }),
      ...[marked('s2', '~m'), lost('e:1'), given('e:2'), given('e:3'), marked('s2', '~n')],
      ...[...left('s1'), ended],
      ...follows('s3', { '+': { after: '~n' } }, { session: 'w2', recovered: true, top: 3 }),
    ];
    expect(faultsOf(...events)).toEqual([]);
  });

  test('is in the life that goes on, though an answer in it stood before any message', () => {
    const events: readonly HistoryEvent[] = [
      ...[...published, ...follows('s1', { '#': {} }, { top: 1 })],
      ...follows('s2', { '+': { after: '~z' } }, { lossy: ['+'], top: 1 }),
      ...[marked('s2', '~m'), lost('0:0'), given('e:2'), given('e:3'), marked('s2', '~n')],
      ...[...left('s1'), ended],
      ...follows('s3', { '+': { after: '~n' } }, { session: 'w2', recovered: true, top: 3 }),
    ];
    expect(faultsOf(...events)).toEqual([]);
  });

  test('is where it was, if one that it still has began there too', () => {
    const equal = follows('s2', { '+': { after: 'start' } }, { recovered: true, top: 3 });
    expect(faultsOf(...first, ...equal, ...left('s1'), ...again, given('e:2'))).toEqual([
      expect.stringContaining('got e:2 again, being at e:3'),
    ]);
  });

  test('is behind what one lost that goes on, for one that begins anew', () => {
    const named = follows('s2', { news: {} }, { position: 'e:3', top: 3 });
    const lossy = follows('s3', { '+': { after: '~z' } }, { lossy: ['+'], top: 3 });
    const events = [...first, ...named, ...lossy, lost('e:3', trimmed), ...again];
    expect(faultsOf(...events, given('e:2'), given('e:3'))).toEqual([]);
  });

  test('is behind what was lost, by a mark of then, though another one had nothing before', () => {
    const before = [...follows('s0', { '+': {} }), marked('s0', '~z'), ended];
    const begun = [...before, ...follows('s1', { '#': {} })];
    const stream = { epoch: 'e', oldest: 3, top: 3 };
    const head = { asked: stream, answered: stream, comparable: true };
    const lossy = around(head, follows('s2', { '+': { after: '~z' } }, { lossy: ['+'], top: 3 }));
    const told = [marked('s2', '~c'), lost('e:3', trimmed), ...left('s1'), ended];
    const resumed = follows(
      's3',
      { '+': { after: '~c' } },
      { session: 'w2', recovered: true, top: 3 },
    );
    expect(faultsOf(...begun, ...published, ...lossy, ...told, ...resumed)).toEqual([]);
  });

  test('may be before what a read right after an answer lost, by the mark of that answer', () => {
    const stream = { epoch: 'e', oldest: 3, top: 3 };
    const head = { asked: stream, answered: stream, comparable: true };
    const resume = (name: string, session: string) =>
      around(head, follows(name, { '#': { after: '~m' } }, { session, lossy: ['#'], top: 3 }));
    const trimmedTo = (offset: number, session: string) => {
      const gap = { reason: 'trimmed', from: 1, to: offset } as const;
      return { ...lost(`e:${offset}`, gap), session };
    };
    const events = [
      ...[...follows('s1', { '#': {} }), marked('s1', '~m'), ended, ...published],
      ...[...resume('s2', 'w2'), { ...marked('s2', '~m'), session: 'w2' }, trimmedTo(2, 'w2')],
      ...[{ ...ended, session: 'w2' }, ...resume('s3', 'w3'), trimmedTo(3, 'w3')],
    ];
    expect(faultsOf(...events)).toEqual([]);
  });

  test('is behind the first message, for one that begins anew before it beside a name', () => {
    const begun = [...follows('s1', { '#': {} }), marked('s1', '~a'), ...published];
    const named = follows('s2', { news: {} }, { position: 'e:1', top: 1 });
    const events = [...begun, given('e:1'), ...named, ...again, given('e:1')];
    expect(faultsOf(...events, given('e:2'), given('e:3'))).toEqual([]);
  });

  test('may be in the life before one that nobody was told of as yet', () => {
    const purged = { kind: 'purged', step: 0, channel: 'news' } as const;
    const stream = { epoch: 'e', oldest: 1, top: 2 };
    const opened = (comparable: boolean) =>
      around({ asked: stream, answered: stream, comparable }, follows('s1', { '#': {} }));
    const before = { ...given('d:1'), payload: 'm0' } as HistoryEvent;
    const told = [publish('m0'), ...published, before, ended];
    expect(faultsOf(purged, ...opened(false), ...told)).toEqual([]);
    expect(faultsOf(purged, ...opened(true), ...told)).toEqual([
      expect.stringContaining('e:3, which is m3, came neither as a message nor as a gap'),
    ]);
  });

  test('may be behind what was lost after an answer, if the log has that no more', () => {
    const before = [...follows('s1', { '#': {} }), ...published];
    const told = [lost('e:1', { reason: 'trimmed', from: 1, to: 1 }), given('e:2'), given('e:3')];
    const resumed = follows('s2', { '+': { after: '~z' } }, { lossy: ['+'], top: 3 });
    const lossy = (oldest: number) => {
      const stream = { epoch: 'e', oldest, top: 3 };
      return around({ asked: stream, answered: stream, comparable: true }, resumed);
    };
    expect(faultsOf(...before, ...lossy(2), ...told)).toEqual([]);
    expect(faultsOf(...before, ...lossy(1), ...told)).toEqual([
      expect.stringContaining('e:1, which is m1, came neither as a message nor as a gap'),
    ]);
  });

  test('may be in a life that was purged, of which the log tells late', () => {
    const purged = { kind: 'purged', step: 0, channel: 'news' } as const;
    const events = [...published, purged, ...follows('s1', { '#': {} }), given('e:3')];
    expect(checkHistory({ events, keyWindowMs: 1000 }).map(formatViolation)).toEqual([]);
  });
});
