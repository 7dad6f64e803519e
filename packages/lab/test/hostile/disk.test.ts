/**
 * A disk that is full, or can't be written any more, under a running server. It needs a file system
 * of its own, which only root may mount; elsewhere these tests are skipped and say so.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EventStreamPeer } from '../../src/event-stream.ts';
import { UncaughtErrors } from '../../src/faults.ts';
import { expectStored } from './expectations.ts';
import { post } from '../../src/http.ts';
import type { Answered } from '../../src/http.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer, Stored } from '../../src/server.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

const mountable = canMount();

function canMount(): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory], {
      stdio: 'ignore',
    });
    execFileSync('umount', [directory]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe.skipIf(!mountable)('a disk of 8 MB (needs root, to mount it)', () => {
  let disk: string;
  let server: LabServer;
  let errors: UncaughtErrors;
  let acknowledged: Map<number, unknown>;

  beforeEach(async () => {
    errors = new UncaughtErrors();
    acknowledged = new Map();
    disk = mkdtempSync(join(tmpdir(), 'disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
    mkdirSync(join(disk, 'log'));
    server = await startServer({ store: { directory: join(disk, 'log') } });
  });

  afterEach(async () => {
    expect(errors.found).toEqual([]);
    errors[Symbol.dispose]();
    await server[Symbol.asyncDispose]();
    execFileSync('umount', ['-l', disk]);
    rmSync(disk, { recursive: true, force: true });
  });

  let count = 0;

  async function publish(channel = 'news'): Promise<Answered> {
    count += 1;
    const data = `message ${count}`;
    const answer = await post(`${server.url}/v1/publish`, { channel, data });
    if (answer.status === 200) acknowledged.set(answer.json<Stored>().offset, data);
    return answer;
  }

  function expectUnavailable(answer: Answered): void {
    expect(answer.status, answer.text).toBe(503);
    expect(answer.json()).toMatchObject({ code: 'unavailable' });
    expect([false, 'unknown']).toContain(answer.json()['stored']);
    expect(answer.json()['retryAfter']).toBeGreaterThan(0);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  }

  async function untilRefused(): Promise<void> {
    for (let tries = 0; tries < 200; tries += 1) {
      const answer = await publish();
      if (answer.status !== 200) return expectUnavailable(answer);
    }
    throw new Error('publishes went on working');
  }

  async function untilStored(): Promise<void> {
    for (let tries = 0; tries < 200; tries += 1) if ((await publish()).status === 200) return;
    throw new Error('publishes never worked again');
  }

  /** Leaves no room for the log. */
  function fill(): void {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, 'filler'), Buffer.alloc(bavail * bsize));
  }

  test('that is full refuses publishes, keeps subscribers, and works again with room', async () => {
    using peer = await WebSocketPeer.open(server.port);
    await peer.call({ type: 'subscribe', id: 1, channel: 'news' });
    using stream = await EventStreamPeer.open(`${server.url}/v1/sse?channel=news`);
    await stream.expect('open');
    for (let message = 0; message < 5; message += 1) expect((await publish()).status).toBe(200);
    fill();
    await untilRefused();
    for (let tries = 0; tries < 5; tries += 1) expectUnavailable(await publish());
    using publisher = await WebSocketPeer.open(server.port);
    const refused = await publisher.call({ type: 'publish', id: 2, channel: 'news', data: 1 });
    expect(refused).toMatchObject({ type: 'error', code: 'unavailable' });
    // Reading goes on, and whoever listens stays.
    await expectStored(server, 'news', acknowledged);
    unlinkSync(join(disk, 'filler'));
    await untilStored();
    const last = [...acknowledged.keys()].at(-1) ?? 0;
    for (let offset = 1; offset <= last; offset += 1) {
      expect((await peer.nextOf('message'))['offset']).toBe(offset);
      expect((await stream.next()).id.split(':')[1]).toBe(String(offset));
    }
    await expectStored(server, 'news', acknowledged);
  });

  test('that is read-only for a while does the same', async () => {
    using peer = await WebSocketPeer.open(server.port);
    await peer.call({ type: 'subscribe', id: 1, channel: 'news' });
    expect((await publish()).status).toBe(200);
    // The log's open files would keep a file system from becoming read-only; this one forces it.
    let forced = true;
    try {
      execFileSync('mount', ['-o', 'remount,ro', disk], { stdio: 'ignore' });
    } catch {
      forced = false;
    }
    if (forced) {
      await untilRefused();
      execFileSync('mount', ['-o', 'remount,rw', disk]);
    }
    await untilStored();
    await expectStored(server, 'news', acknowledged);
    expect((await peer.nextOf('message'))['offset']).toBe(1);
  });

  test('that was full keeps everything acknowledged over a restart', async () => {
    expect((await publish()).status).toBe(200);
    fill();
    await untilRefused();
    await server[Symbol.asyncDispose]();
    unlinkSync(join(disk, 'filler'));
    server = await startServer({ store: { directory: join(disk, 'log') } });
    await expectStored(server, 'news', acknowledged);
    const answer = await publish();
    expect(answer.status).toBe(200);
    await expectStored(server, 'news', acknowledged);
  });
});
