import { ManualClock, seededRandom } from '@trunkline/testkit';
import type { Draft } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import type { StreamSlice } from '../../src/broker/broker.ts';
import { checkRetainable, Retained, SEARCHES_MAX } from '../../src/hub/retained.ts';
import type { RetainedPage } from '../../src/hub/retained.ts';
import { ScriptedState } from './scripted-state.ts';

/** Retained messages over a scripted state, and another node's over the same. */
function setUp() {
  const clock = new ManualClock();
  const state = new ScriptedState(clock);
  const streams = new Map<string, string>();
  const log = {
    read(channel: string): Promise<StreamSlice> {
      const epoch = streams.get(channel) ?? '0';
      return Promise.resolve({ epoch, oldest: 1, top: 0, messages: [] });
    },
  };
  const retained = new Retained({ state, log, clock });
  const other = new Retained({ state, log, clock });
  const at = (offset: number, epoch = 'e1') => ({
    position: { epoch, offset },
    time: clock.unixMs(),
  });
  /** What is retained in a channel, as text. */
  const textOf = async (channel: string, from = retained): Promise<string | undefined> => {
    const found = await from.get(channel);
    return found && new TextDecoder().decode(found.message.payload);
  };
  return { clock, state, streams, retained, other, at, textOf };
}

function draft(text: string, more: Partial<Draft> = {}): Draft {
  return { payload: new TextEncoder().encode(text), ...more };
}

function names({ messages }: RetainedPage): string[] {
  return messages.map(({ channel }) => channel);
}

