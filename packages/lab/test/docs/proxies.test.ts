/**
 * The configurations of proxies that the guide shows, in front of a server: event streams are not
 * held back, WebSockets pass, and the page's own origin is let in. Where a proxy is not installed
 * there is nothing to try; Debian has them as nginx-light and haproxy.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSelfSigned } from '@trunkline/server/internal/tls/self-signed.ts';
import { describe, expect, test } from 'vitest';
import { Http2Peer, TextStream } from '../../src/http2-peer.ts';
import { freePort } from '../../src/node-process.ts';
import { readBlocks } from '../../src/pages.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { API_KEY } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

const PAGE = join(import.meta.dirname, '../../../../docs/guide/https-and-http2.md');
const KEY = { authorization: `Bearer ${API_KEY}` };

/** Where a proxy listens: with TLS, and without it for clients that have none. */
interface Ports {
  readonly secure: number;
  readonly plain: number;
}

/** What turns the page's configuration into one that runs here, and how it is run. */
interface Kind {
  readonly file: string;
  fill(text: string, ports: Ports): string;
  command(path: string): readonly [string, ...string[]];
}

const NGINX: Kind = {
  file: 'nginx.conf',
  fill(text, { secure, plain }) {
    const listen = `listen 127.0.0.1:${secure} ssl http2;\n  listen 127.0.0.1:${plain};`;
    const http = text.replace('listen 443 ssl http2;', listen);
    return `pid nginx.pid;\nevents {}\nhttp {\naccess_log off;\n${http}\n}\n`;
  },
  command: (path) => ['nginx', '-p', join(path, '..'), '-c', path, '-g', 'daemon off;'],
};

const HAPROXY: Kind = {
  file: 'haproxy.cfg',
  fill: (text, { secure, plain }) =>
    text.replace('bind :443', `bind 127.0.0.1:${plain}\n  bind 127.0.0.1:${secure}`),
  command: (path) => ['haproxy', '-db', '-f', path],
};

/** A proxy in front of a server. */
class Proxy implements AsyncDisposable {
  readonly ports: Ports;
  readonly #folder: string;
  readonly #child: ChildProcess;

  private constructor(ports: Ports, folder: string, child: ChildProcess) {
    this.ports = ports;
    this.#folder = folder;
    this.#child = child;
  }

  /** Starts it with the configuration of the page. */
  static async start(kind: Kind, server: LabServer): Promise<Proxy> {
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-proxy-'));
    const ports = { secure: await freePort(), plain: await freePort() };
    const { cert, key } = createSelfSigned(['localhost'], Date.now());
    writeFileSync(join(folder, 'example.pem'), cert);
    writeFileSync(join(folder, 'example.key'), key);
    writeFileSync(join(folder, 'example.both.pem'), `${cert}${key}`);
    const block = readBlocks(PAGE).find(({ file }) => file === kind.file);
    const text = (block?.text ?? '')
      .replaceAll('/etc/ssl', folder)
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${server.port}`);
    const path = join(folder, kind.file);
    writeFileSync(path, kind.fill(text, ports));
    const [program, ...args] = kind.command(path);
    return new Proxy(ports, folder, spawn(program, args, { stdio: 'ignore' }));
  }

  /** A session over TLS, as soon as the proxy listens and finds its server ready. */
  async connect(): Promise<Http2Peer> {
    let found: Http2Peer | undefined;
    const look = async (): Promise<number | undefined> => {
      found?.[Symbol.dispose]();
      const url = `https://localhost:${this.ports.secure}`;
      found = await Http2Peer.open(url, { rejectUnauthorized: false }).catch(() => undefined);
      return (await found?.ask('/readyz'))?.status;
    };
    await expect.poll(look, { timeout: 20_000, interval: 100 }).toBe(200);
    if (found === undefined) throw new Error('expected a session');
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await gone;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function isMissing(program: string): boolean {
  return spawnSync(program, ['-v'], { stdio: 'ignore' }).error !== undefined;
}

describe.each([
  { name: 'nginx', kind: NGINX },
  { name: 'haproxy', kind: HAPROXY },
])('behind $name', ({ name, kind }) => {
  test.skipIf(isMissing(name))(
    'event streams are not held back, and WebSockets and the own origin pass',
    async () => {
      await using server = await startServer({ auth: { apiKeys: [API_KEY] } });
      await using proxy = await Proxy.start(kind, server);
      using peer = await proxy.connect();
      const own = { ...KEY, origin: `https://localhost:${proxy.ports.secure}` };

      const path = { ':path': '/v1/sse?channel=proxied', ...own };
      const stream = new TextStream(peer.session.request(path));
      await stream.sees('event: open');
      expect(stream.headers['access-control-allow-origin']).toBe(own.origin);

      const page = { ...KEY, origin: `http://127.0.0.1:${proxy.ports.plain}` };
      using socket = await WebSocketPeer.open(proxy.ports.plain, { headers: page });
      await socket.nextOf('welcome');
      await socket.call({ type: 'subscribe', id: 1, channel: 'proxied' });
      const publish = { ':method': 'POST', 'content-type': 'application/json', ...own };
      const body = JSON.stringify({ channel: 'proxied', data: 'through' });
      const published = await peer.ask('/v1/publish', publish, body);
      expect(published.text).toContain('"offset":1');
      await stream.sees('data: "through"');
      expect(await socket.nextOf('message')).toMatchObject({ offset: 1, data: 'through' });
      expect(server.faults).toEqual([]);
    },
  );
});

test.skipIf(isMissing('haproxy'))('HAProxy carries WebSockets over HTTP/2', async () => {
  await using server = await startServer({ auth: { apiKeys: [API_KEY] } });
  const shared: Kind = {
    ...HAPROXY,
    fill: (text, ports) => HAPROXY.fill(text, ports).replace(' ws h1', ''),
  };
  for (const kind of [HAPROXY, shared]) {
    await using proxy = await Proxy.start(kind, server);
    using peer = await proxy.connect();
    const socket = await peer.webSocket('/v1/ws', KEY);
    expect(socket.headers[':status']).toBe(200);
    await socket.nextOf('welcome');
  }
});
