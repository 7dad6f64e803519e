/** Event streams under attack: snapshots without end, and streams of nothing. */
import { SNAPSHOT_BYTES_MAX } from '@trunkline/server/internal/hub/snapshots.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EventStreamPeer } from '../../src/event-stream.ts';
import { UncaughtErrors } from '../../src/faults.ts';
import { ask } from '../../src/http.ts';
import { usedBytes } from '../../src/memory.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { API_KEY } from '../../src/tokens.ts';
import { Bystander } from './bystander.ts';
import { Insides, NOTHING_HELD } from './insides.ts';

const MB = 1024 * 1024;
const NAMES = ['a', 'b', 'c', 'd', 'e'];

let clock: SkipClock;
let server: LabServer;
let errors: UncaughtErrors;
let insides: Insides;

beforeEach(async () => {
  clock = new SkipClock();
  errors = new UncaughtErrors();
  insides = new Insides();
  server = await startServer({ dev: true, auth: { apiKeys: [API_KEY] } }, { clock });
});

afterEach(async () => {
  for (let look = 0; look < 200; look += 1) {
    await server.get('/healthz');
    clock.skip(60_000);
    if (Object.values(insides.held).every((count) => count === 0)) break;
  }
  expect(insides.held).toEqual(NOTHING_HELD);
  expect(server.faults).toEqual([]);
  expect(errors.found).toEqual([]);
  insides[Symbol.dispose]();
  errors[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

function open(query: string): Promise<EventStreamPeer> {
  return EventStreamPeer.open(`${server.url}/v1/sse?${query}`);
}

/** Gives each channel a message, and a snapshot of the largest size. */
async function putSnapshots(): Promise<void> {
  const body = JSON.stringify('s'.repeat(SNAPSHOT_BYTES_MAX - 2));
  for (const channel of NAMES) {
    await server.publish(channel, 1);
    const { status } = await ask(`${server.url}/v1/snapshot?channel=${channel}&position=0:0`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
      body,
    });
    expect(status).toBe(200);
  }
}

const channelsOf = (names: readonly string[]) => names.map((name) => `channel=${name}`).join('&');

describe('snapshots of an event stream', () => {
  test('[SSE-1] are no more than 4 MB together', async () => {
    await putSnapshots();
    using stream = await open(`${channelsOf(NAMES)}&snapshot=1`);
    expect((await stream.expect('close')).data).toMatchObject({ code: 'too_large' });
    expect(await stream.ended).toBe(true);
    using allowed = await open(`${channelsOf(NAMES.slice(1))}&snapshot=1`);
    await allowed.expect('open');
    for (let count = 0; count < 4; count += 1) {
      const { data } = await allowed.expect('snapshot');
      expect(data['data']).toHaveLength(SNAPSHOT_BYTES_MAX - 2);
    }
    for (let count = 0; count < 4; count += 1) {
      expect(JSON.parse((await allowed.next()).data)).toMatchObject({ offset: 1 });
    }
  });

  test('[SNAP-3] are shared by 50 who ask for them and never read', async () => {
    await putSnapshots();
    const query = `${channelsOf(NAMES.slice(1))}&channel=x/%23&snapshot=1`;
    using first = await open(query);
    for (const type of ['open', 'snapshot']) await first.expect(type);
    using bystander = await Bystander.open(server, 'aside');
    const before = usedBytes();
    const opening = Array.from({ length: 50 }, async () => {
      const stream = await open(query);
      stream.freeze();
      return stream;
    });
    const seen = await bystander.during(Promise.all(opening));
    expect(seen.rounds).toBeGreaterThan(0);
    // What their sockets had taken by then is theirs; the rest is one copy for all of them.
    expect(usedBytes() - before).toBeLessThan(100 * MB);
    for (const stream of await Promise.all(opening)) stream[Symbol.dispose]();
  });
});

test('[SSE-13] 300 streams of nothing, some cut before they open, leave nothing behind', async () => {
  using bystander = await Bystander.open(server, 'aside');
  const before = usedBytes();
  const opening = Promise.all(Array.from({ length: 300 }, () => open('')));
  await bystander.during(opening);
  const streams = await opening;
  for (const stream of streams.slice(0, 200)) await stream.expect('open');
  expect(usedBytes() - before).toBeLessThan(30 * MB);
  for (const stream of streams) stream[Symbol.dispose]();
  await bystander.round();
});
