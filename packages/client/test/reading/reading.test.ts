import { expect, test } from 'vitest';
import type { ReceivedMessage } from '../../src/events.ts';
import { Reading } from '../../src/reading/reading.ts';
import type { TakenEvent } from '../../src/reading/reading.ts';
import { Subscriptions } from '../../src/reading/subscriptions.ts';

function message(offset: number): ReceivedMessage {
  return { kind: 'message', channel: 'a', epoch: 'e', offset };
}

/** Reads channel `a`; the test is the server, and says how each event is taken. */
function setUp(take: (event: TakenEvent) => void | PromiseLike<void>, filter = 'a') {
  const revised: string[] = [];
  const subscriptions = new Subscriptions({
    onRevise: (name) => revised.push(name),
    session: () => undefined,
  });
  const ends: unknown[] = [];
  const onEnd = (error: unknown) => void ends.push(error);
  const reading = new Reading(subscriptions, filter, {}, { take, onEnd });
  const open = (): void => {
    const { after } = subscriptions.wish('a') ?? {};
    const resumed = after === undefined ? {} : { recovered: true };
    subscriptions.onOpen({ kind: 'open', channel: 'a', position: after ?? 'e:0', ...resumed }, 'a');
  };
  return { subscriptions, reading, ends, revised, open };
}

test('tells at once what somebody takes at once', () => {
  const told: unknown[] = [];
  const { subscriptions, open, reading } = setUp((event) => void told.push(event));
  open();
  subscriptions.onMessage(message(1), ['a']);
  expect(told).toEqual([{ kind: 'open', channel: 'a', position: 'e:0' }, message(1)]);
  expect(reading.after).toBe('e:1');
});

test('goes on whatever is returned that is no promise', () => {
  const told: TakenEvent[] = [];
  const take: (event: TakenEvent) => void = (event) =>
    [told.push(event), null, 'then', {}][told.length];
  const { subscriptions, open, ends } = setUp(take);
  open();
  for (const offset of [1, 2, 3, 4]) subscriptions.onMessage(message(offset), ['a']);
  expect(told.length).toBe(5);
  expect(ends).toEqual([]);
});

test('tells one after the other to somebody who needs time', async () => {
  const told: number[] = [];
  let finish = (): void => {};
  const { subscriptions, open } = setUp((event) => {
    if (event.kind !== 'message') return undefined;
    told.push(event.offset ?? 0);
    return new Promise<void>((resolve) => (finish = resolve));
  });
  open();
  for (const offset of [1, 2, 3]) subscriptions.onMessage(message(offset), ['a']);
  expect(told).toEqual([1]);
  finish();
  await Promise.resolve();
  expect(told).toEqual([1, 2]);
});

test('tells a mark behind the messages before it, and the newest alone', async () => {
  const told: unknown[] = [];
  let finish = (): void => {};
  const { subscriptions } = setUp((event) => {
    told.push(event.kind === 'mark' ? event.mark : event.kind);
    if (event.kind !== 'message') return undefined;
    return new Promise<void>((resolve) => (finish = resolve));
  }, '+');
  subscriptions.wish('+');
  subscriptions.onOpen({ kind: 'open', channel: '+', mark: '~0' }, '+');
  subscriptions.onMessage({ ...message(1), mark: '~1' }, ['+']);
  subscriptions.onMark(['+', 'a'], '~2');
  expect(told).toEqual(['open', 'message']);
  finish();
  await Promise.resolve();
  expect(told).toEqual(['open', 'message', '~2']);
});

test('tells no marks of a name', () => {
  const told: unknown[] = [];
  const { subscriptions, open } = setUp(({ kind }) => void told.push(kind));
  open();
  subscriptions.onMark(['a'], '~1');
  expect(told).toEqual(['open']);
});

test('leaves to the log what is too much, and reads it later', async () => {
  const told: number[] = [];
  let finish = (): void => {};
  const { subscriptions, open } = setUp((event) => {
    if (event.kind !== 'message') return undefined;
    told.push(event.offset ?? 0);
    return told.length > 1 ? undefined : new Promise<void>((resolve) => (finish = resolve));
  });
  open();
  for (let offset = 1; offset <= 400; offset += 1) subscriptions.onMessage(message(offset), ['a']);
  expect(subscriptions.wish('a')).toBeUndefined();
  finish();
  await Promise.resolve();
  expect(told).toHaveLength(258);
  expect(subscriptions.wish('a')).toEqual({ filter: 'a', after: 'e:258' });
  open();
  for (let offset = 259; offset <= 400; offset += 1)
    subscriptions.onMessage(message(offset), ['a']);
  expect(told).toEqual(Array.from({ length: 400 }, (_, index) => index + 1));
});

test.each([
  [
    'throws',
    (): void => {
      throw new Error('no');
    },
  ],
  ['rejects', () => Promise.reject(new Error('no'))],
])('ends when whoever takes %s', async (_, take) => {
  const { ends, open, subscriptions } = setUp(take);
  open();
  await Promise.resolve();
  await Promise.resolve();
  expect(ends).toEqual([new Error('no')]);
  expect(subscriptions.keys()).toEqual([]);
});

test('tells what waits before it tells that the server refused', async () => {
  const told: unknown[] = [];
  let finish = (): void => {};
  const { subscriptions, open, ends } = setUp((event) => {
    told.push(event.kind);
    return told.length > 1 ? undefined : new Promise<void>((resolve) => (finish = resolve));
  });
  open();
  subscriptions.onMessage(message(1), ['a']);
  subscriptions.onRefused('a', new Error('forbidden'));
  expect(ends).toEqual([]);
  finish();
  await Promise.resolve();
  expect(told).toEqual(['open', 'message']);
  expect(ends).toEqual([new Error('forbidden')]);
});

test('tells nothing after its end', () => {
  const told: unknown[] = [];
  const { subscriptions, open, reading, revised } = setUp((event) => void told.push(event.kind));
  open();
  reading.end();
  reading.end();
  subscriptions.onMessage(message(1), ['a']);
  expect(told).toEqual(['open']);
  expect(revised.at(-1)).toBe('a');
});
