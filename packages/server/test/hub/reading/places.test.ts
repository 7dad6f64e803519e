import { seededRandom } from '@trunkline/testkit';
import { isWildcard } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { Start } from '../../../src/hub/hub-types.ts';
import { anyone } from '../hub-setup.ts';
import { runPlaces } from './places.ts';
import type { PlacesOptions } from './places.ts';
import { after, application, setUp, texts } from './reading-setup.ts';

const SEEDS = Array.from({ length: 60 }, (_, index) => index + 1);

const KINDS: readonly (readonly [string, PlacesOptions])[] = [
  ['give each what the log has after its place, and nothing twice', {}],
  ['the same where the log is ahead of what the node was told', { lags: true }],
  ['tell what retention took', { trims: true }],
  ['the same where they wait', { waits: true, lags: true }],
  ['the same over commits in doubt', { waits: true, lags: true, doubts: true }],
  ['tell what retention takes between the answers', { trims: true, rushes: true }],
  ['tell it where they wait', { trims: true, rushes: true, waits: true }],
  ['tell it to a node that hears late', { trims: true, rushes: true, lags: true }],
  ['tell it to all of these', { trims: true, rushes: true, waits: true, lags: true, doubts: true }],
];

describe.each(KINDS)(
  'polls of names and of patterns that match them [POLL-10] %s',
  (_, options) => {
    test.each(SEEDS)('seed %i', async (seed) => {
      expect(await runPlaces(seededRandom(seed), options)).toEqual([]);
    });
  },
);

/** A name and a pattern that matches it, with twelve messages of which the mark has two. */
async function setUpPlaces(rules: Parameters<typeof setUp>[0] = () => ({})) {
  const world = await setUp(rules);
  const { hub, clock, publish, read } = world;
  await publish('b/2', ['1', '2']);
  const { mark } = await read(['b/#']);
  await publish('b/2', ['3', '4', '5', '6', '7']);
  await publish('b/2', ['8', '9', '10', '11', '12']);
  const poll = async (starts: Record<string, Start>, countMax = 100, snapshot = false) => {
    const channels = new Map(Object.entries(starts));
    const reading = hub.read(anyone, { channels, waitMs: 0, countMax, snapshot });
    await clock.settle();
    return reading;
  };
  return { ...world, poll, atMark: after(mark) };
}

const offsetsOf = (texted: readonly string[]) => texted.map((text) => Number(text.split(' ')[1]));

