import { describe, expect, test } from 'vitest';
import { exactJson } from '../../src/encodings/exact.ts';
import type { SnapshotEvent } from '../../src/events.ts';
import type { Read } from '../../src/transports/http-reading.ts';
import { tellAnswer } from '../../src/transports/poll-answer.ts';
import type { Wish } from '../../src/transports/transport.ts';
import { HttpReader, page } from '../support/http-fakes.ts';

function readOf(...wishes: readonly Wish[]): Read {
  const filters = wishes.map(({ filter }) => filter);
  const [first = ''] = filters;
  return {
    wishes: wishes.map((wish) => ({ key: wish.filter, ...wish })),
    keys: filters,
    filters,
    only: filters.length === 1 && !/[+#]/.test(first) ? first : undefined,
    signal: new AbortController().signal,
    places: new Map(wishes.map(({ filter, after = '' }) => [filter, after])),
    heardMs: 0,
    opened: () => {},
    settled: () => {},
  };
}

function tell(read: Read, isFirst: boolean, answer: object) {
  const reader = new HttpReader(...read.wishes);
  const frame = exactJson.answerOf(new TextEncoder().encode(JSON.stringify(answer)), '');
  const place = tellAnswer(reader, read, frame, isFirst);
  return { place, told: reader.told(), reader };
}

describe('the answer to a poll', () => {
  test('[POLL-3] begins where each channel stood before its messages', () => {
    const read = readOf(
      { filter: 'a', after: 'e:2' },
      { filter: 'b' },
      { filter: 'c/#', after: '~1' },
    );
    const answer = page(
      { a: 'e:4', b: 'e:9' },
      [
        ['a', 3],
        ['a', 4],
        ['c/1', 1],
      ],
      {
        recovered: { a: true, 'c/#': true },
        mark: '~2',
      },
    );
    const { place, told, reader } = tell(read, true, answer);
    expect(told).toEqual([
      ...['open a e:2', 'open b e:9', 'open c/# ~1'],
      ...['a 3', 'a 4', 'c/1 1', 'mark ~2'],
    ]);
    expect(place).toBe('~2');
    expect(reader.openings.map(({ recovered }) => recovered)).toEqual([true, undefined, true]);
  });

  test('[POLL-10] opens a name where it begins itself, not where a pattern does', () => {
    const read = readOf({ filter: 'a' }, { filter: '#', after: '~1' });
    const starts = { a: 'e:6' };
    const gap = { reason: 'trimmed', from: 3, to: 4 };
    const answer = page({ a: 'e:7' }, [['a', 5]], { starts, gaps: { a: gap, '#': gap } });
    const { told } = tell(read, true, answer);
    expect(told.slice(0, 4)).toEqual(['open a e:6', 'open # ~1', 'gap a e:4 for #', 'a 5']);
  });

  test('[POLL-6] [REC-7] opens anew what lost something, and tells losses of what was found', () => {
    const gap = { reason: 'trimmed', from: 3, to: 7 };
    const answer = page(
      { a: 'e:9', 'c/1': 'e:5' },
      [
        ['a', 8],
        ['a', 9],
      ],
      {
        recovered: { a: false, 'c/#': false },
        gaps: { a: gap, 'c/#': gap, 'c/1': gap },
        mark: '~2',
      },
    );
    const read = readOf({ filter: 'a' }, { filter: 'b' }, { filter: 'c/#', after: '~1' });
    const { told, reader } = tell(read, false, answer);
    expect(told.slice(0, 3)).toEqual(['open a e:7', 'open c/# ~1', 'gap c/1 e:5 for c/#']);
    expect(reader.openings[0]).toMatchObject({ recovered: false, gap });
  });

  test('[POLL-6] [REC-7] tells patterns what a channel lost that is named beside them', () => {
    const gap = { reason: 'trimmed', from: 3, to: 7 };
    const answer = page({ a: 'e:9' }, [['a', 8]], { gaps: { a: gap } });
    const read = readOf({ filter: 'a' }, { filter: '#', after: '~1' });
    expect(tell(read, false, answer).told.slice(0, 2)).toEqual(['open a e:7', 'gap a e:7 for #']);
  });

  test('[MSG-6] tells what expired, of channels that were named', () => {
    const read = readOf({ filter: 'a' });
    expect(tell(read, true, page({ a: 'e:2' }, [['a', 1]])).told).toEqual([
      ...['open a e:0', 'a 1', 'expired a e:2'],
    ]);
    expect(tell(read, false, page({ a: 'e:2' })).told).toEqual([]);
    expect(tell(read, false, page({ a: 'e:4' }, [['a', 4]])).told).toEqual(['a 4']);
    const { told, place } = tell(read, false, page({ a: 'e:6' }));
    expect(told).toEqual(['expired a e:6']);
    expect(place).toBe('e:6');
  });

  test('[MSG-6] tells of nothing that expired where the oldest was asked for', () => {
    const read = readOf({ filter: 'a', after: 'start' });
    const { told } = tell(read, true, page({ a: '0:0' }, [], { recovered: { a: true } }));
    expect(told).toEqual(['open a 0:0']);
  });

  test('[MSG-6] tells what expired before anything came', () => {
    const read = readOf({ filter: 'a', after: 'e:1' });
    const { told } = tell(read, true, page({ a: 'e:2' }, [], { recovered: { a: true } }));
    expect(told).toEqual(['open a e:2', 'expired a e:2']);
  });

  test('[POLL-8] tells the state before what followed', () => {
    const snapshots = { a: { position: 'e:2', time: 1, data: 7 } };
    const { told } = tell(
      readOf({ filter: 'a' }),
      true,
      page({ a: 'e:3' }, [['a', 3]], { snapshots }),
    );
    expect(told).toEqual(['open a e:2', 'snapshot a e:2', 'a 3']);
  });

  test('[POLL-8] tells the text of the state where the encoding keeps it', () => {
    const sources: unknown[] = [];
    const reader = Object.assign(new HttpReader(), {
      onSnapshot: ({ source }: SnapshotEvent) => void sources.push(source),
    });
    const answer = `{"messages":[],"positions":{"a":"e:2"},
      "snapshots":{"a":{"position":"e:2","data":1.50}}}`;
    tellAnswer(reader, readOf({ filter: 'a' }), exactJson.eventOf(answer), true);
    expect(sources).toEqual(['1.50']);
  });

  test('[POLL-7] opens volatile channels without a place', () => {
    const { told, place } = tell(readOf({ filter: 'v' }), true, page({}, [], { volatile: ['v'] }));
    expect(told).toEqual(['open v']);
    expect(place).toBeUndefined();
  });

  test('reads channels whose names objects have by themselves', () => {
    const read = readOf({ filter: '__proto__' }, { filter: 'constructor' });
    const answer = `{"messages":[],"positions":{"__proto__":"e:1","constructor":"e:2"}}`;
    const reader = new HttpReader();
    tellAnswer(reader, read, exactJson.eventOf(answer), true);
    expect(reader.told()).toEqual(['open __proto__ e:1', 'open constructor e:2']);
  });

  test('stops telling when the read was given up', () => {
    const aborter = new AbortController();
    const read = { ...readOf({ filter: 'a' }), signal: aborter.signal };
    const reader = new HttpReader('a');
    reader.onWord = (word) => word === 'a 1' && aborter.abort();
    const frame = { fields: { positions: { a: 'e:2' }, mark: '~1' } };
    const message = { kind: 'message', channel: 'a', epoch: 'e' } as const;
    const messages = [
      { ...message, offset: 1 },
      { ...message, offset: 2 },
    ];
    expect(tellAnswer(reader, read, { ...frame, messages }, true)).toBeUndefined();
    expect(reader.told()).toEqual(['open a e:0', 'a 1']);
  });
});
