/** NodeProcess: the server as its users run it, a process of its own that can be killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as openHttp } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as openHttps } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { json } from 'node:stream/consumers';

const MAIN = join(import.meta.dirname, '../../cli/src/main.ts');

/** A server process on a port and a folder of its own; both stay the same over restarts. */
export class NodeProcess implements AsyncDisposable {
  readonly port: number;
  readonly data: string;
  readonly #flags: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(port: number, data: string, flags: readonly string[]) {
    this.port = port;
    this.data = data;
    this.#flags = flags;
  }

  /**
   * Starts a server; resolves when it has said that it is ready.
   *
   * @param flags of `trunkline serve`; with `--tls-dev` it is asked over HTTPS.
   */
  static async start(...flags: string[]): Promise<NodeProcess> {
    const data = mkdtempSync(join(tmpdir(), 'trunkline-e2e-'));
    const server = new NodeProcess(await freePort(), data, flags);
    await server.start();
    return server;
  }

  get url(): string {
    return `${this.#isSecure ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  /** Starts again after a `kill` or `terminate`. */
  async start(): Promise<void> {
    // Of a flag that is given twice the last one counts.
    const own = ['--port', String(this.port), '--mqtt-port', '0', '--data', this.data];
    const args = ['serve', ...own, ...this.#flags];
    const child = spawn(process.execPath, ['--max-semi-space-size=4', MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const complaints: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => complaints.push(chunk.toString()));
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.startsWith('ready ')) return;
    }
    throw new Error(`the server did not get ready: ${complaints.join('')}`);
  }

  /** As a crash does it: at once, without a goodbye. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Drains. @returns the exit code. */
  async terminate(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  /** Publishes JSON. @returns the position. */
  async publish(channel: string, data: unknown): Promise<string> {
    const open = this.#isSecure ? openHttps : openHttp;
    const headers = { 'content-type': 'application/json' };
    // Nobody signed the certificate that `--tls-dev` makes.
    const options = { method: 'POST', headers, rejectUnauthorized: false };
    const request = open(`${this.url}/v1/publish`, options);
    request.end(JSON.stringify({ channel, data }));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const answer = (await json(response)) as { position?: string };
    if (answer.position === undefined) throw new Error(JSON.stringify(answer));
    return answer.position;
  }

  get #isSecure(): boolean {
    return this.#flags.includes('--tls-dev');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.data, { recursive: true, force: true });
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const gone = once(child, 'exit') as Promise<[number | null]>;
    child.kill(signal);
    const [code] = await gone;
    return code;
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  return address.port;
}
