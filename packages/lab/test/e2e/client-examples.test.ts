/**
 * The examples of the client in Chromium: each does its one thing in two pages, and goes on over the
 * loss that belongs to it.
 */
import { once } from 'node:events';
import { globSync, readFileSync } from 'node:fs';
import { createServer, request as openHttp } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { CONFIG, EXAMPLES, serveExample } from '../../../../examples/run.ts';
import { ANSWER } from '../../../../examples/stream/backend.ts';
import { Chromium } from '../../src/chromium.ts';
import { ask } from '../../src/http.ts';
import { freePort, NodeProcess } from '../../src/node-process.ts';

const FOLDER = join(import.meta.dirname, '../../../../examples');
const POLL = { timeout: 30_000, interval: 50 };

/** What a browser says of a connection that is refused, and of a token of the server before. */
const EXPECTED = ['WebSocket connection to', '401 (Unauthorized)'];

let browser: Chromium;

beforeAll(async () => {
  browser = await Chromium.launch();
});

afterAll(() => browser[Symbol.asyncDispose]());

async function startServer(...flags: string[]): Promise<NodeProcess> {
  const server = await NodeProcess.start('--config', CONFIG, ...flags);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

/** Serves an example, until the test ends. @returns what opens a page of it. */
async function serve(
  name: string,
  url: string,
  mqtt?: string,
): Promise<(hash?: string) => Promise<Page>> {
  const example = await serveExample(name, mqtt === undefined ? { url } : { url, mqtt }, 0);
  onTestFinished(() => example[Symbol.asyncDispose]());
  return async (hash = '') => {
    const errors: string[] = [];
    const page = await browser.open(`${example.url}${hash}`, errors);
    onTestFinished(async () => {
      await page.close();
      expect(errors.filter((text) => !EXPECTED.some((known) => text.includes(known)))).toEqual([]);
    });
    return page;
  };
}

function textOf(page: Page, selector: string): Promise<string> {
  return page.locator(selector).innerText();
}

async function isConnected(page: Page, isSo = true): Promise<void> {
  const count = (): Promise<number> => page.locator('output.connected').count();
  await expect.poll(count, POLL).toBe(isSo ? 1 : 0);
}

describe('the chat', () => {
  async function enter(open: () => Promise<Page>, user: string): Promise<Page> {
    const page = await open();
    await page.evaluate(`sessionStorage.user = '${user}'`);
    await page.reload();
    await isConnected(page);
    return page;
  }

  async function say(page: Page, text: string): Promise<void> {
    await page.getByLabel('Message').fill(text);
    await page.keyboard.press('Enter');
  }

  async function shows(page: Page, said: readonly string[]): Promise<void> {
    const items = page.locator('#messages li');
    await expect.poll(async () => (await items.allTextContents()).toSorted(), POLL).toEqual(said);
  }

  test('tells who is there and who types, and loses nothing over a kill -9', async () => {
    const server = await startServer();
    const open = await serve('chat', server.url);
    const ada = await enter(open, 'Ada');
    const grace = await enter(open, 'Grace');
    for (const page of [ada, grace]) {
      const people = page.locator('#people li');
      const names = async () => (await people.allTextContents()).toSorted();
      await expect.poll(names, POLL).toEqual(['Ada', 'Grace']);
    }
    await ada.getByLabel('Message').pressSequentially('hm');
    await expect.poll(() => textOf(grace, '#typing'), POLL).toBe('Ada is typing …');
    expect(await textOf(ada, '#typing')).toBe('');
    await say(ada, 'one');
    await shows(grace, ['Adaone']);

    await server.kill();
    await isConnected(ada, false);
    await isConnected(grace, false);
    await say(ada, 'two');
    await say(grace, 'three');
    expect(await textOf(ada, 'output')).toContain('sending');
    await shows(ada, ['Adaone']);
    await server.start();
    for (const page of [ada, grace]) await shows(page, ['Adaone', 'Adatwo', 'Gracethree']);
    await expect.poll(() => textOf(ada, 'output'), POLL).not.toContain('sending');
  });

  test('begins with the newest messages and has the earlier ones on request', async () => {
    const server = await startServer();
    for (let count = 10; count < 40; count += 1) await server.publish('room/tea', `n${count}`);
    const open = await serve('chat', server.url);
    const page = await enter(open, 'Ada');
    const all = Array.from({ length: 30 }, (_, index) => `Guestn${index + 10}`);
    await shows(page, all.slice(10));
    await page.getByRole('button', { name: 'Earlier' }).click();
    await shows(page, all);
    expect(await page.locator('#messages li').allTextContents()).toEqual(all);
  });
});

test('the dashboard goes on over a kill -9 with every message once', async () => {
  const server = await startServer();
  const open = await serve('dashboard', server.url);
  const pages = [await open(), await open()];
  /** The points of the first curve, by their places in time. */
  const pointsOf = async (page: Page): Promise<number[]> => {
    const path = await page.locator('article path:not(.area)').first().getAttribute('d');
    return [...(path ?? '').matchAll(/([\d.]+),/g)].map(([, x]) => Number(x));
  };
  const showAll = async (): Promise<void> => {
    for (const page of pages) {
      await expect
        .poll(async () => {
          const answer = await ask(`${server.url}/v1/history?channel=system/metrics&last=1`);
          const { newest } = answer.json<{ newest: string }>();
          return (await pointsOf(page)).length - Number(newest.split(':')[1]);
        }, POLL)
        .toBe(0);
    }
  };
  await expect.poll(async () => (await pointsOf(pages[1]!)).length, POLL).toBeGreaterThan(2);
  await showAll();
  await server.kill();
  for (const page of pages) await isConnected(page, false);
  await server.start();
  const before = (await pointsOf(pages[0]!)).length;
  await expect.poll(async () => (await pointsOf(pages[0]!)).length, POLL).toBeGreaterThan(before);
  await showAll();
  for (const page of pages) {
    const points = await pointsOf(page);
    expect(points).toEqual([...new Set(points)].toSorted((one, other) => one - other));
    expect(await textOf(page, 'article:first-child strong')).toMatch(/^\d+ %$/);
  }
});

test('the answer goes on where it was when the page is reloaded in the middle of it', async () => {
  const server = await startServer();
  const open = await serve('stream', server.url);
  const asking = await open();
  const offset = async (): Promise<number> =>
    Number(/^token (\d+)/.exec(await textOf(asking, '#place'))?.[1] ?? 0);
  await asking.getByLabel('Question').fill('Why?');
  await asking.getByRole('button').click();
  await expect.poll(() => asking.url(), POLL).toContain('#answer/');
  const watching = await open(new URL(asking.url()).hash);
  for (const from of [10, 20, 30]) {
    await expect.poll(offset, POLL).toBeGreaterThan(from);
    await asking.reload();
    await expect.poll(() => textOf(asking, '#place'), POLL).toContain('resumed behind');
    expect(await asking.locator('#answer.busy').count()).toBe(1);
  }
  for (const page of [asking, watching]) {
    await expect.poll(() => page.locator('#answer.busy').count(), POLL).toBe(0);
    expect(await page.locator('#answer').textContent()).toBe(`Why?${ANSWER}`);
  }
  expect(await textOf(watching, '#place')).not.toContain('resumed');
});

test('an upload is seen by all, and gets to its end while the server is killed', async () => {
  const server = await startServer();
  const open = await serve('upload', server.url);
  const sending = await open();
  const watching = await open();
  const size = 3_000_000;
  const file = { name: 'tea.jpg', mimeType: 'image/jpeg', buffer: Buffer.alloc(size) };
  await sending.locator('input').setInputFiles(file);
  const valueOf = async (page: Page): Promise<number> =>
    page.locator('progress').evaluate((bar) => (bar as HTMLProgressElement).value);
  await expect.poll(() => watching.locator('progress').count(), POLL).toBe(1);
  await expect.poll(() => valueOf(watching), POLL).toBeGreaterThan(0);
  await server.kill();
  expect(await valueOf(watching)).toBeLessThan(size);
  await server.start();
  const later = await open();
  for (const page of [sending, watching, later]) {
    await expect.poll(() => page.locator('li.done').count(), POLL).toBe(1);
    expect(await textOf(page, 'li')).toContain('3.0 of 3.0 MB');
    expect(await valueOf(page)).toBe(size);
  }
});

test('cursors move over an event stream where a proxy refuses upgrades', async () => {
  const server = await startServer();
  const behind = await (await serve('cursors', await startProxy(server.url)))();
  const free = await (await serve('cursors', server.url))();
  await expect.poll(() => textOf(behind, 'output'), POLL).toBe('sse');
  await expect.poll(() => textOf(free, 'output'), POLL).toBe('websocket');
  await expect.poll(() => textOf(behind, '#why'), POLL).toContain('a proxy may block upgrades');
  for (const page of [behind, free]) {
    await expect.poll(() => textOf(page, '#count'), POLL).toBe('2 here');
  }
  for (const [moving, seeing] of [
    [behind, free],
    [free, behind],
  ] as const) {
    for (const x of [200, 640]) {
      const board = await moving.locator('#board').boundingBox();
      if (board === null) throw new Error('expected a board');
      await moving.mouse.move(x, board.y + 100);
      const percent = ((x - board.x) / board.width) * 100;
      const left = () => seeing.locator('#board span').evaluate((mark) => mark.style.left);
      await expect.poll(async () => Number.parseFloat(await left()), POLL).toBeCloseTo(percent, 3);
    }
    // A page shows one cursor at most: that of the other.
    expect(await moving.locator('#board span').count()).toBeLessThan(2);
  }
  for (const page of [behind, free]) {
    await expect.poll(() => page.locator('#board span').count(), POLL).toBe(0);
  }
});

test('sensors are told to be gone by their wills, and nothing is missed over a kill -9', async () => {
  const port = String(await freePort());
  const server = await startServer('--mqtt-port', port);
  const open = await serve('sensors', server.url, `mqtt://127.0.0.1:${port}`);
  const pages = [await open(), await open()];
  const tiles = (page: Page, kind: string): Promise<number> =>
    page.locator(`section button${kind}`).count();
  const shown = async (page: Page): Promise<number> =>
    Number(/^\d+/.exec(await textOf(page, '#total'))?.[0] ?? 0);
  const showMore = async (page: Page, more: number): Promise<void> => {
    const before = await shown(page);
    await expect.poll(() => shown(page), POLL).toBeGreaterThan(before + more);
  };
  for (const page of pages) {
    await expect.poll(() => tiles(page, ''), POLL).toBe(6);
    await showMore(page, 20);
  }
  const [watching] = pages as [Page, Page];
  await server.kill();
  await isConnected(watching, false);
  await server.start();
  for (const page of pages) {
    await isConnected(page);
    await showMore(page, 60);
    // Each came back before the server would have told its will.
    expect(await tiles(page, '.gone')).toBe(0);
  }

  await watching.locator('#kitchen').click();
  for (const page of pages) {
    await expect.poll(() => textOf(page, '#kitchen strong'), POLL).toBe('Gone');
    expect(await tiles(page, '.gone')).toBe(1);
  }
  await watching.locator('#kitchen').click();
  for (const page of pages) {
    await expect.poll(() => tiles(page, '.gone'), POLL).toBe(0);
    expect(await textOf(page, '#total')).toMatch(/^\d+ shown · 0 missed · 0 doubled$/);
  }

  // What it says of itself it would also deny.
  for (const count of [1, 2, 5, 5]) await server.publish('house/roof', { run: 1, count, value: 0 });
  await expect.poll(() => textOf(watching, '#total'), POLL).toMatch(/ 2 missed · 1 doubled$/);
});

/** A proxy that lets requests through and refuses upgrades, until the test ends. */
async function startProxy(target: string): Promise<string> {
  const proxy = createServer((incoming, outgoing) => {
    const { method = 'GET', headers, url = '/' } = incoming;
    const onward = openHttp(new URL(url, target), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  proxy.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

test('every page has under 100 lines, with the styles that they share', () => {
  for (const name of EXAMPLES) {
    // A device is a program of its own.
    const own = globSync(`${name}/*`, { cwd: FOLDER }).filter(
      (file) => !file.includes('sensor.ts'),
    );
    const files = ['style.css', ...own];
    const lines = files.flatMap((file) =>
      readFileSync(join(FOLDER, file), 'utf8').trimEnd().split('\n'),
    );
    expect(lines.length, name).toBeLessThan(100);
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(100);
  }
});

test('the server has a page that names them all with their commands', async () => {
  const server = await startServer();
  const errors: string[] = [];
  const page = await browser.open(`${server.url}/examples/client.html`, errors);
  const commands = await page.locator('dd').allTextContents();
  await page.close();
  expect(commands).toEqual(EXAMPLES.map((name) => `npm run example ${name}`));
  expect(errors.filter((text) => !text.includes('favicon'))).toEqual([]);
});
