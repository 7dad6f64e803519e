/**
 * HTTP/2 by clients that share no code with the server: Chromium over HTTPS, and Python's h2 with
 * wsproto.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Chromium } from '../../src/chromium.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';

const PYTHON = process.env['TRUNKLINE_PYTHON'] ?? '/usr/bin/python3';
const SCRIPT = join(import.meta.dirname, '../../src/http2_websocket.py');

/** More than the six connections that browsers open to an origin over HTTP/1.1. */
const STREAMS = 12;

let server: LabServer;
let plain: LabServer;
let folder: string;
let certificate: string;

beforeAll(async () => {
  server = await startServer({ tls: { dev: true } });
  plain = await startServer();
  folder = mkdtempSync(join(tmpdir(), 'trunkline-http2-'));
  certificate = join(folder, 'cert.pem');
  const socket = connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  writeFileSync(certificate, socket.getPeerX509Certificate()?.toString() ?? '');
  socket.destroy();
});

afterAll(async () => {
  expect([...server.faults, ...plain.faults]).toEqual([]);
  await server[Symbol.asyncDispose]();
  await plain[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** Evaluated in the browser: an echo, and the versions that the page knows of. */
async function echoInPage(text: string): Promise<{ echoed: string; protocols: string[] }> {
  const socket = new WebSocket(`wss://${location.host}/v1/echo`);
  const echoed = await new Promise<string>((resolve, reject) => {
    socket.onopen = () => socket.send(text);
    socket.onmessage = ({ data }) => resolve(String(data));
    socket.onclose = ({ code }) => reject(new Error(`closed ${code}`));
  });
  socket.close();
  const entries = [
    ...performance.getEntriesByType('navigation'),
    ...performance.getEntriesByType('resource'),
  ] as PerformanceResourceTiming[];
  return { echoed, protocols: entries.map(({ nextHopProtocol }) => nextHopProtocol) };
}

/** Evaluated in the browser: so many event streams, a message for all, and a request beside. */
async function streamsInPage(count: number): Promise<{ received: number[]; published: number }> {
  const sources = Array.from({ length: count }, () => new EventSource('/v1/sse?channel=page'));
  await Promise.all(
    sources.map(
      (source) =>
        new Promise<void>((resolve) => {
          source.addEventListener('open', (event) => {
            if (event instanceof MessageEvent) resolve();
          });
        }),
    ),
  );
  const all = Promise.all(
    sources.map(
      (source) =>
        new Promise<number>((resolve) => {
          source.onmessage = ({ data }) => resolve(Number(data));
        }),
    ),
  );
  const published = await fetch('/v1/publish', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ channel: 'page', data: 42 }),
  });
  const received = await all;
  for (const source of sources) source.close();
  return { received, published: published.status };
}

describe('Chromium over HTTPS', () => {
  test('[H2-1] [H2-4] opens a WebSocket and a dozen event streams in one session', async () => {
    await using browser = await Chromium.launch({ trustAll: true });
    const page = await browser.open(`https://localhost:${server.port}/healthz`);
    const devtools = await page.context().newCDPSession(page);
    const handshakes: number[] = [];
    devtools.on('Network.webSocketHandshakeResponseReceived', ({ response }) => {
      handshakes.push(response.status);
    });
    await devtools.send('Network.enable');
    const text = 'grüße '.repeat(5_000);
    const { echoed, protocols } = await page.evaluate(echoInPage, text);
    expect(echoed).toBe(text);
    expect(new Set(protocols)).toEqual(new Set(['h2']));
    // Over HTTP/1.1 it would be 101.
    expect(handshakes).toEqual([200]);
    const { received, published } = await page.evaluate(streamsInPage, STREAMS);
    expect(published).toBe(200);
    expect(received).toEqual(Array.from({ length: STREAMS }, () => 42));
  }, 60_000);
});

/** What the client in Python writes, line by line. */
async function python(args: readonly string[], input: string): Promise<string[]> {
  const child = spawn(PYTHON, [SCRIPT, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  const [out, complaints]: string[][] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => out?.push(chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => complaints?.push(chunk.toString()));
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`python ended with ${code}: ${complaints?.join('')}`);
  return (out ?? []).join('').trimEnd().split('\n');
}

describe('Python with h2 and wsproto', () => {
  test.each([
    ['without TLS', () => ['127.0.0.1', String(plain.port), '/v1/echo']],
    ['over TLS', () => ['localhost', String(server.port), '/v1/echo', certificate]],
  ])('[H2-3] [H2-4] echoes by an extended CONNECT %s', async (_how, args) => {
    const large = 'x'.repeat(400_000);
    const lines = await python(args(), `hello\n${large}\ngrüße\n`);
    expect(lines.map((line) => line.slice(0, 20))).toEqual(
      ['200', 'hello', large, 'grüße', 'closed 1000'].map((line) => line.slice(0, 20)),
    );
    expect(lines[2] === large).toBe(true);
  });

  test('[H2-4] is refused by a status', async () => {
    expect(await python(['127.0.0.1', String(plain.port), '/v1/nothing'], '')).toEqual(['404']);
  });
});
