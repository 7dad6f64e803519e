import { describe, expect, test } from 'vitest';
import { formatPlaceMark, parsePlaceMark } from '../../../src/hub/place-mark.ts';
import { anyone } from '../hub-setup.ts';
import { after, setUp, texts } from './reading-setup.ts';

describe('a short poll over patterns', () => {
  test('without after begins now, with a mark to go on from [POLL-6]', async () => {
    const { publish, read } = await setUp();
    await publish('room/1', ['old']);
    const first = await read(['room/+']);
    expect(first).toMatchObject({ channels: [], patterns: new Map([['room/+', {}]]), more: false });
    await publish('room/1', ['new']);
    await publish('room/2', ['born']);
    await publish('hall/1', ['elsewhere']);
    const second = await read(['room/+'], after(first.mark));
    expect(texts(second)).toEqual(['room/1 new', 'room/2 born']);
    expect(second.patterns.get('room/+')).toEqual({ recovered: true });
    expect(second.channels.map(({ channel, end }) => [channel, end.offset])).toEqual([
      ['room/1', 2],
      ['room/2', 1],
    ]);
    expect(texts(await read(['room/+'], after(second.mark)))).toEqual([]);
  });

  test('after start gives all that is retained, and with last the newest of each', async () => {
    const { publish, read } = await setUp();
    await publish('room/1', ['a', 'b', 'c']);
    await publish('room/2', ['d']);
    expect(texts(await read(['room/+'], after('start')))).toEqual([
      'room/1 a',
      'room/1 b',
      'room/1 c',
      'room/2 d',
    ]);
    const last = await read(['room/+'], { last: 2 });
    expect(texts(last)).toEqual(['room/1 b', 'room/1 c', 'room/2 d']);
    expect(last.patterns.get('room/+')).toEqual({});
  });

  test.each(['k3f9:7', '~e.unknown.1.1.1', '~nonsense', 'x', '~a~b~c~d'])(
    'after %s can not say where it stood, and goes on from now',
    async (place) => {
      const { publish, read } = await setUp();
      await publish('room/1', ['old']);
      const lost = await read(['room/+'], after(place));
      expect(lost.channels).toEqual([]);
      expect(lost.patterns.get('room/+')).toEqual({
        recovered: false,
        gap: { reason: 'unknown' },
      });
      await publish('room/1', ['new']);
      expect(texts(await read(['room/+'], after(lost.mark)))).toEqual(['room/1 new']);
    },
  );

  test('tells a loss for the channel and for the patterns that match it', async () => {
    const small = { countMax: 2, ageMsMax: 1e9, sizeMax: 1e9 };
    const { publish, read } = await setUp((channel) =>
      channel === 'room/1' ? { history: small } : {},
    );
    const { mark } = await read(['room/+', 'hall/+']);
    await publish('room/1', ['a', 'b', 'c']);
    await publish('hall/1', ['d']);
    const lost = await read(['room/+', 'hall/+'], { ...after(mark), partial: true });
    const gap = { reason: 'trimmed', from: 1, to: 1 };
    expect(texts(lost)).toEqual(['hall/1 d', 'room/1 b', 'room/1 c']);
    expect(lost.patterns).toEqual(
      new Map([
        ['hall/+', { recovered: true }],
        ['room/+', { recovered: false, gap }],
      ]),
    );
    expect(lost.channels.find(({ channel }) => channel === 'room/1')).toMatchObject({ gap });
    const rest = await read(['room/+', 'hall/+'], after(lost.mark));
    expect(texts(rest)).toEqual([]);
    expect(rest.patterns.get('room/+')).toEqual({ recovered: true });
  });

  test('delivers a channel that is named and matched once', async () => {
    const { publish, read } = await setUp();
    const { mark } = await read(['room/+', 'room/1']);
    await publish('room/1', ['a']);
    const found = await read(['room/+', 'room/1'], after(mark));
    expect(texts(found)).toEqual(['room/1 a']);
    expect(found.channels).toHaveLength(1);
  });

  test('gives more channels than fit over as many answers as it takes', async () => {
    const { publish, read } = await setUp();
    const { mark } = await read(['room/+']);
    const names = Array.from({ length: 300 }, (_, index) => `room/${index}`);
    for (const name of names) await publish(name, ['a']);
    const seen: string[] = [];
    let place = mark;
    let answers = 0;
    for (let more = true; more; answers += 1) {
      const result = await read(['room/+'], after(place), { countMax: 70 });
      seen.push(...texts(result));
      ({ more, mark: place } = result);
      expect(place?.length).toBeLessThan(200);
      // What comes meanwhile is for later, wherever it sorts.
      if (answers === 1) await publish('room/0', ['late']);
      if (answers === 1) await publish('room/999', ['later']);
    }
    expect(new Set(seen)).toEqual(
      new Set([...names.map((name) => `${name} a`), 'room/0 late', 'room/999 later']),
    );
    expect(seen).toHaveLength(302);
    expect(answers).toBe(6);
  });

  test('reads no channel for a mark that its patterns do not match', async () => {
    const { publish, read } = await setUp();
    const { mark } = await read(['room/+']);
    await publish('room/1', ['a']);
    await publish('secret/1', ['b']);
    const origin = { epoch: '0', offset: 0 };
    const behind = new Map([['secret/1', origin]]);
    const rest = { after: '', from: { kind: 'start' } } as const;
    const forged = formatPlaceMark({ mark: mark ?? '', behind, rest });
    const result = await read(['room/+'], after(forged));
    expect(texts(result).filter((text) => text.startsWith('secret'))).toEqual([]);
  });

  test('refuses patterns that begin at different places', async () => {
    const { hub } = await setUp();
    const channels = new Map([
      ['room/+', after('start')],
      ['hall/+', {}],
    ]);
    const reading = hub.read(anyone, {
      ...{ channels, waitMs: 0, countMax: 1 },
    });
    await expect(reading).rejects.toMatchObject({ code: 'bad_request' });
  });

  test('counts what has no message against its room, so that one answer is bounded', async () => {
    const { clock, publish, read } = await setUp();
    const { mark } = await read(['room/+']);
    for (let index = 0; index < 1_100; index += 1) {
      await publish(`room/${index}`, ['a'], { ttl: 1_000 });
    }
    clock.stepUnix(2_000);
    const first = await read(['room/+'], after(mark));
    expect(texts(first)).toEqual([]);
    expect(first.more).toBe(true);
    const second = await read(['room/+'], after(first.mark));
    expect(second.channels).toEqual([]);
    expect(parsePlaceMark(second.mark ?? '').rest).toBeUndefined();
  });
});

