import { describe, expect, test } from 'vitest';
import { meanCpu, parseSample } from '../src/metrics.ts';

describe('parseSample', () => {
  test('reads what the server publishes', () => {
    const payload = JSON.stringify({
      cpu: [0.25, 0.75],
      load: 1.5,
      memory: { used: 10, total: 40 },
      server: { rss: 7, heap: 3, cpu: 0.1, lagMs: 1.25 },
      links: { websocket: 1, sse: 2, polls: 3 },
      mqtt: { tcp: 7, tls: 8, websocket: 1 },
      rates: { published: 4, delivered: 16 },
      hub: { channels: 5, subscriptions: 6, members: 7 },
    });
    const sample = parseSample(payload, 99);
    expect(sample).toEqual({
      time: 99,
      cores: [0.25, 0.75],
      memory: { used: 10, total: 40 },
      server: { rss: 7, cpu: 0.1, lagMs: 1.25 },
      links: { websocket: 1, sse: 2, polls: 3 },
      mqtt: { tcp: 7, tls: 8, websocket: 1 },
      rates: { published: 4, delivered: 16 },
      hub: { channels: 5, subscriptions: 6, members: 7 },
    });
    expect(sample && meanCpu(sample)).toBe(0.5);
  });

  test('takes a missing figure as 0', () => {
    expect(parseSample('{"cpu":[]}', 1)).toMatchObject({
      memory: { used: 0 },
      rates: { delivered: 0 },
      hub: { members: 0 },
    });
  });

  test.each(['', 'hello', 'null', '5', '[]', '{"text":"hello"}', '{"cpu":["x"]}', '{"cpu":{}}'])(
    'ignores %o, which somebody else published',
    (payload) => {
      expect(parseSample(payload, 1)).toBeUndefined();
    },
  );
});
