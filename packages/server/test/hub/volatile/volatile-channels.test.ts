import { MemoryLink } from '@trunkline/testkit';
import type { Message } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { Encoding } from '../../../src/hub/hub-types.ts';
import { SLOT_COUNT_MAX } from '../../../src/hub/volatile/slots.ts';
import { SharedBatch } from '../../../src/link/shared-batch.ts';
import { anyone, Listener, setUp } from '../hub-setup.ts';

const KB = 1024;
const HIGH_WATER = 400 * KB;
/** A quarter of the high-water mark, a batch above it, and what is written beside payloads. */
const PENDING_MAX = HIGH_WATER / 4 + 80 * KB;

/** Writes the slots, and as many bytes as the payloads have. */
const slotsEncoding: Encoding = {
  name: 'slots',
  encode(runs) {
    const lines = runs
      .flatMap(({ messages }) => messages)
      .map(({ slot = '', payload }) => slot.padEnd(payload.length));
    return new SharedBatch(Buffer.from(lines.join('\n')), true);
  },
};

async function setUpVolatile() {
  const world = setUp({ volatile: true }, HIGH_WATER);
  const { clock, hub, turn } = world;
  await hub.open();
  const listen = async (allowance = Number.POSITIVE_INFINITY): Promise<Listener> => {
    const listener = new Listener(hub, new MemoryLink({ clock, turn, allowance }), slotsEncoding);
    listener.opened = await hub.subscribe(listener, anyone, 'live', {});
    hub.start(listener.opened.cursor);
    await clock.settle();
    return listener;
  };
  /** Publishes slots of this size in one turn. */
  const flood = async (first: number, count: number, size: number): Promise<void> => {
    const payload = new Uint8Array(size);
    for (let slot = first; slot < first + count; slot += 1) {
      void hub.publish(anyone, 'live', { payload, slot: `${slot}` });
    }
    await clock.settle();
  };
  const take = ({ link }: Listener): number[] =>
    link.takeFrames().flatMap((frame) => String(frame).split('\n').map(Number));
  return { ...world, listen, flood, take };
}

function numbers(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

describe('a burst of volatile messages', () => {
  test('overruns a link by one batch at most, however large it is [VOL-4]', async () => {
    const { listen, flood, take } = await setUpVolatile();
    const frozen = await listen(0);
    const reader = await listen();
    await flood(0, 100, 10 * KB);
    expect(frozen.link.pendingBytes).toBeGreaterThan(HIGH_WATER / 4);
    expect(frozen.link.pendingBytes).toBeLessThan(PENDING_MAX);
    expect(take(reader)).toEqual(numbers(0, 100));
  });

  test('reaches who was too slow as the newest of each slot, in steps [VOL-3]', async () => {
    const { clock, listen, flood, take } = await setUpVolatile();
    const slow = await listen(0);
    for (let at = 0; at < 3 * SLOT_COUNT_MAX; at += 100) await flood(at, 100, KB);
    const taken: number[] = [];
    for (let step = 0; step < 200; step += 1) {
      slow.link.allow(20 * KB);
      await clock.settle();
      expect(slow.link.pendingBytes).toBeLessThan(PENDING_MAX);
      taken.push(...take(slow));
      // What comes meanwhile comes behind what was missed.
      if (step === 30) await flood(3 * SLOT_COUNT_MAX, 1, KB);
    }
    const begin = taken.findIndex((slot, index) => slot !== index);
    expect(taken.slice(begin)).toEqual(numbers(2 * SLOT_COUNT_MAX, SLOT_COUNT_MAX + 1));
    await flood(9_000, 1, KB);
    slow.link.allow(20 * KB);
    await clock.settle();
    expect(take(slow)).toEqual([9_000]);
  });

  test('that comes again while it is caught up with is given once', async () => {
    const { clock, listen, flood, take } = await setUpVolatile();
    const slow = await listen(0);
    await flood(0, 400, KB);
    slow.link.allow(150 * KB);
    await clock.settle();
    const before = take(slow);
    await flood(0, 400, KB);
    slow.link.allow(Number.POSITIVE_INFINITY);
    await clock.settle();
    const rest = take(slow).slice(-400);
    expect(before.length).toBeGreaterThan(0);
    expect(rest).toEqual(numbers(0, 400));
  });

  test('has the attributes that were published, and none where there were none', async () => {
    const given: (readonly Message[])[] = [];
    const { hub, clock } = await setUpVolatile();
    const encoding: Encoding = {
      ...slotsEncoding,
      encode(runs) {
        given.push(...runs.map(({ messages }) => messages));
        return slotsEncoding.encode(runs);
      },
    };
    const listener = new Listener(hub, new MemoryLink({ clock }), encoding);
    listener.opened = await hub.subscribe(listener, anyone, 'live', {});
    hub.start(listener.opened.cursor);
    const payload = new Uint8Array(1);
    const attributes = Uint8Array.of(1, 2);
    void hub.publish(anyone, 'live', { payload, attributes });
    void hub.publish(anyone, 'live', { payload });
    await clock.settle();
    const [first, second] = given.flat();
    expect(first?.attributes).toEqual(attributes);
    expect(second).not.toHaveProperty('attributes');
  });

  test('is forgotten when the last one who was too slow is gone', async () => {
    const { hub, clock, listen, flood, take } = await setUpVolatile();
    const slow = await listen(0);
    await flood(0, 400, KB);
    slow.link.leave();
    await clock.settle();
    expect(hub.counts.subscriptions).toBe(0);
    const later = await listen();
    await flood(500, 1, KB);
    expect(take(later)).toEqual([500]);
  });
});
