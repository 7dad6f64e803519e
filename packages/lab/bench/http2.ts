/**
 * Bench of HTTP/2 and TLS against HTTP/1.1, as ratios in one run: deliveries per second of the
 * server's CPU time, and memory of idle streams.
 *
 *   node packages/lab/bench/http2.ts [--rounds 3] [--seconds 3] [--subscribers 1000] [--idle 2000]
 *     [--case NAME …]
 *
 * Server on core 0, this client on core 1. The client speaks frames itself and only counts what it
 * gets, so that it is not what is measured. 16 messages of 128 bytes are under way at any time; one
 * is done when all subscribers have it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { connect as connectPlain, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { parseArgs } from 'node:util';
import { FLAG, FRAME, frame, literals, number32, PREFACE, settings } from '../src/http2-frames.ts';
import { handshake, maskedFrame, OPCODE } from '../src/web-socket.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    subscribers: { type: 'string', default: '1000' },
    idle: { type: 'string', default: '2000' },
    case: { type: 'string', multiple: true },
  },
});

const MAIN = join(import.meta.dirname, '../../cli/src/main.ts');
const WINDOW = 16;
const MARK = Buffer.from('TS=');
const PAYLOAD = `TS=${'x'.repeat(125)}`;
/** No more than half of what a window may be: what is granted anew must never be more than that. */
const GRANTED_SIZE = 2 ** 30;
/** Session window that is granted anew whenever so much of it was used. */
const REGRANT_SIZE = 2 ** 20;

/** What is compared. */
interface Variant {
  readonly name: string;
  readonly transport: 'ws' | 'sse';
  readonly tls: boolean;
  /** Streams of one HTTP/2 session; 0 for HTTP/1.1. */
  readonly perSession: number;
}

const VARIANTS: readonly Variant[] = (['ws', 'sse'] as const).flatMap((transport) =>
  [false, true].flatMap((tls) => [
    { name: `${transport} h1${tls ? ' tls' : ''}`, transport, tls, perSession: 0 },
    { name: `${transport} h2 shared${tls ? ' tls' : ''}`, transport, tls, perSession: 250 },
    { name: `${transport} h2 alone${tls ? ' tls' : ''}`, transport, tls, perSession: 1 },
  ]),
);

/** Deliveries of all connections. */
class Counter {
  deliveries = 0;
  onDeliveries: () => void = () => {};

  /** Counts in whatever comes on `socket` from now on. */
  watch(socket: Socket): void {
    const finder = new Finder(MARK);
    socket.on('data', (chunk: Buffer) => {
      const found = finder.count(chunk);
      if (found === 0) return;
      this.deliveries += found;
      this.onDeliveries();
    });
  }
}

/**
 * Finds a text in the pieces of a stream. What is under way is too little for the server to divide
 * a message between two frames, so the text stands whole.
 */
class Finder {
  readonly #text: Buffer;
  #rest = Buffer.alloc(0);

  constructor(text: Buffer) {
    this.#text = text;
  }

  count(chunk: Buffer): number {
    const text = this.#text;
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let found = 0;
    let from = 0;
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, from)) {
      found += 1;
      from = at + text.length;
    }
    this.#rest = Buffer.from(bytes.subarray(Math.max(from, bytes.length - text.length + 1)));
    return found;
  }
}

function dial(port: number, tls: boolean, protocol: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port };
    const socket = tls
      ? connectTls({ ...options, rejectUnauthorized: false, ALPNProtocols: [protocol] })
      : connectPlain(options);
    socket.setNoDelay(true);
    socket.once(tls ? 'secureConnect' : 'connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Resolves when `text` was seen so often in what comes. */
function seen(socket: Socket, text: string, times: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = times;
    const finder = new Finder(Buffer.from(text));
    const onData = (chunk: Buffer): void => {
      left -= finder.count(chunk);
      if (left > 0) return;
      socket.removeListener('data', onData);
      resolve();
    };
    socket.on('data', onData);
    socket.once('close', () => reject(new Error('the server closed')));
  });
}

const SUBSCRIBE = maskedFrame(
  OPCODE.text,
  Buffer.from('{"type":"subscribe","id":1,"channel":"c"}'),
);

