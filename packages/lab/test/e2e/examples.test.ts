/**
 * The example pages in Chromium, all four transports on one channel: nothing missed and nothing
 * twice while the server is killed with SIGKILL, and again while it drains.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Chromium } from '../../src/chromium.ts';
import { NodeProcess } from '../../src/node-process.ts';

const NAMES = ['websocket', 'eventsource', 'fetch', 'xhr'] as const;
const FOLDER = join(import.meta.dirname, '../../../../examples/browser');

async function offsetsOf(page: Awaited<ReturnType<Chromium['open']>>): Promise<number[]> {
  const texts = await page.locator('#messages li').allTextContents();
  return texts.map((text) => Number.parseInt(text, 10));
}

test.each([
  ['HTTP/1.1', []],
  ['HTTPS and HTTP/2', ['--tls-dev']],
])(
  'over %s four transports with bare browser calls go on where they were',
  async (_versions, flags) => {
    await using server = await NodeProcess.start(...flags);
    await using browser = await Chromium.launch({ trustAll: true });
    const errors: string[] = [];
    const pages = await Promise.all(
      NAMES.map((name) =>
        browser.open(`${server.url}/examples/${name}.html?channel=room/1`, errors),
      ),
    );
    let published = 0;
    const publish = async (count: number): Promise<void> => {
      for (let done = 0; done < count; done += 1) {
        published += 1;
        await server.publish('room/1', { n: published });
      }
    };
    // Each page says where it begins only by what it shows: wait until all get what is published.
    await expect
      .poll(
        async () => {
          await server.publish('room/1', 'warm-up');
          return Promise.all(pages.map(async (page) => (await offsetsOf(page)).length > 0));
        },
        { timeout: 20_000, interval: 200 },
      )
      .toEqual([true, true, true, true]);
    const firsts = await Promise.all(pages.map(async (page) => (await offsetsOf(page))[0] ?? 0));
    const base = Number((await server.publish('room/1', 'base')).split(':')[1]);
    published = 0;

    const settled = async (): Promise<void> => {
      const top = base + published;
      for (const [index, page] of pages.entries()) {
        await page.waitForFunction(
          (last) => {
            const items = document.querySelectorAll('#messages li');
            return Number.parseInt(items[items.length - 1]?.textContent ?? '0', 10) >= last;
          },
          top,
          { timeout: 30_000 },
        );
        const first = firsts[index] ?? 0;
        const expected = Array.from({ length: top - first + 1 }, (_, step) => first + step);
        expect(await offsetsOf(page), NAMES[index]).toEqual(expected);
      }
    };
    await publish(20);
    await settled();

    await server.kill();
    await server.start();
    await publish(20);
    await settled();

    const exit = await server.terminate();
    expect(exit).toBe(0);
    await server.start();
    await publish(20);
    await settled();
    expect(errors).toEqual([]);
  },
  120_000,
);

test('every example is a complete page of under 30 lines', () => {
  for (const name of NAMES) {
    const lines = readFileSync(join(FOLDER, `${name}.html`), 'utf8')
      .trimEnd()
      .split('\n');
    expect(lines.length, name).toBeLessThan(30);
    expect(lines[0]).toBe('<!doctype html>');
  }
});

test('the examples work from another origin, as CORS allows it', async () => {
  await using server = await NodeProcess.start();
  await using other = await NodeProcess.start('--memory');
  await using browser = await Chromium.launch();
  await server.publish('room/1', 'before');
  for (const name of NAMES) {
    const page = await browser.open(
      `${other.url}/examples/${name}.html?server=${server.url}&channel=room/1`,
    );
    await expect
      .poll(
        async () => {
          await server.publish('room/1', name);
          return (await offsetsOf(page)).length;
        },
        { timeout: 20_000, interval: 200 },
      )
      .toBeGreaterThan(0);
  }
}, 120_000);
