import { ManualClock } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import type { StateStore } from '../../../../src/broker/state.ts';
import type { Hub } from '../../../../src/hub/hub.ts';
import { silentLog } from '../../../../src/observe/log.ts';
import type { MqttParts } from '../../../../src/protocols/mqtt/parts.ts';
import { WillPublisher } from '../../../../src/protocols/mqtt/wills/will-publisher.ts';
import { encodeWill } from '../../../../src/protocols/mqtt/wills/will-record.ts';
import { startMqtt } from '../mqtt-setup.ts';

/** A publisher over a store and a hub that do what a test wants. */
async function setUp() {
  const { broker, hub } = await startMqtt();
  const clock = new ManualClock();
  const state: StateStore = broker.state;
  const published: string[] = [];
  const world = { underWay: 0, mostUnderWay: 0, fails: undefined as Error | undefined };
  const publish: Hub['publish'] = async (_caller, channel, { key }) => {
    world.underWay += 1;
    world.mostUnderWay = Math.max(world.mostUnderWay, world.underWay);
    await Promise.resolve();
    world.underWay -= 1;
    if (world.fails !== undefined) throw world.fails;
    published.push(`${channel} ${key}`);
    return undefined;
  };
  hub.publish = publish;
  const parts: Pick<MqttParts, 'hub' | 'state' | 'clock' | 'log'> = {
    ...{ hub, state, clock },
    log: silentLog,
  };
  const publisher = new WillPublisher(parts);
  const keep = async (word: string): Promise<string> => {
    const will = {
      ...{ life: 'l', session: 's', channel: `c/${word}`, delayMs: 0 },
      identity: { kind: 'anonymous', grants: new Map() },
      request: { payload: Uint8Array.of(1) },
    } as const;
    await state.put(`will/s/${word}`, encodeWill(will));
    return `will/s/${word}`;
  };
  const left = async (): Promise<number> => (await state.list('will/', { countMax: 99 })).length;
  const wait = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await clock.settle();
  };
  return { clock, state, publisher, published, world, keep, left, wait };
}

describe('WillPublisher', () => {
  it('publishes with the last word of the key as key of the message, and removes', async () => {
    const { clock, publisher, published, keep, left } = await setUp();
    publisher.publish(await keep('w1'));
    publisher.publish('will/s/gone');
    await clock.settle();
    expect(published).toEqual(['c/w1 w1']);
    expect(await left()).toBe(0);
  });

  it('does a few at a time', async () => {
    const { clock, publisher, published, world, keep, left } = await setUp();
    for (let index = 0; index < 50; index += 1) publisher.publish(await keep(`w${index}`));
    await clock.settle();
    expect(published).toHaveLength(50);
    expect(world.mostUnderWay).toBeLessThanOrEqual(16);
    expect(await left()).toBe(0);
  });

  it('tries again what may pass, all together', async () => {
    const { clock, publisher, published, world, keep, left, wait } = await setUp();
    world.fails = new CodedError('unavailable', 'away', { stored: 'unknown' });
    const keys = await Promise.all(['w1', 'w2', 'w3'].map(keep));
    for (const key of keys) publisher.publish(key);
    await clock.settle();
    await wait(5_000);
    expect(await left()).toBe(3);
    world.fails = undefined;
    await wait(1_000);
    expect(published.toSorted()).toEqual(['c/w1 w1', 'c/w2 w2', 'c/w3 w3']);
    expect(await left()).toBe(0);
  });

  it('removes what is refused for good', async () => {
    const { clock, publisher, published, world, keep, left } = await setUp();
    world.fails = new CodedError('forbidden', 'no');
    publisher.publish(await keep('w1'));
    await clock.settle();
    expect(published).toEqual([]);
    expect(await left()).toBe(0);
  });

  it('removes at once, whatever else waits', async () => {
    const { clock, state, publisher, world, keep, left } = await setUp();
    world.fails = new CodedError('unavailable', 'away');
    publisher.publish(await keep('w1'));
    await clock.settle();
    publisher.remove(await keep('w2'));
    await clock.settle();
    expect(await state.get('will/s/w2')).toBeUndefined();
    // Not even what was to be published.
    publisher.remove('will/s/w1');
    await clock.settle();
    expect(await left()).toBe(0);
  });

  it('once stopped, publishes no more and still removes', async () => {
    const { clock, state, publisher, published, world, keep, wait } = await setUp();
    const remove = state.delete.bind(state);
    state.delete = async () => {
      throw new Error('away');
    };
    world.fails = new CodedError('unavailable', 'away');
    publisher.publish(await keep('w1'));
    publisher.remove(await keep('w2'));
    await clock.settle();
    state.delete = remove;
    world.fails = undefined;
    publisher.stop();
    await wait(10_000);
    expect(published).toEqual([]);
    expect(await state.get('will/s/w1')).toBeDefined();
    expect(await state.get('will/s/w2')).toBeUndefined();
  });
});
