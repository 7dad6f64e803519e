/** What survives a restart, and what does not. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { post } from '../../src/http.ts';
import { offsetsOf } from '../../src/reader.ts';
import type { ReadTransport } from '../../src/reader.ts';
import { READ_TRANSPORTS } from '../../src/readers/all.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer, Stored } from '../../src/server.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'durability-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function start(): Promise<LabServer> {
  return startServer({
    store: { directory },
    namespaces: { 'brief/#': { durable: false } },
  });
}

describe.each(READ_TRANSPORTS)('over $name', (transport: ReadTransport) => {
  test('[GUA-5] [GUA-7] resumes behind what an earlier life of the server stored', async () => {
    let first: Stored | undefined;
    {
      await using before = await start();
      [first] = await before.publish('news', 1, 2, 3);
    }
    await using after = await start();
    await using reader = await transport.open(after, {
      channel: 'news',
      after: first?.position ?? '',
    });
    expect(reader.verdict).toEqual({ position: first?.position, recovered: true });
    const [fourth] = await after.publish('news', 4);
    expect(fourth).toMatchObject({ epoch: first?.epoch, offset: 4 });
    expect(offsetsOf(await reader.take(3))).toEqual([2, 3, 4]);
  });

  test('[GUA-5] [CH-6] gives a channel that is not durable a new epoch', async () => {
    let first: Stored | undefined;
    {
      await using before = await start();
      [first] = await before.publish('brief/news', 1, 2, 3);
    }
    await using after = await start();
    const [again] = await after.publish('brief/news', 1);
    expect(again?.offset).toBe(1);
    expect(again?.epoch).not.toBe(first?.epoch);
    await using reader = await transport.open(after, {
      channel: 'brief/news',
      after: first?.position ?? '',
    });
    expect(reader.verdict).toMatchObject({ recovered: false, gap: { reason: 'epoch' } });
  });
});

describe('over HTTP', () => {
  test('[GUA-6] [PUB-3] knows a key after a restart', async () => {
    const message = { channel: 'news', data: 1, key: 'k' };
    let text = '';
    {
      await using before = await start();
      ({ text } = await post(`${before.url}/v1/publish`, message));
    }
    await using after = await start();
    expect((await post(`${after.url}/v1/publish`, message)).text).toBe(text);
    const other = await post(`${after.url}/v1/publish`, { ...message, data: 2 });
    expect(other.status).toBe(409);
  });
});
