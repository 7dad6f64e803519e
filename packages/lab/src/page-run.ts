/**
 * Page run: does what a page of the documentation tells its reader to do, in a folder of its own,
 * and holds what is printed against what the page says is printed.
 *
 * The page's address stands for that of a server on a free port, and so does that of MQTT. `k3f9` and `m7q2` stand for the
 * epochs that the server made, `~Aw1Yk` for a mark, a number of 13 digits for a time, and `…` for
 * anything. What a name stood for first, it stands for on the whole page.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Block } from './pages.ts';

const ROOT = join(import.meta.dirname, '../../..');
const MAIN = join(ROOT, 'packages/cli/src/main.ts');

/** A block that has not ended by then fails. */
const BLOCK_MS_MAX = 30_000;
/** A line that has not come by then is missing. */
const LINE_MS_MAX = 20_000;
/** A server or follower lives no longer than that, whatever happens to the test. */
const LIFE_MS_MAX = 120_000;
/** Where every page says that its server is. */
const ADDRESS = /(?:127\.0\.0\.1|localhost):8080/g;
/** Where every page says that MQTT is, as an address or as the flag of its usual clients. */
const MQTT_PORT = /(?<=(?:127\.0\.0\.1|localhost):|-p )1883\b/g;

/** What stands for something that a server makes up, as a pattern. */
const STAND_INS: ReadonlyMap<string, string> = new Map([
  ['k3f9', '[0-9A-Za-z_-]{1,32}'],
  ['m7q2', '[0-9A-Za-z_-]{1,32}'],
  ['~Aw1Yk', '~[0-9A-Za-z._~-]+'],
]);
const STAND_IN = /k3f9|m7q2|~Aw1Yk|…|\b\d{13}\b/g;

