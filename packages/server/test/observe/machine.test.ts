import { cpus } from 'node:os';
import { describe, expect, test } from 'vitest';
import { MachineMeter } from '../../src/observe/machine.ts';

describe('MachineMeter', () => {
  test('sees the machine as it is, within what is possible', () => {
    const meter = new MachineMeter(0);
    const load = meter.look(1_000);
    meter.close();
    expect(load.cpu).toHaveLength(cpus().length);
    for (const share of load.cpu) {
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThanOrEqual(1);
    }
    expect(load.memory.used).toBeGreaterThan(0);
    expect(load.memory.used).toBeLessThan(load.memory.total);
    expect(load.server.rss).toBeGreaterThan(load.server.heap);
    expect(load.server.lagMs).toBeGreaterThanOrEqual(0);
    expect(() => JSON.stringify(load)).not.toThrow();
  });

  test('measures this process over the time since the last look', () => {
    const meter = new MachineMeter(0);
    meter.look(1_000);
    // Two looks at the same moment must not divide by nothing.
    expect(Number.isFinite(meter.look(1_000).server.cpu)).toBe(true);
    meter.close();
  });
});
