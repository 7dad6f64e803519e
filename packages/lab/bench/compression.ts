/**
 * Compression: what it costs to compress for many subscribers of one channel, as deliveries per
 * second of the server's CPU time.
 *
 *   node packages/lab/bench/compression.ts [--subscribers 300] [--seconds 4] [--rounds 3] [--size 200]
 *
 * `off`, `shared` (each batch deflated once for all) and `context` (deflated for each link) run in
 * turn, several times; the medians are compared. The server has core 0, the clients have core 1.
 * Each client counts its bytes, one inflates what it gets: a delivery counts when all clients have
 * the bytes of that one.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { DeflatingPeer } from '../src/deflating-peer.ts';
import { handshake, maskedFrame, OPCODE, WebSocketPeer } from '../src/web-socket.ts';

const MAIN = join(import.meta.dirname, '../../cli/src/main.ts');
const MODES = ['off', 'shared', 'context'] as const;
type Mode = (typeof MODES)[number];

/** Messages under way at any time. */
const WINDOW = 16;
const CHANNEL = 'prices';
/** A tick of the kernel's accounts. */
const TICKS_PER_SECOND = 100;

const { values } = parseArgs({
  options: {
    subscribers: { type: 'string', default: '300' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    size: { type: 'string', default: '200' },
  },
});
const subscribers = Number(values.subscribers);
const seconds = Number(values.seconds);
const size = Number(values.size);

interface Outcome {
  readonly perCpuSecond: number;
  readonly bytesPerDelivery: number;
  /** Of all clients, those that got what the first one got. */
  readonly complete: number;
}

function median(all: readonly Outcome[]): number {
  const sorted = all.map(({ perCpuSecond }) => perCpuSecond).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

async function measure(mode: Mode): Promise<Outcome> {
  const { child, port } = await serve(mode);
  const clients: Client[] = [];
  try {
    const reference = await DeflatingPeer.open(port);
    await reference.send({ type: 'subscribe', id: 1, channel: CHANNEL });
    await reference.nextOf('subscribed');
    for (let count = 0; count < subscribers; count += 1) clients.push(await Client.open(port));
    const publisher = await WebSocketPeer.open(port);
    await publisher.nextOf('welcome');
    const sizes = clients.map((client) => client.bytes);
    const cpuBefore = cpuSeconds(child);
    const published = await publish(publisher);
    let seen = 0;
    while (seen < published) {
      const { frames } = await reference.next();
      seen += frames.filter(({ type }) => type === 'message').length;
    }
    const cpu = cpuSeconds(child) - cpuBefore;
    const got = clients.map((client, index) => client.bytes - (sizes[index] ?? 0));
    reference[Symbol.dispose]();
    publisher[Symbol.dispose]();
    return {
      perCpuSecond: (published * subscribers) / cpu,
      bytesPerDelivery: (got[0] ?? 0) / published,
      complete: got.filter((bytes) => bytes === got[0]).length,
    };
  } finally {
    for (const client of clients) client.socket.destroy();
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
}

/** Publishes for a while, with `WINDOW` messages under way; resolves with how many there were. */
async function publish(peer: WebSocketPeer): Promise<number> {
  const endsAt = performance.now() + seconds * 1000;
  let id = 0;
  const send = (): void => {
    id += 1;
    peer.send({ type: 'publish', id, channel: CHANNEL, data: messageOf(id) });
  };
  for (let count = 0; count < WINDOW; count += 1) send();
  for (let acknowledged = 0; acknowledged < id; acknowledged += 1) {
    await peer.nextOf('published');
    if (performance.now() < endsAt) send();
  }
  return id;
}

/** A message as a feed of prices has it: names repeat, numbers do not. */
function messageOf(id: number): object {
  const rows = [];
  for (let row = 0; rows.length * 50 < size; row += 1) {
    const price = 100 + ((id * 7919 + row * 104_729) % 10_007) / 100;
    rows.push({ symbol: `S${(id + row) % 97}`, price, volume: (id * 31 + row * 17) % 9973 });
  }
  return rows;
}

/** A subscriber that counts what it gets and looks at none of it. */
class Client {
  readonly socket: Socket;
  bytes = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => (this.bytes += chunk.length));
    socket.on('error', () => {});
  }

  /** Resolves when it is subscribed. */
  static async open(port: number): Promise<Client> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const headers = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };
    socket.write(handshake(port, { headers }));
    socket.write(
      maskedFrame(
        OPCODE.text,
        Buffer.from(JSON.stringify({ type: 'subscribe', id: 1, channel: CHANNEL })),
      ),
    );
    const client = new Client(socket);
    let head = '';
    while (!head.includes('"subscribed"')) {
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      head += chunk.toString('latin1');
    }
    return client;
  }
}

async function serve(mode: Mode): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const ports = ['--port', '0', '--mqtt-port', '0'];
  const flags = ['--max-semi-space-size=4', MAIN, 'serve', '--dev', '--memory', ...ports];
  const child = spawn('taskset', ['-c', '0', process.execPath, ...flags], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      ...process.env,
      TRUNKLINE_LOG_LEVEL: 'warn',
      TRUNKLINE_COMPRESSION_WEB_SOCKET: mode,
    },
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /^ready http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port !== undefined) return { child, port: Number(port) };
  }
  throw new Error('the server did not start');
}

/** CPU time of a process and all its threads so far. */
function cpuSeconds({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

const outcomes: Record<Mode, Outcome[]> = { off: [], shared: [], context: [] };
for (let round = 1; round <= Number(values.rounds); round += 1) {
  for (const mode of MODES) {
    const outcome = await measure(mode);
    outcomes[mode].push(outcome);
    console.log(
      `${round} ${mode.padEnd(8)} ${outcome.perCpuSecond.toFixed(0).padStart(9)} deliveries per CPU second, ` +
        `${outcome.bytesPerDelivery.toFixed(1)} B each, ${outcome.complete} of ${subscribers} complete`,
    );
  }
}
const [off, shared, context] = MODES.map((mode) => median(outcomes[mode]));
console.log(`shared to context ${((shared ?? 0) / (context ?? 1)).toFixed(2)}`);
console.log(`shared to off     ${((shared ?? 0) / (off ?? 1)).toFixed(2)}`);
