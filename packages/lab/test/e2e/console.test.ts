/**
 * The console page in Chromium: five panes, patterns and encodings, who is there, a killed server,
 * a phone's width.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { Chromium } from '../../src/chromium.ts';
import { NodeProcess } from '../../src/node-process.ts';

const TRANSPORTS = ['websocket', 'sse', 'long-poll', 'short-poll', 'mqtt'] as const;

/** A config file with these namespaces, until the test ends. */
function configFile(namespaces: object): string {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-config-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'trunkline.json');
  writeFileSync(path, JSON.stringify({ namespaces }));
  return path;
}

/** Publishes from outside the page. */
async function publish(server: NodeProcess, ...messages: readonly object[]): Promise<void> {
  const response = await fetch(`${server.url}/v1/publish`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(messages),
  });
  expect(response.status).toBe(200);
}

/** Waits until every pane has received so many messages, and says that none is missed or doubled. */
async function expectReceived(page: Page, received: number): Promise<void> {
  for (const transport of TRANSPORTS) {
    await expect
      .poll(() => paneOf(page, transport), { timeout: 15_000, interval: 100 })
      .toMatchObject({ received, missed: 0, doubled: 0 });
  }
}

/** Waits until every pane says this in its badge. */
async function expectState(page: Page, state: string): Promise<void> {
  for (const transport of TRANSPORTS) {
    const badge = page.locator(`[data-transport="${transport}"] .badge`);
    await expect
      .poll(() => badge.getAttribute('data-state'), { timeout: 15_000, interval: 100 })
      .toBe(state);
  }
}

/** What a pane says of itself. */
async function paneOf(page: Page, transport: string) {
  const pane = page.locator(`[data-transport="${transport}"]`);
  const [received, missed, doubled] = await Promise.all(
    ['Received', 'Missed', 'Doubled'].map(async (label) => {
      const text = await pane.locator('dl div', { hasText: label }).locator('dd').textContent();
      return Number(text?.replaceAll(/\D/g, ''));
    }),
  );
  return {
    received: received ?? 0,
    missed,
    doubled,
    verdict: await pane.locator('.verdict').textContent(),
  };
}

/** Waits until every pane has received so many more messages; none is missed or doubled. */
async function expectProgress(page: Page, more: number): Promise<void> {
  const before = await Promise.all(TRANSPORTS.map((transport) => paneOf(page, transport)));
  for (const [index, transport] of TRANSPORTS.entries()) {
    await expect
      .poll(async () => (await paneOf(page, transport)).received, {
        timeout: 30_000,
        interval: 200,
      })
      .toBeGreaterThanOrEqual((before[index]?.received ?? 0) + more);
    expect(await paneOf(page, transport), transport).toMatchObject({ missed: 0, doubled: 0 });
  }
}

test('every pane is live, survives a cut and a killed server, and misses nothing', async () => {
  await using server = await NodeProcess.start();
  await using browser = await Chromium.launch();
  const errors: string[] = [];
  const page = await browser.open(server.url, errors);
  await expectProgress(page, 2);

  const sse = page.locator('[data-transport="sse"]');
  await sse.getByRole('button', { name: 'Cut' }).click();
  await page.waitForFunction(() =>
    /\d/.test(document.querySelector('[data-transport="websocket"]')?.textContent ?? ''),
  );
  const atCut = (await paneOf(page, 'sse')).received;
  await expect
    .poll(async () => (await paneOf(page, 'websocket')).received, { timeout: 30_000 })
    .toBeGreaterThan(atCut + 1);
  expect((await paneOf(page, 'sse')).received).toBe(atCut);
  await sse.getByRole('button', { name: 'Resume' }).click();
  await expect
    .poll(async () => (await paneOf(page, 'sse')).verdict, { timeout: 15_000 })
    .toMatch(/recovered/i);
  await expectProgress(page, 1);

  await server.kill();
  await server.start();
  await expectProgress(page, 2);
  for (const transport of TRANSPORTS) {
    expect((await paneOf(page, transport)).verdict, transport).toMatch(/recovered|now on/i);
  }
  expect(errors).toEqual([]);
}, 120_000);

