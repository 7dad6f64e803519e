import { describe, expect, test } from 'vitest';
import type { ChangedChannel } from '../../../src/broker/broker.ts';
import { changedSincePlace, resolveMarks } from '../../../src/hub/reading/mark-starts.ts';
import { Channel } from '../../../src/hub/channel.ts';
import { OPEN_NAMESPACE } from '../../../src/config/namespace-rules.ts';
import { formatPlaceMark } from '../../../src/hub/place-mark.ts';
import type { PlaceStart } from '../../../src/hub/place-mark.ts';

const stream = { epoch: 'e', oldest: 3, top: 20 };
const at = (offset: number, epoch = 'e') => ({ epoch, offset });

/** Channels by mark: `~1` was before `~2`. */
const CHANGES: Readonly<Record<string, readonly ChangedChannel[]>> = {
  '~1': ['a', 'b', 'm', 'z'].map((channel) => ({ channel, position: at(5), stream })),
  '~2': ['a', 'z'].map((channel) => ({ channel, position: at(10), stream })),
  start: ['a', 'b', 'm', 'z'].map((channel) => ({ channel, position: at(0, '0'), stream })),
};
const broker = {
  changedSince: async (mark: string | undefined, names: readonly string[]) =>
    CHANGES[mark ?? 'start']?.filter(({ channel }) => names.includes(channel)),
};

function placeFrom(from: PlaceStart) {
  return { mark: '~2', behind: new Map([['m', at(7)]]), rest: { after: 'm', from } };
}

describe('what changed since a place between two marks', () => {
  test.each([
    ['the mark before', { kind: 'mark', mark: '~1' }, { kind: 'position', position: at(5) }],
    ['what was retained', { kind: 'start' }, { kind: 'position', position: at(2) }],
    ['the newest of then', { kind: 'last', count: 2 }, { kind: 'position', position: at(8) }],
    ['what is left of them', { kind: 'last', count: 9 }, { kind: 'position', position: at(2) }],
  ] as const)('begins behind its name at %s', async (_, from, after) => {
    const changed = await changedSincePlace(broker, placeFrom(from), ['a', 'b', 'm', 'z']);
    expect(new Map(changed?.map(({ channel, start }) => [channel, start.after]))).toEqual(
      new Map<string, unknown>([
        ['a', { kind: 'position', position: at(10) }],
        ['z', after],
      ]),
    );
  });

  test('begins behind its name at the mark where what came after that is gone [REC-9]', async () => {
    const trimmed = { ...stream, oldest: 15 };
    const forgetful = {
      changedSince: async () => [{ channel: 'z', position: at(10), stream: trimmed }],
    };
    const changed = await changedSincePlace(forgetful, placeFrom({ kind: 'start' }), ['z']);
    expect(changed?.map(({ start }) => start.after)).toEqual([
      { kind: 'position', position: at(10) },
    ]);
  });

  test('is unknown where either mark is', async () => {
    const place = placeFrom({ kind: 'mark', mark: '~unknown' });
    expect(await changedSincePlace(broker, place, ['a'])).toBeUndefined();
    const other = { ...placeFrom({ kind: 'start' }), mark: '~unknown' };
    expect(await changedSincePlace(broker, other, ['a'])).toBeUndefined();
  });

  test('is told of names: own places first, then the marks, then the heads', async () => {
    const mark = formatPlaceMark(placeFrom({ kind: 'mark', mark: '~1' })) ?? '';
    const start = { after: { kind: 'mark', mark }, partial: true } as const;
    const kept = { size: 0 };
    const readings = ['a', 'b', 'm', 'z'].map((name) => {
      const channel = new Channel(name, { rules: OPEN_NAMESPACE, kept, onAlarm() {} });
      channel.reset('e', 20);
      return { channel, start };
    });
    const resolved = await resolveMarks(broker, readings);
    expect(resolved.map((one) => one.start)).toEqual(
      [10, 20, 7, 5].map((offset) => ({
        after: { kind: 'position', position: at(offset) },
        partial: true,
      })),
    );
  });
});
