import { MemoryLink } from '@trunkline/testkit';
import { formatPosition } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { Start } from '../../../src/hub/hub-types.ts';
import { formatPlaceMark } from '../../../src/hub/place-mark.ts';
import type { SelectionSubscriber } from '../../../src/hub/selection/selection-cursor.ts';
import { SNAPSHOT_BYTES_MAX } from '../../../src/hub/snapshots.ts';
import { Turn } from '../../../src/link/turn.ts';
import { anyone, Listener, setUp } from '../hub-setup.ts';
import { after, application, setUp as setUpHub } from '../reading/reading-setup.ts';
import { away } from '../scripted-broker.ts';
import { setUpSelections } from './selection-setup.ts';

/** A reader of patterns, who is told marks as well. */
class PatternListener extends Listener implements SelectionSubscriber {
  onMark(): void {}
}

describe('openSelection', () => {
  test('reads no channel that a mark names and the patterns do not match [WILD-2]', async () => {
    const { hub, clock, publish, listener } = setUp();
    await publish(2, 'secret/1');
    await publish(2, 'room/1');
    const behind = new Map(
      ['secret/1', 'room/1'].map((channel) => [channel, { epoch: '0', offset: 0 }]),
    );
    const mark = formatPlaceMark({ mark: '~4', behind }) ?? '';
    const reader = new PatternListener(hub, listener().link);
    const starts = new Map([['room/+', { after: { kind: 'mark', mark } as const }]]);
    const { cursor, verdicts } = await hub.subscribeMany(reader, anyone, starts);
    expect(verdicts.get('room/+')).toEqual({ recovered: true });
    hub.start(cursor);
    await clock.settle();
    expect(reader.take()).toEqual(['e2:1', 'e2:2']);
    expect(reader.gaps).toEqual([]);
    expect([...cursor.place.behind.keys()]).not.toContain('secret/1');
  });

  test('begins behind what is still being read of its channels', async () => {
    const { broker, clock, follow, publish } = await setUpSelections();
    await follow({ 'a/+': {} });
    await publish(1, 'a/1');
    broker.holdReads();
    broker.silent = true;
    await publish(1, 'a/1');
    broker.silent = false;
    broker.doubt('a/1');
    const following = follow({ 'a/+': {} });
    await clock.settle();
    broker.releaseReads();
    const reader = await following;
    await publish(1, 'a/1');
    expect(reader.takeMessages()).toEqual(['a/1:3']);
  });

  test('tells that a channel which a mark names apart began anew before the mark [WILD-5]', async () => {
    const { hub, broker, publish, listener } = setUp();
    await publish(2, 'room/1');
    broker.lose('room/1');
    await publish(1, 'room/1');
    await publish(1, 'room/2');
    const behind = new Map([
      ['room/1', { epoch: 'e1', offset: 2 }],
      ['room/2', { epoch: 'e3', offset: 1 }],
      ['room/3', { epoch: '0', offset: 0 }],
    ]);
    const mark = formatPlaceMark({ mark: '~4', behind }) ?? '';
    const reader = new PatternListener(hub, listener().link);
    const starts = new Map([['room/+', { after: { kind: 'mark', mark } as const }]]);
    const { verdicts, losses } = await hub.subscribeMany(reader, anyone, starts);
    expect(verdicts.get('room/+')).toEqual({ recovered: false, gap: { reason: 'epoch' } });
    expect(losses).toEqual([
      { channel: 'room/1', gap: { reason: 'epoch' }, position: { epoch: 'e2', offset: 1 } },
    ]);
  });

  test('tells each pattern of the losses in its own channels [WILD-5]', async () => {
    const { hub, broker, publish, listener } = setUp();
    await publish(2, 'room/1');
    await publish(3, 'hall/1');
    broker.trim('room/1', 2);
    const reader = new PatternListener(hub, listener().link);
    const start = { after: { kind: 'mark', mark: '~0' } } as const;
    const starts = new Map([
      ['room/+', start],
      ['hall/+', start],
    ]);
    const { verdicts, losses } = await hub.subscribeMany(reader, anyone, starts);
    expect(verdicts.get('hall/+')).toEqual({ recovered: true });
    expect(verdicts.get('room/+')).toEqual({
      recovered: false,
      gap: { reason: 'trimmed', from: 1, to: 2 },
    });
    expect(losses.map(({ channel }) => channel)).toEqual(['room/1']);
  });

  test('delivers nothing that it said is lost, though the log was ahead of this node [REC-4]', async () => {
    const { hub, broker, clock, publish, listener } = setUp();
    await hub.open();
    await publish(2, 'room/1');
    const reader = new PatternListener(hub, listener().link);
    broker.holdSink();
    await publish(3, 'room/1');
    broker.trim('room/1', 4);
    const starts = new Map([['room/+', { after: { kind: 'mark', mark: '~2' } as const }]]);
    const { cursor, losses } = await hub.subscribeMany(reader, anyone, starts);
    expect(losses.map(({ position }) => position)).toEqual([{ epoch: 'e1', offset: 5 }]);
    hub.start(cursor);
    broker.releaseSink();
    await clock.pass(1_000);
    await publish(1, 'room/1');
    expect(reader.take()).toEqual(['e1:6']);
    expect(reader.gaps).toEqual([]);
  });

  test('delivers nothing again that a mark names, though the log was ahead of this node [GUA-4]', async () => {
    const { hub, broker, clock, publish, listener } = setUp();
    await hub.open();
    await publish(2, 'room/1');
    broker.holdSink();
    await publish(1, 'room/1');
    const behind = new Map([['room/1', { epoch: 'e1', offset: 3 }]]);
    const mark = formatPlaceMark({ mark: '~2', behind }) ?? '';
    const reader = new PatternListener(hub, listener().link);
    const starts = new Map([['room/+', { after: { kind: 'mark', mark } as const }]]);
    const { cursor, verdicts } = await hub.subscribeMany(reader, anyone, starts);
    expect(verdicts.get('room/+')).toEqual({ recovered: true });
    hub.start(cursor);
    await clock.pass(1_000);
    broker.releaseSink();
    await clock.pass(1_000);
    await publish(1, 'room/1');
    expect(reader.take()).toEqual(['e1:4']);
    expect(cursor.state).toBe('live');
  });

  test('tells of no loss before a mark, though this node still reads that the stream began anew', async () => {
    const { hub, broker, clock, publish, listener } = setUp();
    await hub.open();
    await publish(2, 'room/1');
    const other = listener();
    await hub.subscribe(other, anyone, 'room/1', {});
    broker.failure = away;
    broker.lose('room/1');
    broker.silent = true;
    await publish(1, 'room/1');
    broker.silent = false;
    broker.doubt('room/1');
    const behind = new Map([['room/1', { epoch: 'e2', offset: 1 }]]);
    const mark = formatPlaceMark({ mark: '~2', behind }) ?? '';
    const reader = new PatternListener(hub, listener().link);
    const starts = new Map([['room/+', { after: { kind: 'mark', mark } as const }]]);
    const { cursor, verdicts } = await hub.subscribeMany(reader, anyone, starts);
    expect(verdicts.get('room/+')).toEqual({ recovered: true });
    hub.start(cursor);
    await clock.pass(100);
    broker.failure = undefined;
    await clock.pass(10_000);
    await publish(1, 'room/1');
    expect(reader.gaps).toEqual([]);
    expect(reader.take()).toEqual(['e2:2']);
    expect(cursor.state).toBe('live');
  });

  test('loses nothing of a pattern that comes before a name beside it is opened [GUA-3]', async () => {
    const { hub, broker, clock, publish, listener } = setUp();
    await hub.open();
    await publish(2, 'room/1');
    const changedSince = broker.changedSince.bind(broker);
    broker.changedSince = async (mark, filters) => {
      broker.changedSince = changedSince;
      const changed = await changedSince(mark, filters);
      await publish(2, 'room/1');
      return changed;
    };
    const reader = new PatternListener(hub, listener().link);
    const starts = new Map<string, Start>([
      ['room/+', { after: { kind: 'mark', mark: '~2' } }],
      ['room/1', {}],
    ]);
    const { cursor, verdicts } = await hub.subscribeMany(reader, anyone, starts);
    expect(verdicts.get('room/+')).toEqual({ recovered: true });
    hub.start(cursor);
    await clock.settle();
    expect(reader.take()).toEqual(['e1:3', 'e1:4']);
    expect(reader.gaps).toEqual([]);
  });

  test('reads nothing of what a mark names and this node was told up to there', async () => {
    const { hub, broker, clock, publish, listener } = setUp();
    await hub.open();
    const first = new PatternListener(hub, listener().link);
    const { cursor: live } = await hub.subscribeMany(first, anyone, new Map([['room/+', {}]]));
    hub.start(live);
    await publish(2, 'room/1');
    const behind = new Map([['room/1', { epoch: 'e1', offset: 2 }]]);
    const mark = formatPlaceMark({ mark: '~0', behind }) ?? '';
    const reader = new PatternListener(hub, listener().link);
    const starts = new Map([['room/+', { after: { kind: 'mark', mark } as const }]]);
    const { cursor } = await hub.subscribeMany(reader, anyone, starts);
    expect(cursor.catchUp?.left).toEqual([]);
    hub.start(cursor);
    await clock.settle();
    expect(cursor.state).toBe('live');
    expect(broker.readRanges).toEqual([]);
  });

  test('follows no log of a volatile channel, though a mark names it [VOL-1]', async () => {
    const { hub, clock, listener, publish } = setUp({ volatile: true });
    await hub.open();
    const named = listener();
    const opened = await hub.subscribe(named, anyone, 'room/1', {});
    hub.start(opened.cursor);
    const behind = new Map([['room/1', { epoch: 'e1', offset: 2 }]]);
    const mark = formatPlaceMark({ mark: '~0', behind }) ?? '';
    const reader = new PatternListener(hub, listener().link);
    const starts = new Map([['room/+', { after: { kind: 'mark', mark } as const }]]);
    const { cursor, verdicts, losses } = await hub.subscribeMany(reader, anyone, starts);
    expect(verdicts.get('room/+')).toEqual({ recovered: true });
    expect(losses).toEqual([]);
    hub.start(cursor);
    hub.unsubscribe(cursor);
    await clock.pass(100_000);
    await publish(1, 'room/1');
    expect(named.take()).toEqual([':0']);
  });
});

