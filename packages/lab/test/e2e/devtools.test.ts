/** The overlay for developers in Chromium, on a page of another origin that loads it from the server. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { Chromium } from '../../src/chromium.ts';
import { NodeProcess } from '../../src/node-process.ts';

const POLL = { timeout: 20_000, interval: 50 };
/** No inline style is allowed, as on a page that is careful. */
const POLICY = "default-src 'none'; script-src http: 'nonce-a'; connect-src http: ws:";

let browser: Chromium;

beforeAll(async () => {
  browser = await Chromium.launch();
});

afterAll(() => browser[Symbol.asyncDispose]());

/** A page with an overlay on a line that reads two channels, one of them twice. */
async function openPage(server: string, errors: string[]): Promise<Page> {
  const html = `<!doctype html><html lang="en"><title>An application</title>
    <body><h1>An application</h1><script type="module" nonce="a">
      import { connect, longPoll, sse, websocket } from '${server}/client.js';
      import { attachDevtools } from '${server}/client/devtools.js';
      const line = connect('${server}', { transports: [websocket, sse, longPoll] });
      for (const name of ['room/42', 'room/42', 'metrics/+'])
        line.channel(name).subscribe({ onMessage: () => {}, onGap: () => {} });
      Object.assign(globalThis, { line, devtools: attachDevtools(line) });
    </script>`;
  const pages = createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.setHeader('content-security-policy', POLICY);
    response.end(html);
  });
  pages.listen(0, '127.0.0.1');
  await once(pages, 'listening');
  onTestFinished(() => {
    pages.closeAllConnections();
    pages.close();
  });
  return browser.open(`http://127.0.0.1:${(pages.address() as AddressInfo).port}/`, errors);
}

/** Takes a picture where the caller wants to look at one. */
async function look(page: Page, name: string): Promise<void> {
  const folder = process.env['TRUNKLINE_PICTURES'];
  if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png` });
}

test('the overlay shows the connection, the channels and what happened to them', async () => {
  await using server = await NodeProcess.start();
  const errors: string[] = [];
  const page = await openPage(server.url, errors);
  const button = page.getByRole('button', { name: /Trunkline/ });
  const overlay = page.getByRole('region', { name: 'Trunkline' });
  const text = (): Promise<string> => overlay.innerText();

  await expect.poll(text, POLL).toContain('connected over websocket');
  expect(await text()).not.toContain('Channels');
  await look(page, 'closed');
  await button.press('Enter');
  expect(await button.getAttribute('aria-expanded')).toBe('true');
  await expect.poll(text, POLL).toContain('Channels (2)');

  await server.publish('room/42', 'a');
  await server.publish('room/42', 'b');
  await server.publish('metrics/cpu', 'c');
  const counts = (): Promise<unknown> =>
    page.evaluate('devtools.read().channels.map((one) => [one.name, one.readers, one.count])');
  await expect.poll(counts, POLL).toEqual([
    ['room/42', 2, 2],
    ['metrics/+', 1, 1],
  ]);
  await expect.poll(text, POLL).toMatch(/room\/42[^]*2 messages[^]*lag \d+ ms[^]*2 readers/);
  expect(await text()).toMatch(/sse\s+not tried: nothing speaks against it/);

  await server.kill();
  await expect.poll(text, POLL).toContain('connecting');
  await look(page, 'connecting');
  await server.start();
  await expect.poll(text, POLL).toContain('1 reconnect');
  expect(await text()).toMatch(/lost: closed with 1006[^]*connected over websocket/);
  await expect.poll(text, POLL).toMatch(/live[^]*live/);

  await look(page, 'light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await look(page, 'dark');
  await button.press('Escape');
  expect(await button.getAttribute('aria-expanded')).toBe('false');
  await page.evaluate('devtools.detach()');
  expect(await overlay.count()).toBe(0);
  await server.publish('room/42', 'd');
  await expect.poll(() => page.evaluate('devtools.read().channels[0].after'), POLL).toMatch(/:3$/);
  expect(errors).toEqual([]);
});
