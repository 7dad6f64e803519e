/** The console page in Chromium: four panes, a cut, a move, a killed server, a phone's width. */
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { Chromium } from '../../src/chromium.ts';
import { NodeProcess } from '../../src/node-process.ts';

const TRANSPORTS = ['websocket', 'sse', 'long-poll', 'short-poll'] as const;

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
