import { ATTRIBUTES_SIZE_MAX } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import { anyone, setUp } from './hub-setup.ts';

const payload = new TextEncoder().encode('1');

async function setUpPublishing(rules: Parameters<typeof setUp>[0] = {}) {
  const world = setUp(rules);
  await world.hub.open();
  const refuse = async (channel: string, request: object = {}): Promise<unknown> => {
    try {
      await world.hub.publish(anyone, channel, { payload, ...request });
      return undefined;
    } catch (error) {
      return error;
    }
  };
  return { ...world, refuse };
}

describe('publishing', () => {
  test('answers with the place in the log [PUB-2]', async () => {
    const { hub } = await setUpPublishing();
    expect(await hub.publish(anyone, 'a', { payload })).toEqual({ epoch: 'e1', offset: 1 });
    expect(hub.counts.published).toBe(1);
  });

  test('answers without one where the channel is volatile, and keeps nothing [VOL-1]', async () => {
    const { broker, hub } = await setUpPublishing({ volatile: true });
    expect(await hub.publish(anyone, 'a', { payload })).toBeUndefined();
    const range = { after: 0, countMax: 10, sizeMax: 1_000 };
    expect((await broker.read('a', range)).messages).toEqual([]);
  });

  test('refuses what is too large before anything is stored', async () => {
    const { broker, refuse } = await setUpPublishing({ messageBytesMax: 3 });
    expect(await refuse('a', { payload: new Uint8Array(4) })).toMatchObject({
      code: 'too_large',
      message: 'a message in a may have 3 bytes, got 4',
      stored: false,
    });
    expect(broker.place()).toBe('~0');
  });

  test('hands the attributes of a message on, up to their bound', async () => {
    const { broker, hub, refuse } = await setUpPublishing();
    const attributes = new Uint8Array(ATTRIBUTES_SIZE_MAX);
    await hub.publish(anyone, 'a', { payload, attributes });
    await hub.publish(anyone, 'a', { payload });
    const { messages } = await broker.read('a', { after: 0, countMax: 9, sizeMax: 1e6 });
    expect(messages.map((message) => message.attributes)).toEqual([attributes, undefined]);
    expect(messages[1]).not.toHaveProperty('attributes');
    expect(await refuse('a', { attributes: new Uint8Array(attributes.length + 1) })).toMatchObject({
      code: 'too_large',
      message: 'the attributes of a message may have 65536 bytes, got 65537',
      stored: false,
    });
    expect(broker.place()).toBe('~2');
  });

  test('refuses what is not allowed, and says that it was not stored [PUB-4]', async () => {
    const { refuse } = await setUpPublishing({ allow: { anonymous: [], user: [] } });
    expect(await refuse('a')).toMatchObject({ code: 'forbidden', stored: false });
  });

  test('does not wait for ever: whether it was stored is not known then', async () => {
    const { broker, clock, refuse } = await setUpPublishing();
    broker.stalled = true;
    const refused = refuse('a');
    await clock.pass(40_000);
    expect(await refused).toMatchObject({ code: 'unavailable', stored: 'unknown' });
    expect(clock.timerCount).toBeLessThan(5);
  });

  test('says of a failing log what that says', async () => {
    const { broker, refuse } = await setUpPublishing();
    broker.publish = () => Promise.reject(new BrokerError('conflict', 'another payload'));
    expect(await refuse('a')).toMatchObject({ code: 'conflict', stored: false });
    broker.publish = () => Promise.reject(new Error('a bug'));
    expect(await refuse('a')).toMatchObject({
      code: 'internal',
      message: 'internal error',
      stored: 'unknown',
    });
  });

  test('keeps the keys of users apart, and of anonymous clients together [PUB-3]', async () => {
    const { broker, hub } = await setUpPublishing({
      allow: { anonymous: ['publish'], user: ['publish'] },
    });
    const scopes: unknown[] = [];
    broker.publish = (_channel, _draft, options?: { idempotency?: { scope: string } }) => {
      scopes.push(options?.idempotency?.scope);
      return Promise.resolve({ position: { epoch: 'e1', offset: 1 }, duplicate: false });
    };
    const as = (user: string) => {
      const identity = { kind: 'user', user, grants: new Map() } as const;
      return { identity, session: 's' };
    };
    for (const caller of [as('alice'), as('bob'), anyone, { ...anyone, session: 's2' }]) {
      await hub.publish(caller, 'a', { payload, key: 'k' });
    }
    await hub.publish(anyone, 'a', { payload });
    expect(scopes).toEqual(['user:alice', 'user:bob', 'anonymous', 'anonymous', undefined]);
  });
});
