/**
 * Runs one of the examples: `node examples/run.ts chat`. Starts a server in development mode, which
 * comes back when it is killed, and serves the page.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from '@trunkline/client';
import type { Line } from '@trunkline/client';
import { createServer } from 'vite';

const MAIN = join(import.meta.dirname, '../packages/cli/src/main.ts');

/** The examples, each in a folder of its name. */
export const EXAMPLES = ['chat', 'dashboard', 'stream', 'upload', 'cursors', 'sensors'];

/** What each example's server is told. */
export const CONFIG = join(import.meta.dirname, 'trunkline.yaml');

/** Where a server is. */
export interface Addresses {
  readonly url: string;
  /** Absent where the example has nothing to do with MQTT. */
  readonly mqtt?: string;
}

/**
 * What stands beside the page of an example, as an application's own server: answers `/api/…`.
 * `signal` says that the example ends.
 */
export type Backend = (
  line: Line,
  around: { readonly mqtt: string; readonly signal: AbortSignal },
) => (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** A page that is served. */
export interface ServedExample extends AsyncDisposable {
  readonly url: string;
}

/**
 * Serves the page of an example, and its `backend.ts` where it has one.
 *
 * @param port another one is taken where this one is in use.
 */
export async function serveExample(
  name: string,
  { url, mqtt = '' }: Addresses,
  port: number,
): Promise<ServedExample> {
  const path = join(import.meta.dirname, name, 'backend.ts');
  const line = existsSync(path) ? connect(url) : undefined;
  const ending = new AbortController();
  const { signal } = ending;
  const answer =
    line && ((await import(path)) as { readonly default: Backend }).default(line, { mqtt, signal });
  const vite = await createServer({
    configFile: false,
    root: import.meta.dirname,
    logLevel: 'error',
    server: { host: '127.0.0.1', port, watch: { ignored: ['**/packages/**'] } },
    // The page finds its server by this name.
    define: { 'import.meta.env.TRUNKLINE': JSON.stringify(url) },
    optimizeDeps: { noDiscovery: true },
    plugins: [
      {
        name: 'backend',
        configureServer({ middlewares }) {
          middlewares.use('/favicon.ico', (_request, response) => void response.end());
          if (answer === undefined) return;
          middlewares.use('/api', (request, response) => {
            answer(request, response).catch((error: unknown) => {
              console.error(error);
              response.destroy();
            });
          });
        },
      },
    ],
  });
  await vite.listen();
  const [origin = ''] = vite.resolvedUrls?.local ?? [];
  return {
    url: new URL(`${name}/`, origin).href,
    async [Symbol.asyncDispose]() {
      ending.abort();
      line?.close();
      await vite.close();
    },
  };
}

/** A server that is started again, on its port and with its data, when it was killed. */
class Server {
  readonly #data = mkdtempSync(join(tmpdir(), 'trunkline-example-'));
  #child: ChildProcess | undefined;
  #port = '0';
  #mqttPort = 'auto';

  /** @returns where it is. */
  async start(): Promise<Required<Addresses>> {
    const own = ['--port', this.#port, '--mqtt-port', this.#mqttPort, '--data', this.#data];
    const flags = [...own, '--config', CONFIG];
    const child = spawn(process.execPath, [MAIN, 'serve', ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    for await (const line of createInterface({ input: child.stdout })) {
      const [, url, mqtt] = /^ready (\S+) (mqtt:\S+)/.exec(line) ?? [];
      if (url === undefined || mqtt === undefined) continue;
      child.stdout.resume();
      this.#port = new URL(url).port;
      this.#mqttPort = new URL(mqtt).port;
      console.log(`server  ${url}, process ${child.pid}: kill -9 it and watch it come back`);
      child.once('exit', (code) => {
        // It ends well when it is asked to, as by a terminal that is interrupted.
        if (code !== 0) void this.start(); // A failure ends this process.
      });
      return { url, mqtt };
    }
    throw new Error('the server did not start');
  }

  /** Leaves nothing behind. */
  end(): void {
    this.#child?.kill('SIGKILL');
    rmSync(this.#data, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const [name = '', ...more] = process.argv.slice(2);
  if (!EXAMPLES.includes(name) || more.length > 0) {
    const given = [name || 'nothing', ...more].join(' ');
    console.error(`expected one of ${EXAMPLES.join(', ')}, and no flags, got ${given}`);
    process.exit(2);
  }
  const server = new Server();
  process.once('exit', () => server.end());
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit());
  const addresses = await server.start();
  const { url } = await serveExample(name, addresses, 5173);
  if (name === 'sensors') {
    const { port } = new URL(addresses.mqtt);
    console.log(`mqtt    ${addresses.mqtt}: mosquitto_sub -p ${port} -t '#' -v reads along`);
  }
  console.log(`page    ${url}`);
}
