import { describe, expect, test } from 'vitest';
import { OutboxWorld } from './outbox-world.ts';

describe('a refusal', () => {
  test('for good fails the publish, and no other', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publishAll('a', 'a');
    world.attempt.publishes[0]?.refuse('forbidden');
    await world.clock.settle();
    await world.accept(1);
    expect(world.told).toEqual(['forbidden false', 'e:1']);
    world.expectIdle();
  });

  test('for good of what was sent before says that it may be stored [PUB-4]', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publish('a');
    await world.lose();
    world.ready().publishes[0]?.refuse('forbidden');
    await world.clock.settle();
    expect(world.told).toEqual(['forbidden unknown']);
    expect(world.results[0]).toMatchObject({ cause: { code: 'forbidden', stored: false } });
    world.expectIdle();
  });

  test('for now is tried again after the backoff, and later ones wait behind it', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publish('a');
    await world.refuse(0);
    world.publishAll('a', 'b');
    expect(world.attempt.data).toEqual([0, 2]);
    await world.clock.pass(50);
    expect(world.attempt.data).toEqual([0, 2]);
    await world.clock.pass(1);
    expect(world.attempt.data).toEqual([0, 2, 0]);
    await world.accept(1, 2);
    expect(world.attempt.data).toEqual([0, 2, 0, 1]);
    await world.accept(3);
    world.expectIdle();
  });

  test('for now is tried again not before the server said [CODE-5]', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publish('a');
    world.attempt.publishes[0]?.refuse('rate_limited', { stored: false, retryAfter: 2000 });
    await world.clock.pass(2000);
    expect(world.attempt.data).toEqual([0]);
    await world.clock.pass(100);
    expect(world.attempt.data).toEqual([0, 0]);
  });

  test('for now is tried less and less often, and never given up', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publish('a');
    for (let index = 0; index < 10; index += 1) {
      await world.refuse(index);
      await world.clock.pass(2600);
    }
    expect(world.attempt.publishes).toHaveLength(11);
    await world.accept(10);
    expect(world.told).toEqual(['e:1']);
    world.expectIdle();
  });

  test('for now waits until nothing later of its channel is under way', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publishAll('a', 'a');
    await world.refuse(0);
    await world.clock.pass(10_000);
    expect(world.attempt.data).toEqual([0, 1]);
    await world.refuse(1);
    expect(world.attempt.data).toEqual([0, 1, 0]);
    await world.accept(2);
    await world.clock.pass(10_000);
    expect(world.attempt.data).toEqual([0, 1, 0, 1]);
    await world.accept(3);
    expect(world.told).toEqual(['e:1', 'e:2']);
    world.expectIdle();
  });

  test.each([
    ['before', [1, 0]],
    ['after', [0, 1]],
  ])('for now fails when a later one was accepted %s it [GUA-1]', async (_, order) => {
    const world = new OutboxWorld();
    world.ready();
    world.publishAll('a', 'a');
    for (const index of order) await (index === 0 ? world.refuse(0) : world.accept(1));
    expect(world.told).toEqual(['unavailable false', 'e:1']);
    world.expectIdle();
  });

  test('for now fails when a later one may be stored', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publishAll('a', 'a');
    await world.refuse(0);
    world.attempt.publishes[1]?.refuse('unavailable', { stored: 'unknown' });
    await world.clock.pass(60);
    expect(world.told).toEqual(['unavailable false', 'waits']);
    await world.accept(2);
    world.expectIdle();
  });

  test('does not fail for what was accepted in another channel', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publishAll('a', 'b');
    await world.refuse(0);
    await world.accept(1);
    await world.clock.pass(60);
    await world.accept(2);
    expect(world.told).toEqual(['e:2', 'e:1']);
  });

  test('that leaves it in doubt sends it again with its key whatever was accepted', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publishAll('a', 'a');
    world.attempt.publishes[0]?.refuse('unavailable', { stored: 'unknown' });
    await world.accept(1);
    await world.clock.pass(60);
    expect(world.attempt.data).toEqual([0, 1, 0]);
    // This sending is refused, and of the first one nobody knows.
    await world.refuse(2);
    await world.clock.pass(1000);
    expect(world.attempt.data).toEqual([0, 1, 0, 0]);
    await world.accept(3);
    expect(world.told).toEqual(['e:2', 'e:1']);
    world.expectIdle();
  });

  test('by a fault of the attempt fails the publish with it', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publish('a');
    world.attempt.publishes[0]?.fail(new TypeError('a fault'));
    await world.clock.settle();
    expect(world.told).toEqual(['TypeError']);
    world.expectIdle();
  });

  test('is forgotten with its attempt: the next one sends at once', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publishAll('a', 'a');
    world.attempt.publishes[0]?.refuse('rate_limited', { stored: false, retryAfter: 60_000 });
    await world.refuse(1);
    await world.lose();
    world.ready();
    expect(world.attempt.data).toEqual([0, 1]);
  });
});
