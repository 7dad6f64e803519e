import { seededRandom, ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { OPEN_NAMESPACE } from '../../src/config/namespace-rules.ts';
import { Channel } from '../../src/hub/channel.ts';
import { Healing } from '../../src/hub/healing.ts';
import { Turn } from '../../src/link/turn.ts';
import { silentLog } from '../../src/observe/log.ts';
import { away, ScriptedBroker } from './scripted-broker.ts';

const payload = new Uint8Array(1);

/** A channel that stands at its first message, and its healing. */
async function setUp(isCovered = false) {
  const clock = new ManualClock();
  const broker = new ScriptedBroker();
  const told: string[] = [];
  const healing = new Healing(
    { broker, clock, random: seededRandom(1), turn: new Turn(clock), log: silentLog },
    {
      flush: (channel) => told.push(`flush ${channel.newest}`),
      queue: (channel) => told.push(`queue ${channel.newest}`),
      covers: () => isCovered,
      doubt: (name) => told.push(`doubt ${name}`),
      interrupt: (channel) => told.push(`interrupt ${channel.head}`),
    },
  );
  const parts = { rules: OPEN_NAMESPACE, kept: { size: 0 }, onAlarm: () => {} };
  const channel = new Channel('news', parts);
  const publish = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += 1) await broker.publish('news', { payload });
  };
  await publish(1);
  channel.reset('e1', 1);
  return { broker, channel, clock, healing, publish, told };
}

describe('healing', () => {
  test('reads what is missing, and the channel is unsettled until then', async () => {
    const { channel, clock, healing, publish, told } = await setUp();
    await publish(2);
    healing.heal(channel);
    expect(healing.unsettled.has(channel)).toBe(true);
    await clock.settle();
    expect(told).toEqual(['queue 2', 'queue 3']);
    expect([channel.newest, channel.healing, healing.unsettled.size]).toEqual([3, false, 0]);
  });

  test('goes on while the log is away, and whoever waits for it is told', async () => {
    const { broker, channel, clock, healing, publish } = await setUp();
    await publish(1);
    broker.failure = away;
    healing.heal(channel);
    await clock.settle();
    await expect(healing.settle(channel)).rejects.toMatchObject({ code: 'unavailable' });
    broker.failure = undefined;
    await clock.pass(1_000);
    expect([channel.newest, channel.healing]).toEqual([2, false]);
    await healing.settle(channel);
  });

  test('interrupts readers where the stream does not go on', async () => {
    const { broker, channel, clock, healing, publish, told } = await setUp();
    broker.lose('news');
    await publish(3);
    healing.heal(channel);
    await clock.settle();
    expect(told).toEqual(['flush 1', 'interrupt 1']);
    expect(channel.position).toEqual({ epoch: 'e2', offset: 3 });
  });

  test('leaves a channel of patterns unsettled until the broker has told what was read', async () => {
    const { broker, channel, clock, healing, publish } = await setUp(true);
    broker.holdSink();
    await publish(1);
    healing.heal(channel);
    await clock.pass(2_000);
    expect([channel.newest, channel.healing]).toEqual([2, false]);
    expect(healing.unsettled.has(channel)).toBe(true);
    broker.releaseSink();
    await clock.pass(2_000);
    expect(healing.unsettled.size).toBe(0);
  });

  test('asks no more often how much was told where a channel was healed again and again', async () => {
    const { broker, channel, clock, healing, publish } = await setUp(true);
    broker.holdSink();
    await publish(1);
    healing.heal(channel);
    await clock.pass(1_000);
    const askedIn = async (ms: number): Promise<number> => {
      const before = broker.changedCount;
      await clock.pass(ms);
      return broker.changedCount - before;
    };
    const asked = await askedIn(10_000);
    for (let times = 0; times < 5; times += 1) {
      healing.heal(channel);
      await clock.settle();
    }
    expect(await askedIn(10_000)).toBeLessThan(asked * 1.5);
    broker.releaseSink();
    await clock.pass(2_000);
    expect(healing.unsettled.size).toBe(0);
  });

  test('has readers told again of what they were not given before marks say where it stands', async () => {
    const { channel, clock, healing, told } = await setUp(true);
    channel.unshared = 1;
    healing.heal(channel);
    expect(told).toEqual(['doubt news']);
    await clock.settle();
    healing.heal(channel);
    expect(told).toEqual(['doubt news']);
  });

  test('keeps in mind what it read while nobody followed the channel by a pattern', async () => {
    const { channel, clock, healing, publish, told } = await setUp();
    channel.unshared = 1;
    await publish(2);
    healing.heal(channel);
    await clock.settle();
    expect([channel.unshared, channel.told]).toEqual([3, 0]);
    expect(told).not.toContain('doubt news');
  });

  test('finds out of a life that is over that all of it was told, once the next one was', async () => {
    const { broker, channel, clock, healing, publish } = await setUp(true);
    broker.holdSink();
    await publish(1);
    channel.reset('e1', 2);
    await healing.findTold(channel);
    expect(channel.told).toBe(1);
    await broker.purge('news');
    await publish(1);
    await healing.findTold(channel);
    expect(channel.told).toBe(1);
    broker.releaseSink();
    await publish(1);
    broker.holdSink();
    await publish(1);
    await healing.findTold(channel);
    expect(channel.told).toBe(2);
    await clock.settle();
  });

  test('finds out by itself that a wake-up was lost', async () => {
    const { channel, clock, healing, publish } = await setUp();
    await publish(1);
    await healing.verify(channel);
    await clock.settle();
    expect(channel.newest).toBe(2);
    await healing.verify(channel);
    expect(channel.healing).toBe(false);
  });
});
