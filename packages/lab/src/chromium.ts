/** Chromium from the system, headless, with a profile that is thrown away. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A browser for one test file. */
export class Chromium implements AsyncDisposable {
  readonly #context: BrowserContext;
  readonly #profile: string;

  private constructor(context: BrowserContext, profile: string) {
    this.#context = context;
    this.#profile = profile;
  }

  /** @param options `trustAll` takes certificates that nobody signed. */
  static async launch(options: { readonly trustAll?: boolean } = {}): Promise<Chromium> {
    const profile = mkdtempSync(join(tmpdir(), 'trunkline-chromium-'));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env['TRUNKLINE_CHROMIUM'] ?? '/usr/bin/chromium',
      args: FLAGS,
      headless: true,
      ignoreHTTPSErrors: options.trustAll ?? false,
    });
    return new Chromium(context, profile);
  }

  /** Opens a page; `errors` collects what it threw and what its policy forbade. */
  async open(url: string, errors: string[] = []): Promise<Page> {
    const page = await this.#context.newPage();
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      // Broken connections while the server is down are what the tests are about.
      const text = message.text();
      if (message.type() === 'error' && !text.includes('net::ERR_')) errors.push(text);
    });
    await page.goto(url);
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
    rmSync(this.#profile, { recursive: true, force: true });
  }
}