describe('a long poll over patterns', () => {
  test('answers with what a turn brings, all who wait with the same arrays', async () => {
    const { publish, wait } = await setUp();
    await publish('room/1', ['old']);
    const waiting = [];
    for (let count = 0; count < 50; count += 1) waiting.push(await wait(['room/+']));
    await publish('room/1', ['a', 'b']);
    const results = await Promise.all(waiting.map(({ answer }) => answer));
    expect(texts(results[0] ?? ({} as never))).toEqual(['room/1 a', 'room/1 b']);
    const arrays = new Set(results.map(({ channels }) => channels[0]?.messages));
    expect(arrays.size).toBe(1);
    expect(new Set(results.map(({ mark }) => mark)).size).toBe(1);
    expect(results[0]?.more).toBe(false);
  });

  test('asks the log nothing for what a turn brings', async () => {
    const { broker, publish, wait } = await setUp();
    const { answer } = await wait(['room/+', 'lobby']);
    let asked = 0;
    const changedSince = broker.changedSince.bind(broker);
    broker.changedSince = (mark, filter) => {
      asked += 1;
      return changedSince(mark, filter);
    };
    await publish('room/1', ['a']);
    expect(texts(await answer)).toEqual(['room/1 a']);
    expect(asked).toBe(0);
  });

  test('answers with names and patterns, and goes on where each of them stands', async () => {
    const { publish, read, wait } = await setUp();
    await publish('lobby', ['old']);
    const { answer } = await wait(['room/+', 'lobby'], after('start'));
    const first = await answer;
    expect(texts(first)).toEqual(['lobby old']);
    const second = await wait(['room/+', 'lobby'], after(first.mark));
    await publish('lobby', ['new']);
    const result = await second.answer;
    expect(result.channels[0]).toMatchObject({ channel: 'lobby', recovered: true });
    expect(texts(result)).toEqual(['lobby new']);
    expect(texts(await read(['room/+', 'lobby'], after(result.mark)))).toEqual([]);
  });

  test('answers with as much of a turn as it may, and leaves the rest', async () => {
    const { publish, hub, clock, read, wait } = await setUp();
    const { answer } = await wait(['room/+'], {}, { countMax: 3 });
    const payload = Buffer.from('x');
    for (const name of ['room/3', 'room/1', 'room/2', 'room/1', 'room/3']) {
      void hub.publish(anyone, name, {
        payload,
      });
    }
    await clock.settle();
    const first = await answer;
    expect(texts(first)).toEqual(['room/1 x', 'room/1 x', 'room/2 x']);
    expect(first.more).toBe(true);
    await publish('room/0', ['later']);
    const second = await read(['room/+'], after(first.mark));
    const third = await read(['room/+'], after(second.mark));
    expect([...texts(second), ...texts(third)]).toEqual(['room/3 x', 'room/3 x', 'room/0 later']);
  });

  test('answers empty when its time is over, and when the node drains', async () => {
    const { clock, hub, wait } = await setUp();
    const over = await wait(['room/+'], {}, { waitMs: 1_000 });
    clock.advance(2_000);
    await clock.settle();
    expect(await over.answer).toMatchObject({ channels: [], more: false });
    const drained = await wait(['room/+']);
    hub.endWaits();
    expect((await drained.answer).mark).toMatch(/^~/);
  });

  test('misses nothing that comes between its read and its wait', async () => {
    const { begin, clock, hub, read } = await setUp();
    let place = (await read(['room/+'])).mark;
    for (let round = 0; round < 40; round += 1) {
      const reading = begin(['room/+'], { start: after(place), waitMs: 30_000 });
      // A different moment of the read each round.
      for (let step = 0; step < round; step += 1) await Promise.resolve();
      void hub.publish(anyone, 'room/1', { payload: Buffer.from(`${round}`) });
      await clock.settle();
      // It is answered by now: time has stood still.
      expect(hub.waitCount).toBe(0);
      const result = await reading;
      expect(texts(result)).toEqual([`room/1 ${round}`]);
      place = result.mark;
    }
  });

  test('tells the loss when a channel is purged while it waits', async () => {
    const { broker, clock, publish, wait } = await setUp();
    await publish('room/1', ['a']);
    const { answer } = await wait(['room/+']);
    void broker.purge('room/1');
    await clock.settle();
    const result = await answer;
    expect(result.patterns.get('room/+')).toMatchObject({ recovered: false });
    expect(result.channels[0]).toMatchObject({ channel: 'room/1', gap: { reason: 'epoch' } });
  });

  test('leaves nothing behind when it is answered', async () => {
    const { hub, publish, wait } = await setUp();
    const { answer } = await wait(['room/+', 'lobby']);
    expect(hub.activeChannels('#').map(({ channel }) => channel)).toEqual(['lobby']);
    await publish('room/1', ['a']);
    await answer;
    expect(hub.activeChannels('#')).toEqual([]);
    expect(hub.waitCount).toBe(0);
  });
});
