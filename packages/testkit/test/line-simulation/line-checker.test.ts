import { parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { BrokenPromise, StreamLog } from '../../src/history.ts';
import { checkLines } from '../../src/line-simulation/line-checker.ts';
import type { LineEvent, ListensEvent } from '../../src/line-simulation/line-history.ts';

const step = 1;
const reader = 'r';

function at(text: string): Position {
  return parsePosition(text) ?? { epoch: '', offset: -1 };
}

function listens(filter: string, options: Partial<ListensEvent> = {}): LineEvent {
  return { kind: 'listens', step, reader, line: 'line', filter, echo: true, ...options };
}

/** @param place a position, or the mark of a pattern. */
function begins(place: string, heads: Readonly<Record<string, string>> = {}): LineEvent {
  const known = Object.entries(heads).map(([channel, head]) => {
    const { epoch, offset: top } = at(head);
    return [channel, { epoch, oldest: 1, top }] as const;
  });
  const told = place.startsWith('~') ? { mark: place } : { position: at(place) };
  return { kind: 'begins', step, reader, ...told, heads: new Map(known) };
}

function hears(channel: string, place: string, payload = `${channel} ${place}`): LineEvent {
  return { kind: 'hears', step, reader, channel, position: at(place), payload, unixMs: 0 };
}

function misses(channel: string, place: string): LineEvent {
  return {
    kind: 'misses',
    step,
    reader,
    channel,
    gap: { reason: 'trimmed' },
    position: at(place),
  };
}

function publish(payload: string, channel: string, ttl?: number): LineEvent {
  const names = { attempt: payload, connection: 'line', user: 'u', payload, key: payload };
  const event = { kind: 'publish', step, ...names, channel, atMs: 0 } as const;
  return ttl === undefined ? event : { ...event, ttl };
}

function acknowledged(attempt: string, place: string): LineEvent {
  return { kind: 'acknowledged', step, attempt, position: at(place) };
}

/** What was broken in a run; in the end each channel's log holds nothing and stands there. */
function broken(tops: Readonly<Record<string, string>>, ...events: LineEvent[]): BrokenPromise[] {
  const logs = new Map<string, StreamLog>();
  for (const [channel, top] of Object.entries(tops)) {
    const { epoch, offset } = at(top);
    logs.set(channel, { epoch, oldest: offset + 1, top: offset, payloads: new Map() });
  }
  const violations = checkLines({
    events,
    logs,
    heads: () => logs,
    keyWindowMs: 1_000,
    countMin: () => 100,
  });
  return violations.map(({ promise }) => promise);
}

describe('a listener of a name', () => {
  test('is given everything from where it began', () => {
    const told = [listens('a'), begins('e:3'), hears('a', 'e:4'), hears('a', 'e:5')];
    expect(broken({ a: 'e:5' }, ...told)).toEqual([]);
    expect(broken({ a: 'e:6' }, ...told)).toEqual([2]);
    expect(broken({ a: 'e:7' }, ...told, hears('a', 'e:7'))).toEqual([2]);
    expect(broken({ a: 'e:5' }, ...told, hears('a', 'e:5'))).toEqual([3]);
    expect(broken({ a: 'e:5' }, ...told, hears('a', 'e:4'), begins('e:5'))).toContain(1);
  });

  test('is told what it loses, and of another life', () => {
    const told = [listens('a'), begins('e:3')];
    expect(broken({ a: 'e:9' }, ...told, misses('a', 'e:8'), hears('a', 'e:9'))).toEqual([]);
    expect(broken({ a: 'f:1' }, ...told, hears('a', 'f:1'))).toEqual([2]);
    expect(broken({ a: 'e:3' }, ...told, misses('a', 'e:3'))).toEqual([3]);
  });

  test('begins, and begins where it asked to', () => {
    expect(broken({ a: 'e:3' }, listens('a'))).toEqual([2]);
    const before = [listens('a'), begins('e:3'), hears('a', 'e:4')];
    const after = { reader: 'r2', continues: 'r', after: 'e:4' };
    const next = { ...begins('e:6'), reader: 'r2' } as LineEvent;
    const stops: LineEvent = { kind: 'stops', step, reader };
    expect(broken({ a: 'e:6' }, ...before, stops, listens('a', after), next)).toContain(2);
  });

  test('may lack what was over, and what it does not want', () => {
    const over = [publish('p', 'a', 1), acknowledged('p', 'e:1')];
    const own = [publish('q', 'a'), acknowledged('q', 'e:2')];
    const told = [...over, ...own, listens('a', { echo: false }), begins('e:0'), hears('a', 'e:3')];
    expect(broken({ a: 'e:3' }, ...told)).toEqual([]);
    const wanting = [...over, ...own, listens('a'), begins('e:0'), hears('a', 'e:3')];
    expect(broken({ a: 'e:3' }, ...wanting)).toEqual([2]);
  });
});

describe('a listener of a pattern', () => {
  test('is given everything of each channel after it began', () => {
    const told = [listens('#'), begins('~1', { a: 'e:3', b: '0:0' }), hears('a', 'e:4')];
    expect(broken({ a: 'e:4', b: '0:0' }, ...told)).toEqual([]);
    expect(broken({ a: 'e:5', b: '0:0' }, ...told)).toEqual([2]);
    expect(broken({ a: 'e:4', b: 'f:2' }, ...told, hears('b', 'f:2'))).toEqual([2]);
  });

  test('goes on from a mark where the one before stood when it was told it', () => {
    const reaches: LineEvent = { kind: 'reaches', step, reader, mark: '~2' };
    const before = [
      ...[listens('#'), begins('~1', { a: 'e:3' }), hears('a', 'e:4'), reaches],
      ...[hears('a', 'e:5'), { kind: 'stops', step, reader } as const],
    ];
    const next = listens('#', { reader: 'r2', continues: 'r', after: '~2' });
    const then = (...events: LineEvent[]) =>
      events.map((event): LineEvent => ({ ...event, reader: 'r2' }) as LineEvent);
    const opening = begins('~2', { a: 'e:9' });
    const whole = then(opening, ...[5, 6].map((offset) => hears('a', `e:${offset}`)));
    expect(broken({ a: 'e:6' }, ...before, next, ...whole)).toEqual([]);
    expect(broken({ a: 'e:6' }, ...before, next, ...then(opening, hears('a', 'e:6')))).toEqual([2]);
  });

  test('stands at the mark it began behind, whatever the server calls that place', () => {
    const reaches: LineEvent = { kind: 'reaches', step, reader, mark: '~2' };
    const told = [listens('#'), begins('~1', { a: 'e:3' }), hears('a', 'e:4'), reaches];
    const goOn = (from: string, to: string, ...events: LineEvent[]) => [
      { kind: 'stops', step, reader: from } as const,
      listens('#', { reader: to, continues: from, after: '~2' }),
      ...events.map((event): LineEvent => ({ ...event, reader: to }) as LineEvent),
    ];
    const second = goOn('r', 'r2', begins('~9', { a: 'e:4' }));
    const third = goOn('r2', 'r3', begins('~2', { a: 'e:4' }), hears('a', 'e:5'));
    expect(broken({ a: 'e:5' }, ...told, ...second, ...third)).toEqual([]);
  });
});

test('a listener that is ended is a violation', () => {
  const ends: LineEvent = { kind: 'ends', step, reader, reason: 'forbidden' };
  expect(broken({ a: 'e:3' }, listens('a'), begins('e:3'), ends)).toEqual(['unasked']);
});

test('a publish is stored once', () => {
  const told = [publish('p', 'a'), listens('a'), begins('e:0')];
  const twice = [hears('a', 'e:1', 'p'), hears('a', 'e:2', 'p')];
  expect(broken({ a: 'e:2' }, ...told, ...twice)).toEqual([6]);
});
