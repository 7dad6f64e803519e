import { expect, test } from 'vitest';
import { holdLock } from '../../src/tabs/election.ts';
import { FakePage, FakeWorld } from '../support/tabs-fakes.ts';

/** Pages that wait for one lock, and what they tell. */
function setUp() {
  const world = new FakeWorld(1);
  const told: string[] = [];
  const page = (name: string, how: { steal?: boolean } = {}) => {
    const one = new FakePage(world, name);
    const handlers = {
      onHeld: () => told.push(`${name} leads`),
      onLost: () => told.push(`${name} lost`),
    };
    return { page: one, release: holdLock(one.locks, 'lock', handlers, how) };
  };
  return { world, told, page };
}

test('the one that waited longest leads when the leader releases or dies', async () => {
  const { world, told, page } = setUp();
  const [a, b, c] = [page('a'), page('b'), page('c')];
  await world.rest();
  expect(told.splice(0)).toEqual(['a leads']);
  a.release();
  await world.rest();
  expect(told.splice(0)).toEqual(['b leads']);
  b.page.die();
  await world.rest();
  expect(told).toEqual(['c leads']);
  c.release();
  c.release();
});

test('one that waits no longer never leads', async () => {
  const { world, told, page } = setUp();
  const [a, b] = [page('a'), page('b')];
  await world.rest();
  b.release();
  a.release();
  await world.rest();
  expect(told).toEqual(['a leads']);
});

test('who is stolen from is told, when it is awake', async () => {
  const { world, told, page } = setUp();
  const a = page('a');
  await world.rest();
  a.page.isFrozen = true;
  const b = page('b', { steal: true });
  await world.rest();
  expect(told).toEqual(['a leads', 'b leads']);
  a.page.isFrozen = false;
  await world.rest();
  expect(told).toEqual(['a leads', 'b leads', 'a lost']);
  b.release();
});

test('locks that can not be had are lost', async () => {
  const told: string[] = [];
  const locks = { request: () => Promise.reject(new Error('not here')) };
  holdLock(locks, 'lock', { onHeld: () => told.push('held'), onLost: () => told.push('lost') });
  await Promise.resolve();
  await Promise.resolve();
  expect(told).toEqual(['lost']);
});
