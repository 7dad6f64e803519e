/**
 * The React hooks in Chromium, in the build of React that mounts everything twice: one subscription
 * on the wire, each message once, over a route that is left and a server that is killed.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import type { Rolldown } from 'vite';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { Chromium } from '../../src/chromium.ts';
import { NodeProcess } from '../../src/node-process.ts';

const CHANNEL = 'room/1';
const POLL = { timeout: 20_000, interval: 50 };

let script: string;
let browser: Chromium;

beforeAll(async () => {
  script = await bundle(join(import.meta.dirname, 'react-page.tsx'));
  browser = await Chromium.launch();
});

afterAll(() => browser[Symbol.asyncDispose]());

/** The page and all that it imports, as React has it while applications are developed. */
async function bundle(input: string): Promise<string> {
  const built = (await build({
    configFile: false,
    logLevel: 'error',
    mode: 'development',
    define: { 'process.env.NODE_ENV': '"development"' },
    build: { write: false, minify: false, rolldownOptions: { input } },
  })) as Rolldown.RolldownOutput;
  return built.output[0].code;
}

/** Serves the page, until the test ends. */
async function servePage(): Promise<string> {
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(
      isScript ? script : '<!doctype html><div id="root"></div><script src="/page.js"></script>',
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Opens the page on a server of its own. */
async function openPage(flags: readonly string[] = [], query = '') {
  const server = await NodeProcess.start(...flags);
  onTestFinished(() => server[Symbol.asyncDispose]());
  const errors: string[] = [];
  const page = await browser.open(`${await servePage()}?server=${server.url}${query}`, errors);
  onTestFinished(async () => {
    await page.close();
    expect(errors).toEqual([]);
  });
  await statusIs(page, 'first', 'live');
  return { server, page };
}

async function statusIs(page: Page, list: string, status: string): Promise<void> {
  await expect.poll(() => page.locator(`#${list}`).getAttribute('data-status'), POLL).toBe(status);
}

function shows(page: Page, list: string, texts: readonly string[]): Promise<void> {
  return expect.poll(() => page.locator(`#${list} li`).allTextContents(), POLL).toEqual(texts);
}

async function go(page: Page, route: string): Promise<void> {
  await page.evaluate(`go(${JSON.stringify(route)})`);
}

/** Commands of this kind about the channel, in order. */
async function sent(page: Page, type: string, channel = CHANNEL): Promise<unknown[]> {
  const commands = await page.evaluate<string[]>('sent');
  return commands
    .map((text) => JSON.parse(text) as { type: string; channel?: string })
    .filter((command) => command.type === type && command.channel === channel);
}

test('two components share one list and one subscription, and StrictMode doubles nothing', async () => {
  const { server, page } = await openPage(['--memory']);
  await server.publish(CHANNEL, 'a');
  await server.publish(CHANNEL, 'b');
  await shows(page, 'first', ['a', 'b']);
  await shows(page, 'second', ['a', 'b']);
  await page.evaluate(`say('c')`);
  await shows(page, 'first', ['a', 'b', 'c']);
  await shows(page, 'second', ['a', 'b', 'c']);
  expect(await sent(page, 'subscribe')).toHaveLength(1);
  expect(await sent(page, 'unsubscribe')).toHaveLength(0);
  await expect
    .poll(() => page.locator('#connection').textContent(), POLL)
    .toBe('connected websocket');
});

test('a route that is left and come back to keeps its list and touches no wire', async () => {
  const { server, page } = await openPage(['--memory']);
  await server.publish(CHANNEL, 'a');
  await shows(page, 'first', ['a']);
  await go(page, 'none');
  await expect.poll(() => page.locator('#first').count(), POLL).toBe(0);
  await server.publish(CHANNEL, 'b');
  await go(page, 'two');
  await shows(page, 'first', ['a', 'b']);
  expect(await sent(page, 'subscribe')).toHaveLength(1);
  expect(await sent(page, 'unsubscribe')).toHaveLength(0);
});

test('a route that is left for good ends its subscription', async () => {
  const { page } = await openPage(['--memory']);
  await go(page, 'none');
  await expect.poll(async () => (await sent(page, 'unsubscribe')).length, POLL).toBe(1);
});

test('over a server that is killed each message is shown once', async () => {
  const { server, page } = await openPage();
  const texts = ['a', 'b', 'c'];
  for (const text of texts) await server.publish(CHANNEL, text);
  await shows(page, 'first', texts);
  await server.kill();
  await statusIs(page, 'first', 'subscribing');
  await shows(page, 'first', texts);
  await server.start();
  for (const text of ['d', 'e']) await server.publish(CHANNEL, text);
  await shows(page, 'first', [...texts, 'd', 'e']);
  await shows(page, 'second', [...texts, 'd', 'e']);
  await statusIs(page, 'first', 'live');
});

test('a component may wait until its channel is live', async () => {
  const { server, page } = await openPage(['--memory']);
  await server.publish('room/2', 'x');
  await go(page, 'awaited');
  await statusIs(page, 'awaited', 'live');
  await expect.poll(() => page.locator('#awaited').textContent(), POLL).toBe('x');
  await expect.poll(() => page.locator('#waiting').count(), POLL).toBe(0);
  expect(await sent(page, 'subscribe', 'room/2')).toHaveLength(1);
});

test('who is there comes and goes', async () => {
  const { page } = await openPage(['--memory']);
  await go(page, 'people');
  await expect.poll(() => page.locator('#people').getAttribute('data-count'), POLL).toBe('1');
});

test('a browser takes over what a server rendered', async () => {
  const { server, page } = await openPage(['--memory'], '&hydrate=1&route=awaited');
  await server.publish('room/2', 'x');
  await statusIs(page, 'awaited', 'live');
  await expect.poll(() => page.locator('#awaited').textContent(), POLL).toBe('x');
  expect(await sent(page, 'subscribe', 'room/2')).toHaveLength(1);
});