describe('what is retained', () => {
  test('[RET-1] is the last message, with all that was said of it', async () => {
    const { retained, at } = setUp();
    const whole = draft('one', {
      contentType: 'text/plain',
      event: 'e',
      from: { user: 'alice', session: 's' },
    });
    await retained.retain('a', whole, at(1));
    expect(await retained.get('a')).toEqual({
      channel: 'a',
      epoch: 'e1',
      message: { ...whole, offset: 1, time: expect.any(Number) },
    });
    expect(await retained.get('b')).toBeUndefined();
  });

  test('has the attributes that a protocol gave it, until one comes without', async () => {
    const { retained, at } = setUp();
    const attributes = Uint8Array.of(1, 0, 255);
    await retained.retain('a', draft('1', { attributes }), at(1));
    const { messages } = await retained.find('#', { countMax: 9 });
    expect(messages.map(({ message }) => message)).toMatchObject([{ attributes }]);
    await retained.retain('a', draft('2'), at(2));
    expect((await retained.get('a'))?.message).not.toHaveProperty('attributes');
    await retained.retain('a', draft('', { attributes }), at(3));
    expect(await retained.get('a')).toBeUndefined();
  });

  test('[RET-1] is replaced by the next and cleared by an empty payload', async () => {
    const { retained, at, textOf } = setUp();
    await retained.retain('a', draft('1'), at(1));
    await retained.retain('a', draft('2'), at(2));
    expect(await textOf('a')).toBe('2');
    await retained.retain('a', draft(''), at(3));
    expect(await textOf('a')).toBeUndefined();
    expect(await retained.find('#', { countMax: 9 })).toEqual({ messages: [] });
  });

  test('[RET-2] is the later of two whatever order they are written in', async () => {
    const { retained, other, at, textOf } = setUp();
    await retained.retain('a', draft('5'), at(5));
    await other.retain('a', draft('4'), at(4));
    expect(await textOf('a')).toBe('5');
    // A clear is as late as its place: what came before it does not come back.
    await retained.retain('b', draft(''), at(2));
    await other.retain('b', draft('1'), at(1));
    expect(await textOf('b')).toBeUndefined();
  });

  test('[RET-2] is of the life that the stream lives now', async () => {
    const { retained, other, at, textOf, streams } = setUp();
    await retained.retain('a', draft('old'), at(9, 'e1'));
    streams.set('a', 'e2');
    await retained.retain('a', draft('new'), at(1, 'e2'));
    expect(await textOf('a')).toBe('new');
    await other.retain('a', draft('late'), at(10, 'e1'));
    expect(await textOf('a')).toBe('new');
  });

  test('[RET-2] stays so when two nodes write at once', async () => {
    const random = seededRandom(7);
    const { retained, other, at, textOf, state } = setUp();
    const order = Array.from({ length: 60 }, (_, index) => index + 1);
    order.sort(() => random.fraction() - 0.5);
    const release = state.hold();
    const writes = order.map((offset) =>
      (random.fraction() < 0.5 ? retained : other).retain('a', draft(`${offset}`), at(offset)),
    );
    release();
    await Promise.all(writes);
    expect(await textOf('a')).toBe('60');
  });

  test('writes only the last of those that wait, and answers all of them', async () => {
    const { retained, at, textOf, state } = setUp();
    const release = state.hold();
    const writes = [1, 3, 2, 5, 4].map((offset) =>
      retained.retain('a', draft(`${offset}`), at(offset)),
    );
    release();
    await Promise.all(writes);
    expect(state.putCount).toBe(2);
    expect(await textOf('a')).toBe('5');
  });

  test('is the last one written where a channel has no positions', async () => {
    const { retained, textOf, clock, at } = setUp();
    await retained.retain('v', draft('1'), { time: clock.unixMs() });
    await Promise.all(
      ['2', '3', '4'].map((text) => retained.retain('v', draft(text), { time: clock.unixMs() })),
    );
    expect(await textOf('v')).toBe('4');
    expect(await retained.get('v')).toMatchObject({ epoch: '', message: { offset: 0 } });
    await retained.retain('v', draft('5'), at(1));
    expect(await textOf('v')).toBe('5');
  });

  test('[RET-3] is not given after its time, and nothing earlier comes back', async () => {
    const { retained, other, at, textOf, clock, state } = setUp();
    await retained.retain('a', draft('2', { ttl: 1000 }), at(2));
    clock.advance(999);
    expect(await textOf('a')).toBe('2');
    clock.advance(1);
    expect(await textOf('a')).toBeUndefined();
    expect(await retained.find('#', { countMax: 9 })).toEqual({ messages: [] });
    await other.retain('a', draft('1'), at(1));
    expect(await textOf('a')).toBeUndefined();
    clock.advance(3_600_000);
    expect(state.count).toBe(0);
  });

  test('tells when it can not be written, and goes on with the next', async () => {
    const { retained, at, textOf, state } = setUp();
    state.failure = new BrokerError('unavailable', 'no disk');
    await expect(retained.retain('a', draft('1'), at(1))).rejects.toThrow('no disk');
    state.failure = undefined;
    await retained.retain('a', draft('2'), at(2));
    expect(await textOf('a')).toBe('2');
    state.onPut = (key) => void state.write(key, new Uint8Array(0));
    await expect(retained.retain('a', draft('3'), at(3))).rejects.toMatchObject({
      kind: 'unavailable',
      stored: 'unknown',
    });
  });

  test('can be cleared without a publish', async () => {
    const { retained, at, textOf, streams } = setUp();
    streams.set('a', 'e1');
    expect(await retained.clear('a')).toBe(false);
    await retained.retain('a', draft('2'), at(2));
    expect(await retained.clear('a')).toBe(true);
    expect(await retained.clear('a')).toBe(false);
    expect(await textOf('a')).toBeUndefined();
    await retained.retain('a', draft('2'), at(2));
    expect(await textOf('a')).toBeUndefined();
    await retained.retain('a', draft('3'), at(3));
    expect(await textOf('a')).toBe('3');
  });

  test('does not come back after its channel was purged and cleared', async () => {
    const { retained, other, at, textOf, streams } = setUp();
    await retained.clear('a');
    await other.retain('a', draft('1'), at(1, 'e1'));
    expect(await textOf('a')).toBeUndefined();
    streams.set('a', 'e2');
    await other.retain('a', draft('2'), at(2, 'e1'));
    expect(await textOf('a')).toBeUndefined();
    await other.retain('a', draft('3'), at(1, 'e2'));
    expect(await textOf('a')).toBe('3');
  });

  test('[RET-4] is refused before it is published where it would not fit', () => {
    const from = { user: 'u'.repeat(200), session: 's' };
    checkRetainable('a', { payload: new Uint8Array(2 ** 20 - 500), from });
    const attributed = { payload: new Uint8Array(2 ** 20 - 500), attributes: new Uint8Array(500) };
    expect(() => checkRetainable('a', attributed)).toThrow(/may have \d+ bytes/);
    expect(() => checkRetainable('a', { payload: new Uint8Array(2 ** 20), from })).toThrow(
      expect.objectContaining({ code: 'too_large', stored: false }),
    );
  });
});

