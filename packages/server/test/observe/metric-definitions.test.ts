import { METRICS } from '@trunkline/server/internal/observe/metric-definitions.ts';
import type { MetricDefinition } from '@trunkline/server/internal/observe/metric-definitions.ts';
import { describe, expect, test } from 'vitest';

const definitions: readonly MetricDefinition[] = Object.values(METRICS);

describe('the names of metrics', () => {
  test('are each of one metric', () => {
    expect(new Set(definitions.map(({ name }) => name)).size).toBe(definitions.length);
  });

  test.each(definitions)('$name says what it is and in which unit', ({ name, kind, help }) => {
    expect(name).toMatch(/^trunkline_[a-z0-9_]+$/);
    expect(name.endsWith('_total')).toBe(kind === 'counter');
    expect(/bytes/i.test(help)).toBe(name.includes('_bytes'));
    expect(help).toMatch(/^[A-Z0-9].*\.$/);
    expect(help).not.toMatch(/["\\\n]/);
  });
});