describe('a name that a pattern of the same poll matches [POLL-10]', () => {
  test('is read from the place of the pattern, where that is older', async () => {
    const { poll, atMark } = await setUpPlaces();
    const result = await poll({ 'b/2': { last: 4 }, 'b/#': atMark });
    expect(offsetsOf(texts(result))).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(result.channels).toMatchObject([
      { channel: 'b/2', position: { offset: 2 }, begin: { offset: 8 }, end: { offset: 12 } },
    ]);
    expect(result.patterns.get('b/#')).toEqual({ recovered: true });
  });

  test('is read from its own place, where that is older, and says nothing of another', async () => {
    const { poll, atMark } = await setUpPlaces();
    const { channels } = await poll({ 'b/2': after('start'), 'b/#': atMark });
    expect(channels).toMatchObject([{ position: { offset: 0 }, recovered: true }]);
    expect(channels[0]?.begin).toBeUndefined();
    expect((await poll({ 'b/2': { last: 1 }, 'b/#': {} })).channels).toMatchObject([
      { position: { offset: 11 } },
    ]);
  });

  test('goes on over as many answers as it takes, by the mark and by positions', async () => {
    const { poll, publish, atMark } = await setUpPlaces();
    await publish('b/1', ['1', '2']);
    await publish('b/3', ['1', '2']);
    for (const byMark of [true, false]) {
      const seen: string[] = [];
      let starts: Record<string, Start> = { 'b/2': { last: 4 }, 'b/#': atMark };
      for (let hasMore = true; hasMore; ) {
        const { more, mark, ...result } = await poll(starts, 3);
        seen.push(...texts({ ...result, more }));
        const position = result.channels.find(({ channel }) => channel === 'b/2')?.end;
        const own: Start = position === undefined ? {} : { after: { kind: 'position', position } };
        starts = { 'b/2': byMark ? after(mark) : own, 'b/#': after(mark) };
        hasMore = more;
      }
      const expected = Array.from({ length: 10 }, (_, index) => `b/2 ${index + 3}`);
      const others = ['b/1 1', 'b/1 2', 'b/3 1', 'b/3 2'];
      expect(seen.toSorted()).toEqual([...expected, ...others].toSorted());
    }
  });

  test('stands at its own place while the read has not come to it', async () => {
    const { poll, publish, atMark } = await setUpPlaces();
    await publish('b/1', ['1', '2']);
    const first = await poll({ 'b/2': { last: 4 }, 'b/#': atMark }, 2);
    expect(texts(first)).toEqual(['b/1 1', 'b/1 2']);
    expect(first.channels.find(({ channel }) => channel === 'b/2')).toMatchObject({
      ...{ position: { offset: 8 }, end: { offset: 8 }, messages: [], more: true },
    });
  });

  test('begins at its snapshot, and what the pattern missed before comes, too [POLL-8]', async () => {
    const { hub, clock, poll, atMark } = await setUpPlaces();
    const { channels } = await poll({ 'b/2': {} });
    const epoch = channels[0]?.end.epoch ?? '';
    const draft = { position: { epoch, offset: 10 }, payload: Buffer.from('"state"') };
    const putting = hub.beside.putSnapshot(application, 'b/2', draft);
    await clock.settle();
    await putting;
    const result = await poll({ 'b/2': {}, 'b/#': atMark }, 100, true);
    expect(result.channels).toMatchObject([
      { snapshot: { position: { offset: 10 } }, begin: { offset: 10 }, position: { offset: 2 } },
    ]);
    expect(offsetsOf(texts(result))).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  const small = () => ({ history: { countMax: 6, ageMsMax: 1e9, sizeMax: 1e9 } });

  test('tells what the pattern lost in it, up to where it is delivered', async () => {
    const { poll, atMark } = await setUpPlaces(small);
    const gap = { reason: 'trimmed', to: 8 };
    const result = await poll({ 'b/2': { last: 4 }, 'b/#': atMark });
    expect(result.patterns.get('b/#')).toMatchObject({ recovered: false, gap });
    expect(result.channels).toMatchObject([{ gap, position: { offset: 8 } }]);
    const partial = { partial: true };
    const more = await poll({ 'b/2': { last: 4 }, 'b/#': { ...atMark, ...partial } });
    expect(more.patterns.get('b/#')).toMatchObject({ recovered: false, gap: { to: 6 } });
    expect(more.channels).toMatchObject([{ position: { offset: 6 }, begin: { offset: 8 } }]);
    expect(offsetsOf(texts(more))).toEqual([7, 8, 9, 10, 11, 12]);
  });

  test('loses nothing for a pattern where only the name does', async () => {
    const { poll, atMark } = await setUpPlaces();
    const result = await poll({ 'b/2': after('gone:5'), 'b/#': atMark });
    expect(result.patterns.get('b/#')).toEqual({ recovered: true });
    expect(result.channels).toMatchObject([{ recovered: false, gap: { reason: 'epoch' } }]);
    expect(offsetsOf(texts(result))).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });
});

describe('a read through many channels', () => {
  test('has what came to a channel that it has not come to yet [REC-8]', async () => {
    const { publish, poll } = await setUpPlaces();
    await publish('c', ['1', '2', '3']);
    await publish('d', ['1']);
    const { mark: now } = await poll({ '#': {} });
    // One channel is behind the mark of now: with it the read has an end that it had before.
    const behind = await poll({ c: after('start'), d: {} }, 1);
    expect(behind.mark).toContain(now);
    const both = { c: after(behind.mark), d: after(behind.mark) };
    const cut = await poll(both, 1);
    await publish('d', ['2']);
    const seen = texts(cut);
    let { mark, more } = cut;
    for (let polls = 0; polls < 10 && more; polls += 1) {
      const next = await poll({ c: after(mark), d: after(mark) }, 1);
      seen.push(...texts(next));
      ({ mark, more } = next);
    }
    expect(seen).toEqual(['c 2', 'c 3', 'd 2']);
  });

  test('repeats no name that was at the mark already [POLL-3]', async () => {
    const { publish, poll } = await setUpPlaces();
    await publish('a', ['1', '2', '3']);
    await publish('b', ['1']);
    const first = await poll({ a: after('start'), b: after('start'), 'b/2': { last: 1 } }, 2);
    const rest = Object.fromEntries(['a', 'b', 'b/2'].map((name) => [name, after(first.mark)]));
    const second = await poll(rest);
    expect([...texts(first), ...texts(second)].filter((text) => text.startsWith('b/2'))).toEqual([
      'b/2 12',
    ]);
  });

  test('still ends where its names have no room in a mark', async () => {
    const { publish, poll } = await setUpPlaces();
    const names = Array.from({ length: 120 }, (_, index) => `b/x${'y'.repeat(40)}${index}`);
    for (const name of names) await publish(name, ['1']);
    let starts: Record<string, Start> = { 'b/#': after('start') };
    for (const [index, name] of names.entries()) {
      starts[name] = index % 2 === 0 ? after('start') : { last: 1 };
    }
    const seen = new Set<string>();
    for (let polls = 0, hasMore = true; hasMore; polls += 1) {
      expect(polls).toBeLessThan(200);
      const { more, mark, ...result } = await poll(starts, 3);
      for (const text of texts({ ...result, more })) seen.add(text);
      const ends = new Map(result.channels.map(({ channel, end }) => [channel, end]));
      starts = Object.fromEntries(
        Object.entries(starts).map(([filter, start]) => {
          const position = ends.get(filter);
          if (mark !== undefined) return [filter, after(mark)];
          if (position === undefined || isWildcard(filter)) return [filter, start];
          return [filter, { after: { kind: 'position', position } }];
        }),
      );
      hasMore = more;
    }
    expect(seen.size).toBe(132);
  });
});
