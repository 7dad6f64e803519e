/** The built client in Chromium, loaded from the server by a page of another origin. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { Chromium } from '../../src/chromium.ts';
import { NodeProcess } from '../../src/node-process.ts';

const CHANNEL = 'room/1';
const POLL = { timeout: 20_000, interval: 50 };

let browser: Chromium;

beforeAll(async () => {
  browser = await Chromium.launch();
});

afterAll(() => browser[Symbol.asyncDispose]());

/** What an application does: it reads, publishes first, and tells what it got. */
const program = (server: string, transport: string, tell: string): string => `
  import { connect, ${transport} } from '${server}/client.js';
  const line = connect('${server}', { transports: [${transport}] });
  const room = line.channel('${CHANNEL}');
  room.subscribe({
    onMessage: ({ data }) => ${tell}(data),
    onOpen: ({ recovered }) => recovered === undefined && room.publish(1),
  });
`;

/** Serves one page on an origin of its own, until the test ends. */
async function servePage(html: string): Promise<string> {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    // A page that shuts itself off from others may load it as well.
    response.setHeader('cross-origin-embedder-policy', 'require-corp');
    response.end(`<!doctype html><script>globalThis.got = [];</script>${html}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Restarts the server between its first message and the last. */
async function readsOverRestart(server: NodeProcess, page: Page): Promise<void> {
  const got = (): Promise<unknown> => page.evaluate('got');
  await expect.poll(got, POLL).toEqual([1]);
  await server.kill();
  await server.start();
  await server.publish(CHANNEL, 2);
  await server.publish(CHANNEL, 3);
  await expect.poll(got, POLL).toEqual([1, 2, 3]);
}

test('[HTTP-24] [GUA-3] a page of another origin loads the client and reads over a restart', async () => {
  await using server = await NodeProcess.start();
  const errors: string[] = [];
  const script = program(server.url, 'websocket', 'got.push');
  const address = await servePage(`<script type="module">${script}</script>`);
  const page = await browser.open(address, errors);
  await readsOverRestart(server, page);
  expect(errors).toEqual([]);
});

test.each(['websocket', 'sse'])(
  '[HTTP-24] [GUA-3] a dedicated worker reads over %s and over a restart',
  async (transport) => {
    await using server = await NodeProcess.start();
    const errors: string[] = [];
    const script = JSON.stringify(program(server.url, transport, 'postMessage'));
    const address = await servePage(`<script type="module">
      const url = URL.createObjectURL(new Blob([${script}], { type: 'text/javascript' }));
      const worker = new Worker(url, { type: 'module' });
      worker.onmessage = ({ data }) => got.push(data);
      worker.onerror = ({ message }) => got.push(message);
    </script>`);
    const page = await browser.open(address, errors);
    await readsOverRestart(server, page);
    expect(errors).toEqual([]);
  },
);

test('[HTTP-24] [GUA-3] a page of the server has the worker that its tabs share', async () => {
  await using server = await NodeProcess.start();
  const page = await browser.open(`${server.url}/client.js`);
  await page.evaluate(`(async () => {
    globalThis.got = [];
    const { connect } = await import('${server.url}/client.js');
    const { sharedTransport } = await import('${server.url}/client/tabs.js');
    const worker = (name) =>
      new SharedWorker('${server.url}/client/worker.js', { type: 'module', name });
    globalThis.line = connect('${server.url}', {
      transports: [sharedTransport({ transports: [], worker })],
    });
    line.channel('${CHANNEL}').subscribe({
      onMessage: ({ data }) => got.push(data),
      onOpen: ({ recovered }) => recovered === undefined && line.publish('${CHANNEL}', 1),
    });
  })()`);
  await readsOverRestart(server, page);
  expect(await page.evaluate('line.transport')).toBe('shared');
});
