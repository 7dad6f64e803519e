import { expect, test } from 'vitest';
import { metricsPage, METRICS_PAGE } from '../metrics.ts';
import { readText, ROOT } from '../source.ts';

test('the page of metrics is what the definitions say', () => {
  expect(readText(ROOT, METRICS_PAGE)).toBe(metricsPage());
});

test('the page of metrics alerts on nothing that is not there', () => {
  const [reference = '', alerts = ''] = metricsPage().split('## What to alert on');
  for (const [name] of alerts.matchAll(/trunkline_[a-z0-9_]+/g)) {
    expect(reference).toContain(`\`${name}\``);
  }
});
