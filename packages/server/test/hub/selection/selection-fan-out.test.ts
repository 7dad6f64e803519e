import { describe, expect, test } from 'vitest';
import { parseAfter } from '@trunkline/wire';
import { LINGER_MS } from '../../../src/hub/config.ts';
import { anyone } from '../hub-setup.ts';
import { away } from '../scripted-broker.ts';
import { setUpSelections } from './selection-setup.ts';

const payload = new Uint8Array(1);

describe('readers at the head', () => {
  test('are given what a turn brought as one frame with one mark, encoded once for all', async () => {
    const { clock, encoding, follow, hub } = await setUpSelections();
    const readers = await Promise.all(Array.from({ length: 50 }, () => follow({ 'a/+': {} })));
    void hub.publish(anyone, 'a/1', { payload });
    void hub.publish(anyone, 'a/2', { payload });
    void hub.publish(anyone, 'a/1', { payload });
    await clock.settle();
    for (const reader of readers) {
      expect(reader.link.takeFrames()).toEqual(['a/1:1 a/1:2 a/2:1 ~3']);
    }
    expect(encoding.count).toBe(1);
  });

  test('are not told a mark that covers what a channel has still to give', async () => {
    const { clock, follow, hub, listener } = await setUpSelections();
    const reader = await follow({ 'a/+': {} });
    void hub.publish(anyone, 'a/1', { payload });
    // Gives what the channel has now, in the middle of the turn.
    await hub.subscribe(listener(), anyone, 'a/1', {});
    void hub.publish(anyone, 'a/2', { payload });
    await clock.settle();
    expect(reader.take()).toEqual(['a/1:1', 'a/2:1', '~2']);
  });

  test('are told no mark beyond a channel that is being read just now', async () => {
    const { broker, clock, follow, publish } = await setUpSelections();
    const reader = await follow({ 'a/+': {} });
    await publish(1, 'a/1');
    broker.failure = away;
    broker.silent = true;
    await publish(1, 'a/1');
    broker.silent = false;
    await publish(1, 'a/1');
    await publish(1, 'a/2');
    const [, , place, mark = ''] = reader.take();
    expect(place).toBe('a/2:1');
    const again = await (async () => {
      broker.failure = undefined;
      return follow({ 'a/+': { after: parseAfter(mark) } });
    })();
    await clock.pass(1_000);
    expect(again.takeMessages()).toEqual(['a/1:2', 'a/1:3']);
    expect(reader.takeMessages()).toEqual(['a/1:2', 'a/1:3']);
  });

  test('get nothing twice that a channel was read for before the broker told of it', async () => {
    const { broker, clock, follow, publish } = await setUpSelections();
    const reader = await follow({ 'a/+': {} });
    await publish(1, 'a/1');
    expect(reader.takeMessages()).toEqual(['a/1:1']);
    broker.holdSink();
    await publish(1, 'a/1');
    broker.doubt('a/1');
    await clock.settle();
    const [message, mark = ''] = reader.take();
    expect(message).toBe('a/1:2');
    const again = await follow({ 'a/+': { after: parseAfter(mark) } });
    expect(again.takeMessages()).toEqual([]);
    broker.releaseSink();
    await clock.pass(1_000);
    await publish(1, 'a/1');
    expect(reader.takeMessages()).toEqual(['a/1:3']);
    expect(again.take()).toEqual(['a/1:3', '~3']);
  });

  test('leave one out whose messages can not be encoded, and only that one', async () => {
    const { follow, publish } = await setUpSelections();
    const [bad, good] = [await follow({ '#': {} }), await follow({ '#': {} })];
    Object.defineProperty(bad, 'encoding', {
      value: {
        ...bad.encoding,
        encode: () => {
          throw new Error('no');
        },
      },
    });
    await publish(1, 'a');
    expect(bad.link.goodbye?.code).toBe('internal');
    expect(good.takeMessages()).toEqual(['a:1']);
  });
});

