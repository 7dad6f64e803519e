/**
 * Run: what stands behind `npm start`, `npm test` and `npm run …`. Each command sets up first, so
 * that a fresh clone on a machine with Node 20 and npm is enough. The scripts of package.json
 * `exec` this file: a shell in between would die of a signal to npm and hand nothing on.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ensureChromium,
  ensureClient,
  ensureConsole,
  ensureCurl,
  ensureDependencies,
  ensureMosquitto,
  ensurePython,
  ensureRuntimes,
  NODE,
  ROOT,
  SetupError,
} from './setup.mjs';
import { countTests, summaryLine } from './test-summary.mjs';

/** Enough to visit every branch of the parsers, few enough not to be noticed. */
const FUZZ_ROUNDS_IN_TESTS = 300;
const BIN = join(ROOT, 'node_modules/.bin');
const LINTED = ['packages', 'scripts', 'vitest.config.ts'];

/** Set when somebody asked to end: what would come next does not begin any more. */
let interrupted = false;

const COMMANDS = { start, example, test, check, format, fuzz, bench, pack };

/** Runs the server until it ends; every further argument is a flag of `trunkline serve`. */
async function start(args) {
  ensureConsole();
  ensureClient();
  // Measured: less is collected too often while publishing, more costs 3 KB a connection.
  const flags = ['--max-semi-space-size=4', 'packages/cli/src/main.ts', 'serve'];
  return runUntilEnd(NODE, [...flags, ...args]);
}

/** Runs one of the examples of the client, by its name. */
async function example(args) {
  return runUntilEnd(NODE, ['examples/run.ts', ...args]);
}

/** Runs all tests and a short fuzzing; arguments are handed to vitest, e.g. a path. */
async function test(args) {
  ensureConsole();
  ensureClient();
  ensureCurl();
  ensureMosquitto();
  const env = {
    ...process.env,
    TRUNKLINE_CHROMIUM: ensureChromium(),
    TRUNKLINE_PYTHON: ensurePython(),
    ...ensureRuntimes(),
  };
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-test-'));
  try {
    const report = join(folder, 'vitest.json');
    const vitest = [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run'];
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const ended = await runUntilEnd(NODE, [...vitest, ...reporters, ...args], { env });
    if (interrupted) return ended === 0 ? 1 : ended;
    const counts = countTests(readReport(report), ended);
    const fuzzing = ['--rounds', String(FUZZ_ROUNDS_IN_TESTS), '--seed', '1'];
    // A run of some tests only is somebody at work, who asked for just these.
    if (args.length === 0) await addFuzzing(counts, fuzzing, join(folder, 'fuzz.json'));
    for (const name of counts.skipped) console.log(`skipped: ${name}`);
    console.log(summaryLine(counts));
    return counts.failed === 0 && counts.passed > 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Types, lint, format, the rules of this repository, and how large the client is. */
async function check() {
  const checks = {
    types: [join(BIN, 'tsc'), '-p', 'tsconfig.json'],
    lint: [join(BIN, 'oxlint'), '--type-aware', '--deny-warnings', ...LINTED],
    format: [join(BIN, 'biome'), 'format'],
    layers: [NODE, 'scripts/layers.ts'],
    tidy: [NODE, 'scripts/tidy.ts'],
    codes: [NODE, 'scripts/codes.ts', '--check'],
    'mqtt-clauses': [NODE, 'scripts/mqtt-clauses.ts', '--check'],
    size: [NODE, 'scripts/size.ts'],
  };
  const failed = [];
  for (const [name, [command, ...args]] of Object.entries(checks)) {
    const startedAt = Date.now();
    const status = await runUntilEnd(command, args);
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    console.log(`${name}: ${status === 0 ? 'well' : 'FAILED'} (${seconds} s)`);
    if (status !== 0) failed.push(name);
    if (interrupted) break;
  }
  if (failed.length > 0) console.error(`failed: ${failed.join(', ')}`);
  return failed.length === 0 ? 0 : 1;
}

/** Formats every file, and writes the pages that are made from others. */
async function format() {
  const ended = await runUntilEnd(join(BIN, 'biome'), ['format', '--write']);
  const pages = ['scripts/codes.ts', 'scripts/mqtt-clauses.ts'].map(
    (script) => spawnSync(NODE, [script], { cwd: ROOT, stdio: 'inherit' }).status ?? 1,
  );
  return [ended, ...pages].find((status) => status !== 0) ?? 0;
}

/** Runs the fuzz functions: `--rounds N` or `--minutes N`, `--seed N`, `--only TEXT`. */
async function fuzz(args) {
  return runUntilEnd(NODE, ['scripts/fuzz.ts', ...args]);
}

/** Runs the benchmarks. */
async function bench(args) {
  ensureConsole();
  return runUntilEnd(NODE, ['packages/lab/bench/main.ts', ...args]);
}

/** Builds and packs what applications install; `--dry-run` only shows it. */
async function pack(args) {
  return runUntilEnd(NODE, ['scripts/pack.ts', ...args]);
}

async function addFuzzing(counts, args, report) {
  const ended = await runUntilEnd(NODE, ['scripts/fuzz.ts', ...args, '--report', report]);
  const fuzzed = readReport(report);
  counts.passed += fuzzed?.passed ?? 0;
  counts.failed += fuzzed?.failed ?? 0;
  if (ended !== 0 && (fuzzed?.failed ?? 0) === 0) counts.failed += 1;
}

/** What a run wrote down; `undefined` when it came to its end before it could. */
function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Runs a program with our input and output and resolves with its exit code. Signals are handed on:
 * npm and supervisors signal this process alone. A terminal signals the whole group, so the
 * program may get the same signal twice within a moment; the server takes that for one.
 */
function runUntilEnd(command, args, { env = process.env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, env, stdio: 'inherit' });
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    const handOn = (signal) => {
      interrupted = true;
      child.kill(signal);
    };
    for (const signal of signals) process.on(signal, handOn);
    const settle = (then) => {
      for (const signal of signals) process.off(signal, handOn);
      then();
    };
    child.on('error', (error) => settle(() => reject(error)));
    child.on('exit', (code, signal) =>
      settle(() => resolve(code ?? 128 + (constants.signals[signal] ?? 0))),
    );
  });
}

const [name = '', ...args] = process.argv.slice(2);
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
if (command === undefined) {
  console.error(`expected one of ${Object.keys(COMMANDS).join(', ')}, got ${name || 'nothing'}`);
  process.exit(2);
}
try {
  ensureDependencies();
  process.exitCode = await command(args);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
