/**
 * Joining: what it gives to write a link once a turn, for clients that follow many channels.
 *
 *   node packages/lab/bench/joining.ts [--clients 200] [--channels 20] [--seconds 3] [--rounds 5]
 *
 * Every client subscribes to all channels, by name or (`pattern`) by one pattern; publishers go
 * round the channels. `joined` is the server as it is, and so is `binary` with that encoding;
 * `apart` is the same server that writes every batch at once, as if there were no turn. They run
 * side by side in each round; deliveries per second of the server's CPU time are compared. The server has core 0, the clients have core 1.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { createServer, resolveConfig } from '@trunkline/server';
import { BINARY_SUBPROTOCOL, encodeBinaryCommand } from '@trunkline/wire';
import type { Command } from '@trunkline/wire';
import { StreamLink } from '@trunkline/server/internal/transports/stream-link.ts';
import { handshake, maskedFrame, OPCODE, WebSocketPeer } from '../src/web-socket.ts';

const MODES = ['joined', 'apart', 'pattern', 'binary'] as const;
type Mode = (typeof MODES)[number];

/** Messages under way at any time. */
const WINDOW = 64;
const TICKS_PER_SECOND = 100;

const { values } = parseArgs({
  options: {
    serve: { type: 'string' },
    clients: { type: 'string', default: '200' },
    channels: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
  },
});
const clientCount = Number(values.clients);
const channelCount = Number(values.channels);

if (values.serve === undefined) await compare();
else await serve(values.serve);

/** The server's side, in a process of its own. */
async function serve(mode: string): Promise<void> {
  if (mode === 'apart') {
    const { sendShared } = StreamLink.prototype;
    StreamLink.prototype.sendShared = function sendAtOnce(batch) {
      sendShared.call(this, batch, true);
    };
  }
  const server = { port: 0, mqtt: { port: 0 }, store: { memory: true } };
  const value = { ...server, dev: true, logLevel: 'silent' };
  const { config } = resolveConfig({ file: { path: 'the bench', value } });
  const { urls } = await createServer(config).start();
  console.log(urls[0]);
}

async function compare(): Promise<void> {
  const outcomes = new Map<Mode, number[]>(MODES.map((mode) => [mode, []]));
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    for (const mode of MODES) {
      const figure = await measure(mode);
      outcomes.get(mode)?.push(figure);
      console.log(`${round} ${mode.padEnd(8)} ${figure.toFixed(0)} deliveries per CPU second`);
    }
  }
  const [joined = 0, apart = 1, pattern = 0, binary = 0] = MODES.map((mode) =>
    median(outcomes.get(mode) ?? []),
  );
  console.log(`joined to apart   ${(joined / apart).toFixed(2)}`);
  console.log(`pattern to joined ${(pattern / joined).toFixed(2)}`);
  console.log(`binary to joined  ${(binary / joined).toFixed(2)}`);
}

async function measure(mode: Mode): Promise<number> {
  const { child, port } = await start(mode);
  const clients: Socket[] = [];
  try {
    for (let count = 0; count < clientCount; count += 1) {
      clients.push(await openClient(port, mode));
    }
    const reference = await WebSocketPeer.open(port);
    subscribe(reference, mode);
    await reference.nextOf('subscribed');
    const before = cpuSeconds(child);
    const published = await publish(port);
    for (let seen = 0; seen < published; seen += 1) await reference.nextOf('message');
    const cpu = cpuSeconds(child) - before;
    reference[Symbol.dispose]();
    return (published * (clientCount + 1)) / cpu;
  } finally {
    for (const client of clients) client.destroy();
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
}

/** Publishes for a while, round the channels; resolves with how many there were. */
async function publish(port: number): Promise<number> {
  const peer = await WebSocketPeer.open(port);
  const endsAt = performance.now() + Number(values.seconds) * 1000;
  let id = 0;
  const send = (): void => {
    id += 1;
    const channel = `many/${id % channelCount}`;
    peer.send({ type: 'publish', id, channel, data: 'x'.repeat(126) });
  };
  for (let count = 0; count < WINDOW; count += 1) send();
  for (let acknowledged = 0; acknowledged < id; acknowledged += 1) {
    await peer.nextOf('published');
    if (performance.now() < endsAt) send();
  }
  peer[Symbol.dispose]();
  return id;
}

function subscribe(peer: WebSocketPeer, mode: Mode): void {
  peer.send(...subscribes(mode));
}

/** The commands of one client. */
function subscribes(mode: Mode): readonly (Command & { type: 'subscribe' })[] {
  const names = Array.from({ length: channelCount }, (_, index) => `many/${index}`);
  const filters = mode === 'pattern' ? ['many/+'] : names;
  return filters.map((channel, index) => ({ type: 'subscribe', id: index + 1, channel }));
}

/** A client that reads and looks at nothing, once all its subscriptions are answered. */
async function openClient(port: number, mode: Mode): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  socket.on('error', () => {});
  socket.write(handshake(port, mode === 'binary' ? { subprotocol: BINARY_SUBPROTOCOL } : {}));
  for (const command of subscribes(mode)) {
    const frame =
      mode === 'binary'
        ? maskedFrame(OPCODE.binary, encodeBinaryCommand(command))
        : maskedFrame(OPCODE.text, Buffer.from(JSON.stringify(command)));
    socket.write(frame);
  }
  const answers = mode === 'pattern' ? 1 : channelCount;
  let text = '';
  while (text.split('"subscribed"').length <= answers) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    text += chunk.toString('latin1');
  }
  socket.resume();
  return socket;
}

async function start(mode: Mode): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const flags = ['--max-semi-space-size=4', import.meta.filename, '--serve', mode];
  const child = spawn('taskset', ['-c', '0', process.execPath, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    return { child, port: Number(new URL(line).port) };
  }
  throw new Error('the server did not start');
}

/** CPU time of a process and all its threads so far. */
function cpuSeconds({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? 0;
}
