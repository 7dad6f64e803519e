import { describe, expect, it } from 'vitest';
import { runGroup } from './random-group.ts';

const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1);
const MEMBERS = { steps: 150, keptCount: 3, others: 3 };

describe('a group whose members come, go, refuse and stall', () => {
  it.each(SEEDS)(
    'handles each message with QoS 1, one member at a time (seed %s)',
    async (seed) => {
      const { published, handled, faults } = await runGroup({
        ...{ seed, qos: 1, crashes: false },
        ...MEMBERS,
      });
      expect(faults).toEqual([]);
      expect(published.filter((payload) => !handled.has(payload))).toEqual([]);
      expect(Math.max(...handled.values())).toBe(1);
    },
  );

  it.each(SEEDS)('handles each with QoS 1 at least once over crashes (seed %s)', async (seed) => {
    const { published, handled, faults } = await runGroup({
      ...{ seed, qos: 1, crashes: true },
      ...MEMBERS,
    });
    expect(faults).toEqual([]);
    expect(published.filter((payload) => !handled.has(payload))).toEqual([]);
  });

  it.each(SEEDS)('handles each with QoS 2 once, over crashes too (seed %s)', async (seed) => {
    const { published, handled, refused, faults } = await runGroup({
      ...{ seed, qos: 2, crashes: true },
      ...MEMBERS,
      ...{ keptCount: 4, others: 0 },
    });
    expect(faults).toEqual([]);
    const kept = published.filter((payload) => !refused.has(payload));
    expect(kept.filter((payload) => handled.get(payload) !== 1)).toEqual([]);
    expect(Math.max(...handled.values())).toBe(1);
  });

  it.each(SEEDS)(
    '[MQTT-4.8.2-5] handles none with QoS 2 twice, whoever ends (seed %s)',
    async (seed) => {
      const { handled, faults } = await runGroup({
        ...{ seed, qos: 2, crashes: true },
        ...MEMBERS,
      });
      expect(faults).toEqual([]);
      expect(Math.max(...handled.values())).toBe(1);
    },
  );
});
