#!/usr/bin/env node
/**
 * The `trunkline` command, as far as any Node can run it: finds a Node that is new enough, the one
 * this checkout pins if need be, and hands over to `src/main.ts`.
 *
 * The server wants a small young generation (it saves 2 KB a connection and costs nothing there),
 * which V8 takes as a start flag only; so the hand-over is a new process image in any case.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The first version that runs TypeScript as it is, without a warning. */
const NODE_MIN = [24, 12];
/** The first version whose `process.execve` is no experiment. */
const EXECVE_MAJOR_MIN = 26;
const START_FLAGS = ['--max-semi-space-size=4'];

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]);
}

/** The `node` package of the checkout; `undefined` when it is not installed. */
function pinnedNode() {
  const name = process.platform === 'win32' ? 'node.exe' : 'node';
  try {
    const manifest = createRequire(import.meta.url).resolve('node/package.json');
    const path = join(dirname(manifest), 'bin', name);
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Runs the program as a child. Signals are handed on: a supervisor signals this process alone. A
 * terminal signals the whole group; the program takes a signal that comes twice at once for one.
 */
function runChild(node, args) {
  const child = spawn(node, args, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => {
    console.error(`trunkline: ${node} can't be started: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}

const node = isNewEnough(process.versions.node) ? process.execPath : pinnedNode();
const args = [...START_FLAGS, MAIN, ...process.argv.slice(2)];
if (node === undefined) {
  console.error(
    `trunkline needs Node ${NODE_MIN.join('.')} or newer, this is ${process.versions.node}; ` +
      'npm ci in the checkout installs one beside it',
  );
  process.exitCode = 1;
} else if (
  node === process.execPath &&
  process.platform !== 'win32' &&
  Number(process.versions.node.split('.')[0]) >= EXECVE_MAJOR_MIN
) {
  // The same process goes on as the program: no child, so nothing to hand on.
  process.execve(node, [node, ...args], process.env);
} else {
  runChild(node, args);
}