describe('readers that are too slow', () => {
  test('cost nothing while they are behind: ten thousand stand at one place', async () => {
    const { clock, encoding, follow, publish } = await setUpSelections(4);
    const readers = [];
    for (let count = 0; count < 10_000; count += 1) readers.push(await follow({ 'a/+': {} }));
    for (const reader of readers) reader.link.hold();
    await publish(1, 'a/1');
    await publish(1, 'a/1');
    const behind = readers.map((reader) => reader.opened?.cursor);
    expect(new Set(behind.map((cursor) => cursor?.state))).toEqual(new Set(['behind']));
    expect(new Set(behind.map((cursor) => cursor?.place)).size).toBe(1);
    expect(behind.every((cursor) => cursor?.catchUp === undefined)).toBe(true);
    encoding.count = 0;
    await publish(300, 'a/1');
    await publish(300, 'a/2');
    expect(encoding.count).toBe(0);
    for (const reader of readers) reader.link.release();
    await clock.settle();
    for (const reader of readers) {
      const places = reader.takeMessages();
      expect(places).toHaveLength(602);
      expect(new Set(places).size).toBe(602);
    }
    // Nobody reads for himself what others at the same place have read.
    expect(encoding.count).toBeLessThan(200);
  }, 60_000);

  test('find out what they missed although the broker can not tell at first', async () => {
    const { broker, clock, follow, publish } = await setUpSelections(10);
    const reader = await follow({ 'a/+': {} });
    reader.link.hold();
    await publish(4, 'a/1');
    await publish(1, 'a/1');
    broker.changedFailure = away;
    reader.link.release();
    await clock.settle();
    broker.changedFailure = undefined;
    await publish(1, 'a/2');
    await clock.pass(1_000);
    expect(reader.takeMessages().toSorted()).toEqual(
      ['a/1:1', 'a/1:2', 'a/1:3', 'a/1:4', 'a/1:5', 'a/2:1'].toSorted(),
    );
  });

  test('are closed when their mark is too old to tell what they missed', async () => {
    const { broker, clock, follow, publish } = await setUpSelections(2);
    const reader = await follow({ 'a/+': {} });
    reader.link.hold();
    await publish(1, 'a/1');
    await publish(1, 'a/1');
    broker.changedSince = () => Promise.resolve(undefined);
    reader.link.release();
    await clock.settle();
    expect(reader.link.goodbye?.code).toBe('slow');
  });

  test('that caught up while the broker is in doubt are given nothing twice', async () => {
    const { broker, clock, follow, publish } = await setUpSelections(10);
    const reader = await follow({ 'a/+': {} });
    reader.link.hold();
    await publish(2, 'a/1');
    await publish(1, 'a/1');
    broker.placeUnknown = true;
    reader.link.release();
    await clock.settle();
    expect(reader.opened?.cursor.state).toBe('catching');
    reader.link.hold();
    await publish(3, 'a/2');
    reader.link.release();
    broker.placeUnknown = false;
    await clock.pass(1_000);
    expect(reader.opened?.cursor.state).toBe('live');
    const places = reader.takeMessages();
    expect(places).toHaveLength(6);
    expect(new Set(places).size).toBe(6);
  });
});

