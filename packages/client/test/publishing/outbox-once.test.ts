import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { OutboxWorld } from './outbox-world.ts';

const ONCE = { retry: false };

describe('a publish that is not sent again', () => {
  test('waits for the first connection, and has no key unless one is given', async () => {
    const world = new OutboxWorld();
    world.publish('a', ONCE);
    world.publish('a', { ...ONCE, key: 'own' });
    const { publishes } = world.ready();
    await world.accept(0, 1);
    expect(publishes.map(({ fields }) => fields['key'])).toEqual([undefined, 'own']);
    expect(world.told).toEqual(['e:1', 'e:2']);
    world.expectIdle();
  });

  test('fails when the server is not reached, and others wait on', async () => {
    const world = new OutboxWorld();
    world.publish('a', ONCE);
    world.publish('a');
    world.outbox.onFailure(new CodedError('unavailable', 'refused', { stored: false }));
    await world.clock.settle();
    expect(world.told).toEqual(['unavailable false', 'waits']);
    world.ready();
    await world.accept(0);
    expect(world.told).toEqual(['unavailable false', 'e:1']);
    world.expectIdle();
  });

  test.each([
    ['for now', 'rate_limited', false],
    ['for good', 'too_large', false],
    ['in doubt', 'unavailable', 'unknown'],
  ] as const)('fails when it is refused %s', async (_, code, stored) => {
    const world = new OutboxWorld();
    const { publishes } = world.ready();
    world.publish('a', ONCE);
    publishes[0]?.refuse(code, { stored });
    await world.clock.settle();
    expect(world.told).toEqual([`${code} ${stored}`]);
    world.expectIdle();
  });

  test('fails with the connection on which it was sent', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publish('a', ONCE);
    world.outbox.onFailure(new CodedError('unavailable', 'gone', { stored: false }));
    await world.lose();
    expect(world.told).toEqual(['unavailable unknown']);
    expect(world.ready().publishes).toEqual([]);
    world.expectIdle();
  });
});
