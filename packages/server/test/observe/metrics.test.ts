import { LatencyCounts } from '@trunkline/server/internal/observe/latency.ts';
import { METRICS } from '@trunkline/server/internal/observe/metric-definitions.ts';
import { Metrics } from '@trunkline/server/internal/observe/metrics.ts';
import type { Readings } from '@trunkline/server/internal/observe/metrics.ts';
import { describe, expect, test } from 'vitest';
import { parseMetrics } from './prometheus-text.ts';

async function scrape(readings: Readings) {
  const { text } = await new Metrics(() => readings).page();
  return parseMetrics(text);
}

describe('metrics', () => {
  test('[MET-1] have a HELP and a TYPE each, whether there are numbers or not', async () => {
    const latency = new LatencyCounts();
    const families = await scrape({ publishSeconds: latency });
    for (const { name, kind, help } of Object.values(METRICS)) {
      expect(families.get(name)).toMatchObject({ type: kind, help });
      if (kind !== 'histogram') expect(families.get(name)?.samples).toEqual([]);
    }
    const { contentType } = await new Metrics(() => ({})).page();
    expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
  });

  test('are what the parts say at the moment of the scrape', async () => {
    let published = 3;
    const metrics = new Metrics(() => ({
      published,
      ready: 1,
      links: [
        ['websocket', '1.1', 2],
        ['sse', '2', 5],
      ],
      publishesRefused: new Map([['too_large', 4]]),
    }));
    const first = parseMetrics((await metrics.page()).text);
    expect(first.get('trunkline_ready')?.samples).toEqual([
      { name: 'trunkline_ready', labels: {}, value: 1 },
    ]);
    expect(first.get('trunkline_links')?.samples).toMatchObject([
      { labels: { transport: 'websocket', http: '1.1' }, value: 2 },
      { labels: { transport: 'sse', http: '2' }, value: 5 },
    ]);
    expect(first.get('trunkline_publishes_refused_total')?.samples).toMatchObject([
      { labels: { code: 'too_large' }, value: 4 },
    ]);
    published = 7;
    const second = parseMetrics((await metrics.page()).text);
    expect(second.get('trunkline_messages_published_total')?.samples[0]?.value).toBe(7);
    expect(second.get('trunkline_links')?.samples).toHaveLength(2);
  });

  test('show durations as a histogram that adds up', async () => {
    const latency = new LatencyCounts();
    for (const ms of [0.2, 0.7, 4, 4, 60_000]) latency.add(ms);
    const family = (await scrape({ publishSeconds: latency })).get('trunkline_publish_seconds');
    const bucket = (le: string) => family?.samples.find(({ labels }) => labels['le'] === le)?.value;
    expect([bucket('0.0005'), bucket('0.001'), bucket('0.005'), bucket('30')]).toEqual([
      1, 2, 4, 4,
    ]);
    expect(bucket('+Inf')).toBe(5);
    expect(family?.samples.at(-1)).toMatchObject({
      name: 'trunkline_publish_seconds_count',
      value: 5,
    });
    expect(family?.samples.at(-2)?.value).toBeCloseTo(60.0089);
  });

  test('[MET-1] have the facts of the process beside them, once for all servers', async () => {
    const families = await scrape({});
    expect(families.get('process_resident_memory_bytes')?.samples[0]?.value).toBeGreaterThan(1e6);
    expect(families.has('nodejs_eventloop_lag_p99_seconds')).toBe(true);
    expect((await scrape({})).size).toBe(families.size);
  });
});
