/**
 * Bench: the budgets of the design, measured as ratios to a peer in the same run: a limit server, and
 * for MQTT the broker mosquitto, where it is installed.
 *
 *   npm run bench -- --generator PATH --limit PATH [--case NAME …] [--pairs 9] [--seconds 3]
 *
 * The generator makes the load and prints one JSON line; the limit server is about the least that a
 * server can do. Peer and server run in turn, on core 0 with the generator on core 1, and each
 * ratio is that of two neighbouring runs. Peer against peer is the noise of the machine.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { CASES } from './cases.ts';
import type { Aim, Case } from './cases.ts';

const run = promisify(execFile);
const HAS_MOSQUITTO = spawnSync('mosquitto', ['-h']).error === undefined;
const MAIN = join(import.meta.dirname, '../../cli/src/main.ts');

const { values } = parseArgs({
  options: {
    generator: { type: 'string' },
    limit: { type: 'string' },
    case: { type: 'string', multiple: true },
    pairs: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '3' },
    verbose: { type: 'boolean', default: false },
  },
});

if (values.generator === undefined) {
  console.error('bench: --generator PATH is missing: the program that makes the load');
  process.exit(2);
}
const generator = values.generator;
const seconds = Number(values.seconds);
const pairs = Number(values.pairs);
const wanted = CASES.filter(({ name }) => values.case?.includes(name) ?? true);

for (const one of wanted) await measure(one);

/** What a case is compared with. */
interface Peer {
  readonly name: string;
  /** Starts it, measures the load of the case at it, and ends it. */
  figure(): Promise<number>;
}

async function measure(one: Case): Promise<void> {
  console.log(`\n${one.name}: ${one.what}`);
  const peer = peerOf(one);
  if (peer === undefined) {
    const figures: number[] = [];
    for (let round = 0; round < Math.min(pairs, 3); round += 1) {
      figures.push(await withTrunkline(one, (aim) => load(one.load(aim), one)));
    }
    console.log(`  ${format(figures)} ${one.unit}`);
    return;
  }
  const { name } = peer;
  const figures: number[] = [];
  const others: number[] = [];
  const ratios: number[] = [];
  const noise: number[] = [];
  for (let round = 0; round < pairs; round += 1) {
    const first = await peer.figure();
    const own = await withTrunkline(one, (aim) => load(one.load(aim), one));
    const second = await peer.figure();
    figures.push(own);
    others.push(first, second);
    ratios.push(own / first, own / second);
    noise.push(second / first);
    process.stdout.write(
      `  pair ${round + 1}/${pairs}: ${(own / first).toFixed(2)} ${(own / second).toFixed(2)}\n`,
    );
  }
  console.log(`  trunkline ${format(figures)} ${one.unit}`);
  console.log(`  ${name} ${format(others)}`);
  console.log(`  ratio ${format(ratios, 2)}   ${name} against ${name} ${format(noise, 2)}`);
}

function peerOf(one: Case): Peer | undefined {
  const { limit } = one;
  const limitServer = values.limit;
  if (one.isMqtt === true) {
    const figure = () => withMosquitto((aim) => load(one.load(aim), one));
    return HAS_MOSQUITTO ? { name: 'mosquitto', figure } : undefined;
  }
  if (limit === undefined || limitServer === undefined) return undefined;
  const figure = () => withLimit(limitServer, (aim) => load(limit(aim), one));
  return { name: 'limit', figure };
}

async function load(args: readonly string[], one: Case): Promise<number> {
  const { stdout } = await run('taskset', ['-c', '1', generator, ...args], { maxBuffer: 1 << 20 });
  if (values.verbose) console.log(stdout.trim());
  const out = JSON.parse(stdout) as Record<string, number>;
  if ((out['missing_total'] ?? 0) !== 0 || (out['failed'] ?? 0) !== 0) {
    console.error(`  missing ${out['missing_total']}, failed ${out['failed']}: ${stdout}`);
  }
  return one.figure(out);
}

async function withLimit(path: string, use: (aim: Aim) => Promise<number>): Promise<number> {
  const port = await freePort();
  const child = spawn('taskset', ['-c', '0', path, String(port), 'batch'], { stdio: 'ignore' });
  try {
    await until(() => canConnect(port));
    return await use({ port, pid: pidOf(child), seconds });
  } finally {
    await end(child);
  }
}

/** It may have as many messages under way as the server has, and sends each as soon as it can. */
async function withMosquitto(use: (aim: Aim) => Promise<number>): Promise<number> {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'trunkline-bench-'));
  const config = join(directory, 'mosquitto.conf');
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'max_inflight_messages 1000',
    'max_queued_messages 100000',
    'set_tcp_nodelay true',
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const child = spawn('taskset', ['-c', '0', 'mosquitto', '-c', config], { stdio: 'ignore' });
  try {
    await until(() => canReach(port));
    return await use({ port, pid: pidOf(child), seconds });
  } finally {
    await end(child);
    rmSync(directory, { recursive: true, force: true });
  }
}

async function withTrunkline(one: Case, use: (aim: Aim) => Promise<number>): Promise<number> {
  const port = await freePort();
  const data = mkdtempSync(join(tmpdir(), 'trunkline-bench-'));
  const mqttPort = one.isMqtt === true ? await freePort() : 0;
  const own = ['--dev', '--port', String(port), '--mqtt-port', String(mqttPort), '--data', data];
  const flags = ['serve', ...own, ...one.serve];
  const child = spawn(
    'taskset',
    ['-c', '0', process.execPath, '--max-semi-space-size=4', MAIN, ...flags],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, TRUNKLINE_LOG_LEVEL: 'warn' },
    },
  );
  try {
    await until(() => canConnect(port));
    return await use({ port: mqttPort || port, pid: pidOf(child), seconds });
  } finally {
    await end(child);
    rmSync(data, { recursive: true, force: true });
  }
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('the server did not start');
  return child.pid; // taskset replaces itself by the command.
}

async function end(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

async function canConnect(port: number): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(500) });
    return true;
  } catch (error) {
    // The limit server speaks no HTTP beyond a handshake: refused is the only "not yet".
    return !String((error as Error).cause).includes('ECONNREFUSED');
  }
}

/** True when somebody listens; for those who speak no HTTP at all. */
function canReach(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

async function until(look: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await look()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the server was not ready within 10 s');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function format(figures: readonly number[], digits = 0): string {
  const sorted = figures.toSorted((a, b) => a - b);
  const show = (value: number | undefined): string =>
    (value ?? 0).toLocaleString('en', {
      maximumFractionDigits: digits,
      minimumFractionDigits: digits,
    });
  return `${show(sorted[Math.floor(sorted.length / 2)])} (${show(sorted[0])}–${show(sorted.at(-1))})`;
}