describe('a channel in doubt', () => {
  test('gives nothing again to who begins where the log was ahead of the broker [GUA-4]', async () => {
    const { broker, clock, follow, publish } = await setUpSelections();
    broker.holdSink();
    await publish(1, 'a/1');
    const reader = await follow({ 'a/1': {}, 'a/2': {} });
    expect(reader.opened?.verdicts.get('a/1')?.position).toEqual({ epoch: 'e1', offset: 1 });
    broker.releaseSink();
    await clock.pass(1_000);
    await publish(1, 'a/1');
    expect(reader.takeMessages()).toEqual(['a/1:2']);
    expect(reader.opened?.cursor.state).toBe('live');
  });

  test('is in no mark at its head while readers have still to be told of what it was opened behind', async () => {
    const { broker, clock, follow, publish, subscribe } = await setUpSelections();
    await publish(1);
    broker.holdSink();
    await publish(1, 'other');
    await publish(2);
    await subscribe(); // It stands at 3, of which the broker has told the first.
    const reader = await follow({ '+': {} });
    expect(reader.opened?.mark).toBe('~1');
    broker.doubt('news');
    broker.tell(1);
    await clock.pass(100);
    broker.releaseSink();
    await clock.pass(1_000);
    await publish(1);
    expect(reader.takeMessages().toSorted()).toEqual(['news:2', 'news:3', 'news:4', 'other:1']);
  });

  test('has its readers back where they were told of nothing, for what comes as a doubt alone', async () => {
    const { broker, clock, follow, publish, subscribe } = await setUpSelections();
    await publish(1);
    broker.holdSink();
    await publish(2);
    await subscribe();
    const reader = await follow({ '+': {} });
    broker.forgetUntold();
    broker.doubt('news');
    await clock.pass(1_000);
    await publish(1);
    expect(reader.takeMessages()).toEqual(['news:2', 'news:3', 'news:4']);
  });

  test('has its readers back for what was read when nobody followed it by a pattern', async () => {
    const { broker, clock, follow, publish, subscribe } = await setUpSelections();
    await publish(1);
    await subscribe();
    broker.holdSink();
    await publish(2);
    broker.doubt('news');
    await clock.pass(1_000);
    const reader = await follow({ '+': {} });
    expect(reader.opened?.mark).toBe('~1');
    broker.releaseSink();
    await clock.pass(1_000);
    await publish(1);
    expect(reader.takeMessages()).toEqual(['news:2', 'news:3', 'news:4']);
  });

  test('is given once to who read ahead of the broker, though it was closed meanwhile [GUA-4]', async () => {
    const { broker, clock, follow, publish } = await setUpSelections();
    await publish(1, 'a/1');
    broker.holdSink();
    await publish(2, 'a/1');
    const reader = await follow({ 'a/+': { after: parseAfter('~1') } });
    expect(reader.takeMessages()).toEqual(['a/1:2', 'a/1:3']);
    await clock.pass(2 * LINGER_MS);
    broker.releaseSink();
    await clock.pass(1_000);
    await publish(1, 'a/1');
    expect(reader.takeMessages()).toEqual(['a/1:4']);
    expect(reader.opened?.cursor.state).toBe('live');
  });

  test('that was opened in a life of which the broker has still to tell says what is lost [PURGE-1]', async () => {
    const { broker, clock, follow, publish } = await setUpSelections();
    const reader = await follow({ 'a/+': {} });
    await publish(1, 'a/1');
    await clock.pass(2 * LINGER_MS);
    broker.holdSink();
    await publish(1, 'a/1');
    await broker.purge('a/1');
    await publish(1, 'a/1');
    await follow({ 'a/1': {} });
    broker.releaseSink();
    await clock.pass(1_000);
    await publish(1, 'a/1');
    const position = { epoch: 'e2', offset: 0 };
    expect(reader.gaps).toEqual([{ channel: 'a/1', gap: { reason: 'epoch' }, position }]);
    expect(reader.takeMessages()).toEqual(['a/1:1', 'a/1:1', 'a/1:2']);
  });

  test('that is not open sends readers back to the last mark, and gives nothing twice', async () => {
    const { broker, clock, follow, publish } = await setUpSelections();
    const reader = await follow({ 'a/+': {} });
    await publish(1, 'a/1');
    await clock.pass(60_000); // The channel is closed by now.
    broker.silent = true;
    await publish(1, 'a/1');
    broker.silent = false;
    broker.doubt('a/1');
    await clock.settle();
    expect(reader.takeMessages()).toEqual(['a/1:1', 'a/1:2']);
    expect(reader.opened?.cursor.state).toBe('live');
  });

  test('that retention took from is told to be lost, and what is lost does not come', async () => {
    const { broker, clock, follow, publish } = await setUpSelections(10);
    const reader = await follow({ 'a/+': {} });
    await publish(1, 'a/1');
    await clock.pass(60_000); // The channel is closed by now.
    reader.link.hold();
    await publish(2, 'a/2');
    await publish(1, 'a/2');
    broker.placeUnknown = true;
    reader.link.release();
    await clock.settle();
    expect(reader.opened?.cursor.state).toBe('catching');
    reader.link.hold();
    await publish(3, 'a/2');
    broker.silent = true;
    await publish(1, 'a/1');
    broker.silent = false;
    broker.doubt('a/1');
    await publish(1, 'a/1'); // Memory still has it when the log has not.
    broker.trim('a/1', 4);
    broker.placeUnknown = false;
    reader.link.release();
    await clock.pass(1_000);
    await publish(1, 'a/1');
    expect(reader.gaps).toEqual([
      {
        channel: 'a/1',
        gap: { reason: 'trimmed', from: 2, to: 3 },
        position: { epoch: 'e1', offset: 3 },
      },
    ]);
    const places = reader.takeMessages().filter((place) => place.startsWith('a/1'));
    expect(places).toEqual(['a/1:1', 'a/1:4']);
  });

  test('tells the loss of a life that ended while it was being opened, and what came after it', async () => {
    const { broker, clock, follow, hub, listener, publish } = await setUpSelections();
    const reader = await follow({ 'a/+': {} });
    await publish(1, 'a/1');
    expect(reader.takeMessages()).toEqual(['a/1:1']);
    await clock.pass(60_000); // The channel is closed by now.
    broker.holdReads();
    const opening = hub.subscribe(listener(), anyone, 'a/1', {});
    await publish(1, 'a/1');
    await broker.purge('a/1');
    await publish(2, 'a/1');
    broker.releaseReads();
    await opening;
    await clock.pass(1_000);
    await publish(1, 'a/1');
    expect(reader.takeMessages()).toEqual(['a/1:1', 'a/1:2', 'a/1:3']);
    expect(reader.gaps).toMatchObject([{ gap: { reason: 'epoch' }, position: { offset: 0 } }]);
  });

  test('goes on with a life that began while it was being opened', async () => {
    const { broker, clock, follow, hub, listener, publish } = await setUpSelections();
    const reader = await follow({ 'a/+': {} });
    broker.holdReads();
    const opening = hub.subscribe(listener(), anyone, 'a/1', {});
    await publish(2, 'a/1');
    await broker.purge('a/1');
    await publish(2, 'a/1');
    broker.releaseReads();
    await opening;
    await clock.pass(1_000);
    expect(reader.takeMessages()).toEqual(['a/1:1', 'a/1:2']);
    expect(reader.gaps).toMatchObject([{ gap: { reason: 'epoch' }, position: { offset: 0 } }]);
  });

  test('tells every reader once what it lost when the stream began anew', async () => {
    const { broker, clock, follow, publish } = await setUpSelections();
    const reader = await follow({ 'a/+': {} });
    await publish(2, 'a/1');
    broker.lose('a/1');
    await publish(1, 'a/1');
    await clock.settle();
    expect(reader.takeMessages()).toEqual(['a/1:1', 'a/1:2', 'a/1:1']);
    expect(reader.gaps).toEqual([
      { channel: 'a/1', gap: { reason: 'epoch' }, position: { epoch: 'e2', offset: 0 } },
    ]);
  });
});

describe('the end of readers', () => {
  test('gives back every channel and pattern, whatever they were doing', async () => {
    const { broker, clock, follow, hub, open, publish } = await setUpSelections(10);
    const readers = [await open({ 'a/+': {} }), await follow({ 'a/+': {}, b: {} })];
    const slow = await follow({ 'a/+': {}, c: {} });
    slow.link.hold();
    await publish(20, 'a/1');
    await publish(1, 'a/1');
    const catching = await open({ 'a/+': { after: { kind: 'start' } } });
    catching.link.hold();
    if (catching.opened !== undefined) hub.start(catching.opened.cursor);
    for (const reader of [...readers, slow, catching]) reader.link.drop();
    await clock.pass(60_000);
    expect(broker.patterns).toEqual(new Set());
    expect(broker.watched).toEqual(new Set());
    expect(hub.activeChannels('#')).toEqual([]);
  });
});
