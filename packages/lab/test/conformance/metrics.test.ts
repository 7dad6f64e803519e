/** Metrics: what a node tells Prometheus. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, post } from '../../src/http.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { API_KEY, JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

const KEY = { authorization: `Bearer ${API_KEY}` };

let server: LabServer;
let closed: LabServer;
let open: LabServer;

beforeAll(async () => {
  const auth = { jwtSecret: JWT_SECRET, apiKeys: [API_KEY] };
  server = await startServer();
  closed = await startServer({ auth });
  open = await startServer({ auth, metrics: { open: true } });
});

afterAll(async () => {
  const servers = [server, closed, open];
  expect(servers.flatMap(({ faults }) => faults)).toEqual([]);
  for (const one of servers) await one[Symbol.asyncDispose]();
});

/** The samples of a scrape: series to number. */
async function scrape(): Promise<ReadonlyMap<string, number>> {
  const { text } = await server.get('/metrics');
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    samples.map((line): [string, number] => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

describe('GET /metrics', () => {
  test('[MET-1] answers text for Prometheus, each metric with its HELP', async () => {
    const answer = await server.get('/metrics');
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    const names = [...answer.text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(answer.text).toMatch(new RegExp(`^# HELP ${name} \\S`, 'm'));
  });

  test('[MET-1] counts what happens', async () => {
    const before = await scrape();
    using peer = await WebSocketPeer.open(server.port);
    await peer.call({ type: 'subscribe', id: 1, channel: 'metrics/secret-name' });
    await server.publish('metrics/secret-name', 1, 2);
    await peer.nextOf('message');
    await peer.nextOf('message');
    const large = { channel: 'metrics/secret-name', data: 'x'.repeat(70_000) };
    expect((await post(`${server.url}/v1/publish`, large)).status).toBe(413);
    const after = await scrape();
    const rise = (series: string): number => (after.get(series) ?? 0) - (before.get(series) ?? 0);
    // The machine’s own load is published, too.
    expect(rise('trunkline_messages_published_total')).toBeGreaterThanOrEqual(2);
    expect(rise('trunkline_messages_delivered_total')).toBeGreaterThanOrEqual(2);
    expect(rise('trunkline_publishes_refused_total{code="too_large"}')).toBe(1);
    expect(rise('trunkline_publish_seconds_count')).toBeGreaterThanOrEqual(2);
    expect(rise('trunkline_subscriptions')).toBe(1);
    expect(after.get('trunkline_cursors_behind')).toBe(0);
    expect(rise('trunkline_links{transport="websocket",http="1.1"}')).toBe(1);
    expect(rise('trunkline_sessions')).toBe(1);
    expect(after.get('trunkline_ready')).toBe(1);
    expect(after.get('trunkline_connections')).toBeGreaterThanOrEqual(1);
    expect([...after.keys()].join('\n')).not.toContain('secret-name');
  });

  test('[MET-2] needs an API key unless it is open', async () => {
    expect((await closed.get('/metrics')).status).toBe(401);
    const user = await closed.get('/metrics', { authorization: `Bearer ${tokenOf('ann')}` });
    expect(user.status).toBe(403);
    expect((await closed.get('/metrics', KEY)).status).toBe(200);
    expect((await open.get('/metrics')).status).toBe(200);
    const head = await ask(`${open.url}/metrics`, { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '' });
  });
});