test('every pane follows a pattern, in both encodings, over a killed server', async () => {
  await using server = await NodeProcess.start();
  await using browser = await Chromium.launch();
  const errors: string[] = [];
  const page = await browser.open(`${server.url}/?channel=room/%2B&channel=demo`, errors);
  await expectState(page, 'live');
  const room = (name: string, data: unknown) => ({ channel: `room/${name}`, data });
  await publish(server, room('1', 'a'), room('2', 'b'), { channel: 'demo', data: 'c' });
  await publish(server, { ...room('3', 'd'), event: 'typed' }, { channel: 'other', data: 'x' });
  await expectReceived(page, 4);

  const websocket = page.locator('[data-transport="websocket"]');
  for (const transport of ['WebSocket', 'Long polling']) {
    const choice = page.getByRole('group', { name: `Encoding of ${transport}` });
    await choice.getByRole('button', { name: 'Binary' }).click();
  }
  await expectState(page, 'live');
  await publish(server, room('2', { text: 'in binary' }));
  await expectReceived(page, 5);
  expect(await websocket.locator('.rows').textContent()).toContain('{"text":"in binary"}');
  expect(await websocket.locator('.way p').textContent()).toMatch(/^\d+ B each, HTTP\/1\.1$/);

  await server.kill();
  await expectState(page, 'reconnecting');
  await server.start();
  await publish(server, room('1', 'e'), room('4', 'f'), { channel: 'demo', data: 'g' });
  await expectReceived(page, 8);
  await expectState(page, 'live');
  for (const transport of TRANSPORTS) {
    expect((await paneOf(page, transport)).verdict, transport).toMatch(/recovered/i);
  }
  expect(errors).toEqual([]);
}, 60_000);

test('who follows a channel is seen by the others, until they leave', async () => {
  const config = configFile({ '#': { presence: { graceMs: 500 } } });
  await using server = await NodeProcess.start('--memory', '--config', config);
  await using browser = await Chromium.launch();
  const errors: string[] = [];
  const [page, other] = await Promise.all([
    browser.open(`${server.url}/?channel=room/42`, errors),
    browser.open(`${server.url}/?channel=room/42`, errors),
  ]);
  const people = page.getByRole('region', { name: 'Here now' });
  const count = people.locator('.room-count b');
  // Of each page what is always listed where it reads: its WebSocket and its session of MQTT.
  await expect.poll(() => count.textContent(), { timeout: 15_000 }).toBe('4');
  await expect
    .poll(async () => (await people.locator('.person-own').allTextContents()).toSorted())
    .toEqual(['you, MQTT', 'you, WebSocket']);

  await page.getByRole('checkbox', { name: 'List every pane' }).check();
  await expect.poll(() => count.textContent(), { timeout: 15_000 }).toBe('7');
  await other.close();
  await expect.poll(() => count.textContent(), { timeout: 15_000 }).toBe('5');
  expect(await people.locator('.comings').textContent()).toContain('left');
  expect(errors).toEqual([]);
}, 60_000);

test('what is published is answered, and retained where that was asked for', async () => {
  const config = configFile({ 'live/#': { volatile: true } });
  await using server = await NodeProcess.start('--memory', '--config', config);
  await using browser = await Chromium.launch();
  const errors: string[] = [];
  const page = await browser.open(`${server.url}/?channel=room/42`, errors);
  const form = page.getByRole('form', { name: 'Publish' });
  await form.getByRole('button', { name: 'Options' }).click();
  await form.getByRole('checkbox', { name: 'Retain' }).check();
  await form.getByRole('button', { name: 'Publish' }).click();
  const answer = form.getByRole('status');
  await expect.poll(() => answer.textContent()).toMatch(/^Stored at [\w-]+:1, \d+ ms$/);
  const retained = page.getByRole('region', { name: 'Retained' });
  await expect
    .poll(() => retained.getByRole('row').allTextContents())
    .toContainEqual('room/42{"text":"hello"}');
  await form.getByLabel('TTL in ms').fill('soon');
  await form.getByRole('button', { name: 'Publish' }).click();
  await expect.poll(() => answer.textContent()).toMatch(/^bad_request: ttl/);
  await form.getByLabel('TTL in ms').fill('');
  await form.getByLabel('Publish to').fill('live/cursor');
  await form.getByLabel('Slot, if volatile').fill('page');
  await form.getByRole('button', { name: 'Publish' }).click();
  await expect.poll(() => answer.textContent()).toMatch(/^Sent, volatile: nothing is kept, \d+ ms/);
  // A refusal is an answer; the browser logs its status all the same.
  expect(errors.filter((text) => !text.includes('400'))).toEqual([]);
}, 60_000);

test('nothing overflows at a phone’s width', async () => {
  await using server = await NodeProcess.start('--memory');
  await using browser = await Chromium.launch();
  const page = await browser.open(server.url);
  await page.setViewportSize({ width: 390, height: 844 });
  await expectProgress(page, 1);
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  expect(overflow).toBe(0);
}, 60_000);