describe('a reader of several channels that asks for snapshots [SNAP-3]', () => {
  const setUpSnapshots = async () => {
    const world = await setUpHub();
    const { clock, hub, publish, read } = world;
    /** @returns the epoch of a channel with four messages, and a snapshot at the second. */
    const snapshotOf = async (channel: string, size = 2): Promise<string> => {
      await publish(channel, ['1', '2', '3', '4']);
      const epoch = (await read([channel])).channels[0]?.end.epoch ?? '';
      const draft = { position: { epoch, offset: 2 }, payload: new Uint8Array(size).fill(0x31) };
      const putting = hub.beside.putSnapshot(application, channel, draft);
      await clock.settle();
      await putting;
      return epoch;
    };
    const open = async (starts: Record<string, Start>, snapshot = true) => {
      const link = new MemoryLink({ clock, turn: new Turn(clock) });
      const reader = new PatternListener(hub, link);
      const opening = hub.subscribeMany(reader, anyone, new Map(Object.entries(starts)), {
        snapshot,
      });
      opening.catch(() => {}); // It is looked at below.
      await clock.settle();
      return { reader, opened: await opening };
    };
    return { ...world, snapshotOf, open };
  };

  test('begins each name at its snapshot, where the log has what follows', async () => {
    const { clock, hub, open, snapshotOf } = await setUpSnapshots();
    const epoch = await snapshotOf('a');
    const other = await snapshotOf('b');
    const starts = { a: {}, b: after(`${other}:3`), c: {}, 'd/#': {} };
    const { reader, opened } = await open(starts);
    const { cursor, snapshots, verdicts } = opened;
    expect([...snapshots.keys()]).toEqual(['a']);
    const { position } = verdicts.get('a') ?? {};
    expect(position && formatPosition(position)).toBe(`${epoch}:2`);
    expect(verdicts.get('b')).toMatchObject({ recovered: true, position: { offset: 3 } });
    hub.start(cursor);
    await clock.settle();
    expect(reader.take().toSorted()).toEqual([`${epoch}:3`, `${epoch}:4`, `${other}:4`].toSorted());
    hub.unsubscribe(cursor);
  });

  test('has none where nobody asks', async () => {
    const { open, snapshotOf } = await setUpSnapshots();
    await snapshotOf('a');
    const { opened } = await open({ a: {}, b: {} }, false);
    expect(opened.snapshots.size).toBe(0);
    expect(opened.verdicts.get('a')).toMatchObject({ position: { offset: 4 } });
  });

  test('is refused over 4 MB of them, and leaves nothing behind [SSE-1]', async () => {
    const { hub, open, snapshotOf } = await setUpSnapshots();
    const starts: Record<string, Start> = {};
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await snapshotOf(name, SNAPSHOT_BYTES_MAX);
      starts[name] = {};
    }
    await expect(open(starts)).rejects.toMatchObject({ code: 'too_large' });
    expect(hub.activeChannels('#')).toEqual([]);
    const { a = {}, b = {}, c = {}, d = {} } = starts;
    const { opened } = await open({ a, b, c, d });
    expect(opened.snapshots.size).toBe(4);
    hub.unsubscribe(opened.cursor);
    expect(hub.activeChannels('#')).toEqual([]);
  });
});

test('a name of several begins at a mark that the log can not place with what is lost told [GUA-4]', async () => {
  const history = { countMax: 100, sizeMax: 1e9, ageMsMax: Infinity };
  const { broker, follow, publish } = await setUpSelections(100, { history });
  await follow({ 'a/1': {} }); // Memory keeps what comes.
  await publish(4, 'a/1');
  broker.forgetsPlaces = true;
  broker.trim('a/1', 4);
  const reader = await follow({ 'a/1': after('~2'), 'a/2': {} });
  expect(reader.opened?.verdicts.get('a/1')).toMatchObject({
    ...{ recovered: false, gap: { reason: 'trimmed' }, position: { offset: 4 } },
  });
  expect(reader.takeMessages()).toEqual([]);
});
