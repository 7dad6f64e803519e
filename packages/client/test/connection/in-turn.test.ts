import { expect, test } from 'vitest';
import { InTurn } from '../../src/connection/in-turn.ts';
import { fakePlatform } from '../support/fakes.ts';
import { ALL, ended, transport } from '../support/ladders.ts';

const LONG = 60_000;

function setUp(names: readonly (typeof ALL)[number][] = ALL) {
  const turns = new InTurn(
    names.map((name) => transport(name)),
    fakePlatform(),
  );
  const next = () => turns.next().name;
  const fail = () => turns.failed(next(), ended('refused'));
  return { turns, next, fail };
}

test('goes on to the next after two failures, and from the last to the first', () => {
  const { next, fail } = setUp();
  const tried = Array.from({ length: 8 }, () => {
    const name = next();
    fail();
    return name;
  });
  expect(tried.join(' ')).toBe(
    'websocket websocket sse sse long-poll long-poll websocket websocket',
  );
});

test('stays with what was good until it was lost', () => {
  const { turns, next, fail } = setUp();
  fail();
  turns.worked('websocket');
  turns.lost('websocket', LONG, 'gone');
  fail();
  expect(next()).toBe('websocket');
  fail();
  expect(next()).toBe('sse');
});

test('leaves what is cut as soon as it is ready', () => {
  const { turns, next } = setUp();
  for (let count = 0; count < 2; count += 1) {
    turns.worked('websocket');
    turns.lost('websocket', 100, 'cut');
  }
  expect(next()).toBe('sse');
});

test('has patience anew on another network', () => {
  const { turns, next, fail } = setUp();
  fail();
  turns.networkChanged();
  fail();
  expect(next()).toBe('websocket');
});

test('explains what it has seen', () => {
  const { turns, fail } = setUp();
  fail();
  fail();
  turns.worked('sse');
  expect(turns.explain()).toEqual({
    transport: 'sse',
    tried: [
      { name: 'websocket', verdict: 'failed', reason: 'refused' },
      { name: 'sse', verdict: 'in use', reason: 'it works' },
      { name: 'long-poll', verdict: 'not tried', reason: 'its turn has not come' },
    ],
  });
  turns.left();
  expect(turns.explain().transport).toBeUndefined();
});

test('tries what can work here, and says so when nothing can', () => {
  const none = transport('websocket', 'no WebSocket');
  const turns = new InTurn([none, transport('sse')], fakePlatform());
  expect(turns.next().name).toBe('sse');
  expect(() => new InTurn([none], fakePlatform()).next()).toThrow(
    'no transport can work here (websocket: no WebSocket)',
  );
});