describe('finding what is retained', () => {
  async function fill(channels: readonly string[]) {
    const made = setUp();
    for (const channel of channels) await made.retained.retain(channel, draft(channel), made.at(1));
    return made.retained;
  }

  test('[RET-5] finds a name, and what a pattern matches in the order of names', async () => {
    const retained = await fill(['a', 'a/x', 'a!', 'a/b', 'ab', 'b/x', '@alice', 'a/b/c', 'a/']);
    const find = async (filter: string) => names(await retained.find(filter, { countMax: 99 }));
    expect(await find('a/b')).toEqual(['a/b']);
    expect(await find('a/#')).toEqual(['a', 'a/', 'a/b', 'a/b/c', 'a/x']);
    expect(await find('a/+')).toEqual(['a/', 'a/b', 'a/x']);
    expect(await find('+/x')).toEqual(['a/x', 'b/x']);
    expect(await find('#')).toEqual(['a', 'a!', 'a/', 'a/b', 'a/b/c', 'a/x', 'ab', 'b/x']);
    expect(await find('+')).toEqual(['a', 'a!', 'ab']);
    expect(await find('+/#')).toEqual(await find('#'));
    expect(await find('c/#')).toEqual([]);
    expect(await find('@alice')).toEqual(['@alice']);
    expect(await find('@alice/#')).toEqual(['@alice']);
  });

  test('[RET-5] goes on page by page where there is more', async () => {
    const channels = Array.from(
      { length: 1_203 },
      (_, index) => `c/${String(index).padStart(4, '0')}`,
    );
    const retained = await fill(['c', ...channels]);
    const found: string[] = [];
    let after: string | undefined;
    do {
      const page = await retained.find('c/#', { countMax: 100, ...(after && { after }) });
      found.push(...names(page));
      after = page.next;
    } while (after !== undefined);
    expect(found).toEqual(['c', ...channels]);
  });

  test('looks at no more than it may, and tells where it stopped', async () => {
    const { retained, at } = setUp();
    const payload = new Uint8Array(1_000_000);
    for (let index = 10; index < 90; index += 1) {
      await retained.retain(`c/${index}`, { payload }, at(1));
    }
    await retained.retain('c/99/x', { payload }, at(1));
    const first = await retained.find('+/+/x', { countMax: 9 });
    expect(first).toEqual({ messages: [], next: 'c/77' });
    const rest = await retained.find('+/+/x', { countMax: 9, after: 'c/77' });
    expect(names(rest)).toEqual(['c/99/x']);
    expect(rest.next).toBeUndefined();
  });

  test('gives no more bytes at once than a page may have', async () => {
    const { retained, at } = setUp();
    const payload = new Uint8Array(1_000_000);
    for (let index = 0; index < 9; index += 1)
      await retained.retain(`c/${index}`, { payload }, at(1));
    const page = await retained.find('c/#', { countMax: 99 });
    expect(names(page)).toHaveLength(5);
    expect(page.next).toBe('c/4');
  });
});

describe('searches for what is retained', () => {
  /** Many channels, and a store whose pages wait until they are let through. */
  async function searched() {
    const world = setUp();
    const { retained, at, state } = world;
    for (let index = 0; index < 3; index += 1)
      await retained.retain(`a/${index}`, draft('x'), at(1));
    const waiting: (() => void)[] = [];
    const list = state.list.bind(state);
    state.list = async (...args) => {
      await new Promise<void>((resolve) => void waiting.push(resolve));
      return list(...args);
    };
    const rest = async (): Promise<void> => {
      for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
    };
    return { ...world, waiting, rest };
  }

  test('are few at once, and the others have their turn in their order', async () => {
    const { retained, waiting, rest } = await searched();
    const done: number[] = [];
    const all = Array.from({ length: 20 }, async (_, index) => {
      const page = await retained.find('a/+', { countMax: 10 });
      done.push(index);
      return names(page).length;
    });
    await rest();
    expect(waiting).toHaveLength(SEARCHES_MAX);
    while (done.length < 20) {
      expect(waiting.length).toBeLessThanOrEqual(SEARCHES_MAX);
      waiting.shift()?.();
      await rest();
    }
    expect(await Promise.all(all)).toEqual(Array.from({ length: 20 }, () => 3));
    expect(done).toEqual(done.toSorted((one, other) => one - other));
    // Of one channel nothing is searched.
    expect(names(await retained.find('a/1', { countMax: 1 }))).toEqual(['a/1']);
  });

  test('are not made for who has gone meanwhile, and go on after one that failed', async () => {
    const { retained, waiting, rest, state } = await searched();
    const first = Array.from({ length: SEARCHES_MAX }, () => retained.find('#', { countMax: 1 }));
    await rest();
    const gone = retained.find('#', { countMax: 1, isWanted: () => false });
    const list = state.list;
    state.list = () => Promise.reject(new BrokerError('unavailable', 'away'));
    const failing = Array.from({ length: 2 }, () => retained.find('#', { countMax: 1 }));
    const told = Promise.allSettled(failing);
    await rest();
    for (const go of waiting.splice(0)) go();
    await Promise.all(first);
    expect(await gone).toEqual({ messages: [] });
    expect((await told).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    state.list = list;
    const again = retained.find('#', { countMax: 1 });
    await rest();
    waiting.shift()?.();
    expect(names(await again)).toEqual(['a/0']);
  });

  test('leave a turn to everybody else between two pages', async () => {
    const { retained, at, clock } = setUp();
    for (let index = 0; index < 1_200; index += 1) {
      await retained.retain(`a/${index}`, draft('x'), at(1));
    }
    let isDone = false;
    const found = retained.find('+/none', { countMax: 1 }).finally(() => void (isDone = true));
    for (let turn = 0; turn < 5_000; turn += 1) await Promise.resolve();
    expect(isDone).toBe(false);
    await clock.settle();
    expect(await found).toEqual({ messages: [] });
  });
});
