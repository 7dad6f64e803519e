import { describe, expect, test } from 'vitest';
import { after, setUp, texts } from './reading-setup.ts';

const volatile = (channel: string) => (channel.startsWith('typing/') ? { volatile: true } : {});

describe('a poll of volatile channels', () => {
  test('gives nothing of them when it is answered at once [VOL-1]', async () => {
    const { publish, read } = await setUp(volatile);
    await publish('typing/1', ['a']);
    const result = await read(['typing/1', 'room/1'], after('start'));
    expect(result.volatile).toEqual(['typing/1']);
    expect(result.channels.map(({ channel }) => channel)).toEqual(['room/1']);
    expect(texts(result)).toEqual([]);
  });

  test('gives what is published while it waits, by name and by pattern', async () => {
    const { publish, wait } = await setUp(volatile);
    const named = await wait(['typing/1']);
    const matched = await wait(['typing/+']);
    await publish('typing/1', ['a', 'b']);
    const result = await named.answer;
    expect(result.passing).toMatchObject([{ channel: 'typing/1', epoch: '' }]);
    expect(texts(result)).toEqual(['typing/1 a', 'typing/1 b']);
    expect(texts(await matched.answer)).toEqual(['typing/1 a', 'typing/1 b']);
    expect((await matched.answer).volatile).toEqual([]);
  });

  test('gives messages of a log with them, and goes on behind those', async () => {
    const { hub, clock, publish, read, wait } = await setUp(volatile);
    const { answer } = await wait(['typing/1', 'room/+']);
    const caller = { identity: { kind: 'anonymous', grants: new Map() }, session: 's' } as const;
    void hub.publish(caller, 'typing/1', { payload: Buffer.from('t') });
    void hub.publish(caller, 'room/1', { payload: Buffer.from('r') });
    await clock.settle();
    const first = await answer;
    const rest = await read(['typing/1', 'room/+'], after(first.mark));
    expect([...texts(first), ...texts(rest)].toSorted()).toEqual(['room/1 r', 'typing/1 t']);
    await publish('room/1', ['s']);
    expect(texts(await read(['room/+'], after(rest.mark)))).toEqual(['room/1 s']);
  });

  test('gives the newest of each slot where more came than its answer may have [VOL-3]', async () => {
    const { hub, clock, wait } = await setUp(volatile);
    const { answer } = await wait(['typing/+'], {}, { countMax: 2 });
    const caller = { identity: { kind: 'anonymous', grants: new Map() }, session: 's' } as const;
    for (const [text, slot] of [
      ['a1', 'a'],
      ['b1', 'b'],
      ['a2', 'a'],
      ['a3', 'a'],
    ] as const) {
      void hub.publish(caller, 'typing/1', { payload: Buffer.from(text), slot });
    }
    await clock.settle();
    expect(texts(await answer)).toEqual(['typing/1 b1', 'typing/1 a3']);
  });
});