/** Something that runs beside the page, with all that it has printed. */
class Companion {
  readonly child: ChildProcess;
  readonly printed: string[] = [];
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.child = child;
    if (child.stdout === null) throw new Error('expected a pipe');
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Reads on until a line matches. @throws when none comes, or the program ends before. */
  async reach(what: string, pattern: RegExp): Promise<RegExpExecArray> {
    const late = once(AbortSignal.timeout(LINE_MS_MAX), 'abort').then(
      () => ({ done: true }) as const,
    );
    for (;;) {
      const line = await Promise.race([this.#lines.next(), late]);
      if (line.done === true) {
        throw new Error(`expected ${what}, got:\n${this.printed.join('\n')}`);
      }
      this.printed.push(line.value);
      const match = pattern.exec(line.value);
      if (match !== null) return match;
    }
  }

  /** Ends the program and what it has started. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { child } = this;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It has ended a moment ago; 'exit' follows.
    }
    await gone;
  }
}

/** A text as a pattern that matches it alone. */
function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}

/** One page while it is run. */
export class PageRun implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'trunkline-page-'));
  readonly #stoodFor = new Map<string, string>();
  readonly #followers: Companion[] = [];
  #server: Companion | undefined;
  #url = 'http://127.0.0.1:8080';
  /** Any free one, until the first server has one. */
  #mqttPort = 'auto';
  #printed = '';

  constructor() {
    mkdirSync(join(this.#folder, 'bin'));
    symlinkSync(join(ROOT, 'node_modules'), join(this.#folder, 'node_modules'));
    // `npx trunkline …` and `npm start -- …`, without the time that npm takes.
    this.#writeProgram('npx', `shift; exec '${process.execPath}' '${MAIN}' "$@"`);
    this.#writeProgram('npm', `shift 2; exec '${process.execPath}' '${MAIN}' serve "$@"`);
    this.#writeProgram('node', `exec '${process.execPath}' "$@"`);
  }

  /** Does what one block says. @throws when it fails or prints something else. */
  async step(block: Block): Promise<void> {
    const text = this.#filled(block.text);
    const { file = 'example.mjs' } = block;
    if (block.kind === 'file' || block.language === 'js') {
      writeFileSync(join(this.#folder, file), text);
    }
    const command = block.language === 'js' ? `node ${file}` : text;
    if (block.kind === 'run') this.#printed = await this.#run(command);
    else if (block.kind === 'serve') await this.#serve(command);
    else if (block.kind === 'follow') await this.#follow(command);
    else if (block.kind === 'output') this.#compare(text);
    else if (block.kind === 'followed') await this.#awaitLines(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const follower of this.#followers) await follower.end('SIGKILL');
    await this.#server?.end('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #run(command: string): Promise<string> {
    const child = this.#spawn(command, BLOCK_MS_MAX);
    const pieces: Buffer[] = [];
    child.stdout?.on('data', (piece: Buffer) => pieces.push(piece));
    const [code] = (await once(child, 'close')) as [number | null];
    const printed = Buffer.concat(pieces).toString('utf8');
    if (code !== 0) throw new Error(`ended with ${code ?? 'a signal'}:\n${command}\n${printed}`);
    return printed;
  }

  /** Starts the server, in place of the one before it and at its address. */
  async #serve(command: string): Promise<void> {
    const port = this.#server === undefined ? '0' : new URL(this.#url).port;
    await this.#server?.end('SIGTERM');
    const flags = command.startsWith('npm start\n') ? `-- --port ${port}` : `--port ${port}`;
    this.#server = new Companion(this.#spawn(`${command.trimEnd()} ${flags}`, LIFE_MS_MAX));
    const ready = /^ready (\S+)(?:.* mqtt:\/\/[^ :]+:(\d+))?/;
    const [, url = '', mqttPort] = await this.#server.reach('ready', ready);
    this.#url = url;
    this.#mqttPort = mqttPort ?? this.#mqttPort;
  }

  /** Starts a reader; what comes next finds it listening. */
  async #follow(command: string): Promise<void> {
    const follower = new Companion(this.#spawn(command, LIFE_MS_MAX));
    this.#followers.push(follower);
    await follower.reach('an opening', /: open at |^event: open|"kind":"open"|^open/);
  }

  /** Each expected line is printed after the one before it; others may be between them. */
  async #awaitLines(text: string): Promise<void> {
    const follower = this.#followers.at(-1);
    if (follower === undefined) throw new Error('expected a block that follows above');
    let from = 0;
    for (const line of text.trimEnd().split('\n')) {
      const pattern = this.#patternOf(line);
      const at = follower.printed.findIndex((one, index) => index >= from && pattern.test(one));
      const match =
        at < 0 ? await follower.reach(line, pattern) : pattern.exec(follower.printed[at] ?? '');
      this.#bind(line, match);
      from = at < 0 ? follower.printed.length : at + 1;
    }
  }

  #compare(expected: string): void {
    const printed = this.#printed.trimEnd().split('\n');
    const lines = expected.trimEnd().split('\n');
    for (const [index, line] of lines.entries()) {
      const match = this.#patternOf(line).exec(printed[index] ?? '');
      if (match === null || printed.length !== lines.length) {
        throw new Error(`expected:\n${expected}\ngot:\n${this.#printed}`);
      }
      this.#bind(line, match);
    }
  }

  /** A line of the page as a pattern, a group for each name that stands for something. */
  #patternOf(line: string): RegExp {
    const parts = line.split(STAND_IN).map((part) => escaped(part));
    const names = [...line.matchAll(STAND_IN)].map(([name]) => {
      const known = this.#stoodFor.get(name);
      if (known !== undefined) return `(${escaped(known)})`;
      return `(${STAND_INS.get(name) ?? (name === '…' ? '.*' : '\\d{13}')})`;
    });
    return new RegExp(`^${parts.map((part, index) => part + (names[index] ?? '')).join('')}$`);
  }

  #bind(line: string, match: RegExpExecArray | null): void {
    for (const [index, [name]] of [...line.matchAll(STAND_IN)].entries()) {
      const found = match?.[index + 1];
      if (found === undefined || !STAND_INS.has(name)) continue;
      for (const [other, value] of this.#stoodFor) {
        if (other !== name && value === found) throw new Error(`${name} is the same as ${other}`);
      }
      this.#stoodFor.set(name, found);
    }
  }

  /** The text with the real address, and with what its names stand for as far as that is known. */
  #filled(text: string): string {
    let filled = text
      .replaceAll(ADDRESS, new URL(this.#url).host)
      .replaceAll(MQTT_PORT, this.#mqttPort);
    for (const [name, value] of this.#stoodFor) filled = filled.replaceAll(name, value);
    return filled;
  }

  #spawn(command: string, timeout: number): ChildProcess {
    const { PATH = '' } = process.env;
    return spawn('bash', ['-euo', 'pipefail', '-c', `exec 2>&1\n${command}`], {
      cwd: this.#folder,
      env: {
        PATH: `${join(this.#folder, 'bin')}${delimiter}${PATH}`,
        HOME: this.#folder,
        TRUNKLINE_URL: this.#url,
        TRUNKLINE_MQTT_PORT: this.#mqttPort,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
      timeout,
    });
  }

  #writeProgram(name: string, script: string): void {
    const path = join(this.#folder, 'bin', name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
  }
}
