import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { exactJson } from '../../src/encodings/exact.ts';
import { json } from '../../src/encodings/json.ts';
import {
  Batch,
  fromEndingWord,
  fromErrorWord,
  groupOf,
  parseHostWords,
  parseTabWords,
  toEndingWord,
  toErrorWord,
} from '../../src/tabs/port.ts';
import { portPair } from '../../src/tabs/ports.ts';

describe('words', () => {
  test.each([
    [{ kind: 'hello', version: 1, group: 'g', url: 'http://a', encoding: 'e', lock: 'l' }],
    [{ kind: 'read', reading: 1, wish: { filter: 'a' }, before: 0 }],
    [{ kind: 'ask', id: 1, ask: { kind: 'call', members: '' } }],
    [{ kind: 'took', count: 3 }, { kind: 'bye' }],
    [],
  ])('of a tab are taken as they are: %j', (...words) => {
    expect(parseTabWords(words)).toEqual(words);
  });

  test.each([
    ['text'],
    [undefined],
    [{ kind: 'hello' }],
    [[{ kind: 'hello', version: '1', group: 'g', url: 'u', encoding: 'e' }]],
    [[{ kind: 'read', reading: 1, wish: 'a' }]],
    [[{ kind: 'read', reading: 1.5, wish: { filter: 'a' } }]],
    [[{ kind: 'took' }]],
    [[{ kind: 'later' }]],
    [[{ kind: 'toString' }]],
    [[null]],
    [[{ kind: 'bye' }, {}]],
  ])('of a tab are refused: %j', (value) => {
    expect(parseTabWords(value)).toBeUndefined();
  });

  test.each([
    [[{ kind: 'message', readings: [1], message: {} }]],
    [[{ kind: 'message', readings: ['1'], message: { channel: 'a' } }]],
    [[{ kind: 'gap', readings: [1], gap: { channel: 'a', position: 'e:1' } }]],
    [[{ kind: 'failed', id: 1, error: { code: 'internal' } }]],
    [[{ kind: 'end' }]],
    [[{ kind: 'answer', id: 1, frame: {} }]],
  ])('of a host are refused: %j', (value) => {
    expect(parseHostWords(value)).toBeUndefined();
  });
});

describe('what crosses', () => {
  test('an error keeps what makes it ours', () => {
    const error = new CodedError('rate_limited', 'slow', { retryAfter: 5, stored: false });
    const crossed = fromErrorWord(structuredClone(toErrorWord(error)));
    expect(crossed).toBeInstanceOf(CodedError);
    expect(crossed).toMatchObject({ code: 'rate_limited', retryAfter: 5, stored: false });
    expect(fromErrorWord(toErrorWord(new TypeError('x')))).toMatchObject({ code: 'internal' });
    expect(fromErrorWord({ code: 'newer', message: '' })).toMatchObject({ code: 'internal' });
  });

  test('an ending keeps its kind, and without an error is a refusal', () => {
    const lost = { kind: 'lost', reason: 'r', hint: { withinMs: 0 } } as const;
    expect(fromEndingWord(toEndingWord(lost))).toEqual(lost);
    const error = new CodedError('unauthenticated', 'old');
    const stale = fromEndingWord(structuredClone(toEndingWord({ kind: 'stale', error })));
    expect(stale).toMatchObject({ kind: 'stale', error: { code: 'unauthenticated' } });
    const empty = { kind: 'refused' };
    expect(fromEndingWord(empty as never)).toMatchObject({
      kind: 'refused',
      error: { code: 'internal' },
    });
  });
});

test('who differs in server, name or encoding is in another group', () => {
  const target = { url: 'http://a', encoding: json };
  const groups = [
    groupOf(target, ''),
    groupOf(target, 'bo'),
    groupOf({ ...target, url: 'http://b' }, ''),
    groupOf({ ...target, encoding: exactJson }, ''),
    groupOf({ ...target, url: 'http://a","' }, ''),
  ];
  expect(new Set(groups).size).toBe(groups.length);
  expect(groupOf({ ...target }, '')).toBe(groups[0]);
});

test('what is said in a turn is one message', async () => {
  const posted: unknown[] = [];
  const port = { post: (value: unknown) => posted.push(value), listen() {}, close() {} };
  const batch = new Batch<number>(port, () => {});
  batch.push(1);
  batch.push(2);
  await Promise.resolve();
  batch.push(3);
  batch.flush();
  await Promise.resolve();
  expect(posted).toEqual([[1, 2], [3]]);
});

test('what can not be cloned is noticed, and what comes after it is still posted', () => {
  const [port] = portPair();
  const faults: string[] = [];
  const batch = new Batch<unknown>(port, () => faults.push('fault'));
  batch.push(() => {});
  batch.flush();
  batch.push(1);
  batch.flush();
  expect(faults).toEqual(['fault']);
});

test('a word that is nested too deeply for a clone crosses as JSON, and is read as any other', () => {
  const word = { kind: 'presence', event: { kind: 'join', channel: 'a' } };
  expect(parseHostWords([{ kind: 'deep', json: JSON.stringify(word) }])).toEqual([word]);
  expect(parseHostWords([{ kind: 'deep', json: '{"kind":"later"}' }])).toBeUndefined();
  expect(parseHostWords([{ kind: 'deep', json: '{' }])).toBeUndefined();
});
