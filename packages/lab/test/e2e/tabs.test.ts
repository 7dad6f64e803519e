/**
 * Seven tabs in Chromium on HTTP/1.1, where six connections to a server is all there is: they share
 * one, and lose nothing when the tab that has it is closed or frozen.
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
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';

const TABS = 7;
const POLL = { timeout: 30_000, interval: 50 };

const scripts = new Map<string, string>();
let browser: Chromium;

beforeAll(async () => {
  const client = join(import.meta.dirname, '../../../client/src/tabs');
  scripts.set('/page.js', await bundle(join(import.meta.dirname, 'tabs-page.ts')));
  scripts.set('/worker.js', await bundle(join(client, 'worker.ts')));
  browser = await Chromium.launch();
});

afterAll(() => browser[Symbol.asyncDispose]());

async function bundle(input: string): Promise<string> {
  const built = (await build({
    configFile: false,
    logLevel: 'error',
    build: { write: false, minify: false, modulePreload: false, rolldownOptions: { input } },
  })) as Rolldown.RolldownOutput;
  return built.output[0].code;
}

/** Serves the page, until the test ends. */
async function servePage(): Promise<string> {
  const server = createServer((request, response) => {
    const script = scripts.get(request.url ?? '');
    response.setHeader('content-type', script === undefined ? 'text/html' : 'text/javascript');
    response.end(script ?? '<!doctype html><script type="module" src="/page.js"></script>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

interface Opened {
  readonly server: LabServer;
  readonly pages: Page[];
}

/** Opens seven tabs of one page. */
async function openTabs(query: string): Promise<Opened> {
  const server = await startServer();
  const address = await servePage();
  const pages: Page[] = [];
  onTestFinished(async () => {
    for (const page of pages) await page.close();
    await server[Symbol.asyncDispose]();
  });
  for (let count = 0; count < TABS; count += 1) {
    pages.push(await browser.open(`${address}?server=${server.url}&${query}`));
  }
  return { server, pages };
}

function valueOf<Value>(page: Page, expression: string): Promise<Value> {
  return page.evaluate(expression);
}

async function areConnected(pages: readonly Page[]): Promise<void> {
  for (const page of pages) {
    await expect.poll(() => valueOf(page, 'shown?.line?.state'), POLL).toBe('connected');
  }
}

/** Waits until each of the tabs got these values and nothing else, and missed none. */
async function haveGot(pages: readonly Page[], values: readonly unknown[]): Promise<void> {
  for (const page of pages) {
    await expect.poll(() => valueOf(page, 'shown.got'), POLL).toEqual(values);
    expect(await valueOf(page, 'shown.faults')).toEqual([]);
  }
}

/** Links that are open at the server, by its own count. */
async function linkCount(server: LabServer): Promise<number> {
  const { text } = await server.get('/metrics');
  const counts = text.matchAll(/^trunkline_links\{[^}]*\} (\d+)$/gm);
  return [...counts].reduce((total, [, count]) => total + Number(count), 0);
}

/** The tab that has asked for an event stream. */
async function leaderOf(pages: readonly Page[]): Promise<Page> {
  for (const page of pages) {
    if ((await valueOf<number>(page, 'shown.streamCount')) > 0) return page;
  }
  throw new Error('expected a tab that has the connection');
}

test('seven tabs with a connection each are one too many', async () => {
  const { server, pages } = await openTabs('share=no');
  await expect
    .poll(async () => {
      const states = await Promise.all(pages.map((page) => valueOf(page, 'shown.line.state')));
      return states.filter((state) => state === 'connected').length;
    }, POLL)
    .toBe(TABS - 1);
  const left = pages.at(-1) ?? pages[0];
  if (left === undefined) throw new Error('expected tabs');
  const reasons = 'shown.line.explain().tried.map(({ reason }) => reason).join()';
  await expect.poll(() => valueOf(left, reasons), POLL).toContain('six connections');
  expect(await linkCount(server)).toBe(TABS - 1);
});

test('[GUA-3] [GUA-4] seven tabs that share receive over one connection', async () => {
  const { server, pages } = await openTabs('share=tabs');
  await areConnected(pages);
  await server.publish('room/1', 1, 2, 3);
  await haveGot(pages, [1, 2, 3]);
  expect(await linkCount(server)).toBe(1);
  expect(await valueOf(await leaderOf(pages), 'shown.line.transport')).toBe('shared');
});

test('[GUA-3] [GUA-4] nothing is lost or doubled when the tab that has the connection is closed', async () => {
  const { server, pages } = await openTabs('share=tabs');
  await areConnected(pages);
  const values: number[] = [];
  const publish = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index += 1) {
      values.push(values.length);
      await server.publish('room/1', values.length - 1);
    }
  };
  await publish(20);
  await haveGot(pages, values);
  while (pages.length > 4) {
    const leader = await leaderOf(pages);
    pages.splice(pages.indexOf(leader), 1);
    await Promise.all([publish(100), leader.close()]);
    await haveGot(pages, values);
  }
  await areConnected(pages);
  await expect.poll(() => linkCount(server), POLL).toBe(1);
});

test('[GUA-3] [GUA-4] a tab that is frozen with the connection loses it to another one', async () => {
  const { server, pages } = await openTabs('share=tabs');
  await areConnected(pages);
  await server.publish('room/1', 1);
  await haveGot(pages, [1]);
  const leader = await leaderOf(pages);
  const others = pages.filter((page) => page !== leader);
  const session = await leader.context().newCDPSession(leader);
  await session.send('Debugger.enable');
  await session.send('Debugger.pause');
  await server.publish('room/1', 2, 3);
  await haveGot(others, [1, 2, 3]);
  expect(await leaderOf(others)).toBeDefined();
  await session.send('Debugger.resume');
  await server.publish('room/1', 4);
  await haveGot(pages, [1, 2, 3, 4]);
  await expect.poll(() => linkCount(server), POLL).toBe(1);
});

test('[GUA-3] [GUA-4] tabs share the connection of a worker, whichever of them is closed', async () => {
  const { server, pages } = await openTabs('share=worker');
  await areConnected(pages);
  await server.publish('room/1', 1, 2);
  await haveGot(pages, [1, 2]);
  expect(await linkCount(server)).toBe(1);
  const [first, ...others] = pages.splice(0);
  pages.push(...others);
  await Promise.all([server.publish('room/1', 3, 4), first?.close()]);
  await haveGot(pages, [1, 2, 3, 4]);
  expect(await linkCount(server)).toBe(1);
});