/** A request for a stream of HTTP/1.1. */
function http1Request(port: number, { transport }: Variant): Buffer {
  if (transport === 'ws') return Buffer.concat([Buffer.from(handshake(port)), SUBSCRIBE]);
  return Buffer.from(`GET /v1/sse?channel=c HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
}

/** The same for a stream of HTTP/2. */
function http2Request(stream: number, port: number, { transport, tls }: Variant): Buffer {
  const common = [
    [':scheme', tls ? 'https' : 'http'],
    [':authority', `127.0.0.1:${port}`],
  ] as const;
  if (transport === 'sse') {
    const header = [[':method', 'GET'], ...common, [':path', '/v1/sse?channel=c']] as const;
    return frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, stream, literals(header));
  }
  const header = [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    ...common,
    [':path', '/v1/ws'],
    ['sec-websocket-version', '13'],
  ] as const;
  return Buffer.concat([
    frame(FRAME.headers, FLAG.endHeaders, stream, literals(header)),
    frame(FRAME.data, 0, stream, SUBSCRIBE),
  ]);
}

/** Opens so many subscribers, all of them subscribed, and counts what they get. */
async function subscribe(
  port: number,
  variant: Variant,
  subscribers: number,
  counter: Counter,
): Promise<Socket[]> {
  const ready = variant.transport === 'ws' ? '"subscribed"' : 'event: open';
  const sockets: Socket[] = [];
  const perSocket = Math.max(1, variant.perSession);
  for (let left = subscribers; left > 0; left -= perSocket) {
    const streams = Math.min(left, perSocket);
    const socket = await dial(port, variant.tls, variant.perSession === 0 ? 'http/1.1' : 'h2');
    const all = seen(socket, ready, streams);
    if (variant.perSession === 0) socket.write(http1Request(port, variant));
    else beginHttp2(socket, port, variant, streams);
    await all;
    counter.watch(socket);
    sockets.push(socket);
  }
  return sockets;
}

function beginHttp2(socket: Socket, port: number, variant: Variant, streams: number): void {
  const grant = (size: number): Buffer => frame(FRAME.windowUpdate, 0, 0, number32(size));
  const requests = Array.from({ length: streams }, (_, at) =>
    http2Request(2 * at + 1, port, variant),
  );
  socket.write(
    Buffer.concat([
      Buffer.from(PREFACE),
      frame(FRAME.settings, 0, 0, settings([4, GRANTED_SIZE])),
      frame(FRAME.settings, FLAG.ack, 0),
      grant(GRANTED_SIZE),
      ...requests,
    ]),
  );
  let granted = 0;
  socket.on('data', () => {
    if (socket.bytesRead - granted < REGRANT_SIZE) return;
    socket.write(grant(socket.bytesRead - granted));
    granted = socket.bytesRead;
  });
}

/** Publishes for so long, always with so many messages under way. @returns deliveries. */
async function publish(
  port: number,
  tls: boolean,
  counter: Counter,
  subscribers: number,
  ms: number,
): Promise<number> {
  const socket = await dial(port, tls, 'http/1.1');
  const welcome = seen(socket, '"welcome"', 1);
  socket.write(handshake(port));
  await welcome;
  socket.resume();
  const one = Buffer.from(JSON.stringify({ type: 'publish', channel: 'c', data: PAYLOAD }));
  const message = maskedFrame(OPCODE.text, one);
  const start = counter.deliveries;
  const until = performance.now() + ms;
  let published = 0;
  await new Promise<void>((resolve) => {
    const goOn = (): void => {
      const done = Math.floor((counter.deliveries - start) / subscribers);
      if (performance.now() > until) {
        if (done === published) resolve();
        return;
      }
      const count = done + WINDOW - published;
      if (count <= 0) return;
      published += count;
      socket.write(Buffer.concat(Array.from({ length: count }, () => message)));
    };
    counter.onDeliveries = goOn;
    goOn();
  });
  socket.destroy();
  return counter.deliveries - start;
}

/** A server on core 0. */
async function withServer<T>(
  tls: boolean,
  use: (port: number, pid: number) => Promise<T>,
): Promise<T> {
  const ports = ['--port', '0', '--mqtt-port', '0'];
  const flags = ['serve', '--dev', '--memory', ...ports, ...(tls ? ['--tls-dev'] : [])];
  const node = [process.execPath, '--max-semi-space-size=4', MAIN, ...flags];
  const child: ChildProcess = spawn('taskset', ['-c', '0', ...node], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, TRUNKLINE_LOG_LEVEL: 'silent' },
  });
  try {
    return await use(await portOf(child), child.pid ?? 0);
  } finally {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
}

async function portOf(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error('expected the output of the server');
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /^ready (\S+)/.exec(line)?.[1];
    if (url !== undefined) {
      child.stdout.resume();
      return Number(new URL(url).port);
    }
  }
  throw new Error('the server did not get ready');
}

/** Seconds of CPU time, user and system. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Bytes of user memory that are the process's own. */
function memoryOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1]) * 1024;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const WARM_MS = 1000;

async function deliveries(variant: Variant): Promise<number> {
  const subscribers = Number(values.subscribers);
  return withServer(variant.tls, async (port, pid) => {
    const counter = new Counter();
    const sockets = await subscribe(port, variant, subscribers, counter);
    await publish(port, variant.tls, counter, subscribers, WARM_MS);
    const before = cpuSeconds(pid);
    const ms = Number(values.seconds) * 1000;
    const count = await publish(port, variant.tls, counter, subscribers, ms);
    const rate = count / (cpuSeconds(pid) - before);
    for (const socket of sockets) socket.destroy();
    return rate;
  });
}

async function idleBytes(variant: Variant): Promise<number> {
  const count = Number(values.idle);
  return withServer(variant.tls, async (port, pid) => {
    const counter = new Counter();
    const warm = await subscribe(port, variant, Math.min(500, count), counter);
    for (const socket of warm) socket.destroy();
    await pause(1500);
    const before = memoryOf(pid);
    const sockets = await subscribe(port, variant, count, counter);
    await pause(3000);
    const bytes = (memoryOf(pid) - before) / count;
    for (const socket of sockets) socket.destroy();
    return bytes;
  });
}

function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;
}

function show(value: number): string {
  return Math.round(value).toLocaleString('en');
}

// This client on core 1.
execFileSync('taskset', ['-cp', '1', String(process.pid)], { stdio: 'ignore' });
const wanted = VARIANTS.filter(({ name }) => values.case?.includes(name) ?? true);
const rates = new Map(wanted.map(({ name }): [string, number[]] => [name, []]));
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const variant of wanted) rates.get(variant.name)?.push(await deliveries(variant));
}
for (const { name, transport } of wanted) {
  const first = median(rates.get(`${transport} h1`) ?? []);
  const own = median(rates.get(name) ?? []);
  console.log(`${name}: ${show(own)} deliveries per CPU second, ${(own / first).toFixed(2)} of h1`);
}
if (Number(values.idle) > 0) {
  for (const variant of wanted) {
    console.log(`${variant.name}: ${show(await idleBytes(variant))} bytes of each idle stream`);
  }
}
