/** The client that the server serves: its files and their caching. */
import { consoleAssets } from '@trunkline/console';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { JWT_SECRET } from '../../src/tokens.ts';

let server: LabServer;
let bare: LabServer;

beforeAll(async () => {
  const auth = { jwtSecret: JWT_SECRET };
  server = await startServer({ auth }, { assets: consoleAssets() });
  bare = await startServer();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await bare[Symbol.asyncDispose]();
});

test('[HTTP-24] everything that the client imports is there, for pages of every origin', async () => {
  const wanted = new Set(['/client.js', '/client/core.js', '/client/tabs.js', '/client/worker.js']);
  // A set hands out what is added to it while it is gone through.
  for (const path of wanted) {
    const { status, headers, text } = await server.get(path, { origin: 'https://other.example' });
    expect(status, path).toBe(200);
    expect(headers['content-type']).toBe('text/javascript; charset=utf-8');
    expect(headers['access-control-allow-origin']).toBe('*');
    for (const [, imported = ''] of text.matchAll(/\b(?:from|import)"([^"]+)"/g)) {
      wanted.add(new URL(imported, `http://here${path}`).pathname);
    }
    const [, map] = /sourceMappingURL=(.+)/.exec(text) ?? [];
    if (map === undefined) continue;
    const { pathname } = new URL(map, `http://here${path}`);
    expect((await server.get(pathname)).json(), pathname).toMatchObject({ version: 3 });
  }
  expect(wanted.size).toBeGreaterThan(6);
  for (const path of wanted) expect(path).toMatch(/^\/client(?:\.js$|\/)/);
});

test('[HTTP-24] who has a file is told that it did not change', async () => {
  const { headers } = await server.get('/client.js', { 'accept-encoding': 'gzip' });
  expect(headers).toMatchObject({ 'content-encoding': 'gzip', 'cache-control': 'no-cache' });
  const again = await server.get('/client.js', { 'if-none-match': headers.etag ?? '' });
  expect(again).toMatchObject({ status: 304, text: '' });
  expect(again.headers['access-control-allow-origin']).toBe('*');
  expect((await server.get('/client.js', { 'if-none-match': '"old"' })).status).toBe(200);
});

test('[HTTP-24] a server that has no client says so', async () => {
  expect((await bare.get('/client.js')).status).toBe(404);
});
