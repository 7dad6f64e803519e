/**
 * Set-up: what a command needs before it runs, on a machine that has only Node 20 and npm. Plain
 * JavaScript, because the Node that can run the TypeScript here is one of the things set up.
 *
 * Each step looks first and does nothing when all is well, says in one line what it does when it
 * takes time, and ends the run with one line on standard error when it can't.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The Node that runs the TypeScript here; from the npm package `node`. */
export const NODE = join(ROOT, 'node_modules/.bin/node');

const NODE_VERSION_MIN = [24, 12];
const LOCK = join(ROOT, 'package-lock.json');
/** Where npm itself notes what it installed; it writes this file last. */
const INSTALLED = join(ROOT, 'node_modules/.package-lock.json');
const SETUP_STAMP = join(ROOT, 'node_modules/.trunkline-setup');
const CACHE = join(ROOT, 'node_modules/.cache/trunkline');
const CONSOLE = join(ROOT, 'packages/console');
const CONSOLE_STAMP = join(CACHE, 'console-sources');
const CLIENT_STAMP = join(CACHE, 'client-sources');
/** What the client is built from, and by. */
const CLIENT_SOURCES = ['wire', 'client', 'react'].map((name) => join(ROOT, 'packages', name));
const CLIENT_BUILD = join(ROOT, 'scripts/build-client.ts');
/** What the tests import in Python, and what Debian calls it. */
const PYTHON_PACKAGES = {
  websockets: 'python3-websockets',
  h2: 'python3-h2',
  wsproto: 'python3-wsproto',
  'paho.mqtt.client': 'python3-paho-mqtt',
};
/** Mosquitto's clients, not its broker. */
const MOSQUITTO_PROGRAMS = ['mosquitto_pub', 'mosquitto_sub'];
/**
 * Other runtimes that the client is tested in, from npm. They are 200 MB, so they are no
 * dependencies that every `npm ci` would fetch.
 */
const RUNTIMES = { bun: '1.4.5', deno: '2.9.6' };
const RUNTIMES_FOLDER = join(CACHE, `runtimes-${Object.values(RUNTIMES).join('-')}`);
const RUNTIMES_MS_MAX = 180_000;
const CHROMIUM_NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** A step that can't be done; the message says what to do. */
export class SetupError extends Error {}

/** Installs the dependencies unless those of this lock file are there. */
export function ensureDependencies() {
  const hash = createHash('sha256').update(readFileSync(LOCK)).digest('hex');
  const known = existsSync(SETUP_STAMP) && readFileSync(SETUP_STAMP, 'utf8').trim() === hash;
  // Installed by hand since the lock file last changed: as good as installed here.
  const fresh = known || (existsSync(INSTALLED) && modifiedMs(INSTALLED) > modifiedMs(LOCK));
  if (!fresh || nodeFault() !== undefined) installDependencies();
  const fault = nodeFault();
  if (fault !== undefined) {
    throw new SetupError(
      `${fault}; run: npm ci --include=dev, and see that npm may run the scripts`,
    );
  }
  if (!known) writeFileSync(SETUP_STAMP, `${hash}\n`);
}

/** Builds the console page unless it was built from these sources. */
export function ensureConsole() {
  const vite = join(ROOT, 'node_modules/vite/bin/vite.js');
  ensureBuilt(join(CONSOLE, 'dist/index.html'), CONSOLE_STAMP, hashOfSources(CONSOLE), () =>
    step('Building the console page', NODE, [vite, 'build', CONSOLE, '--logLevel', 'warn']),
  );
}

/** Builds the client that browsers load, unless it was built from these sources. */
export function ensureClient() {
  const hash = createHash('sha256').update(readFileSync(CLIENT_BUILD));
  for (const folder of CLIENT_SOURCES) hash.update(hashOfSources(folder));
  const built = join(ROOT, 'packages/client/dist/client.js');
  ensureBuilt(built, CLIENT_STAMP, hash.digest('hex'), () =>
    step('Building the client', NODE, [CLIENT_BUILD]),
  );
}

/** Builds unless `file` is there and the stamp says that it was built from what has this hash. */
function ensureBuilt(file, stamp, hash, build) {
  const isBuilt = existsSync(file) && existsSync(stamp);
  if (isBuilt && readFileSync(stamp, 'utf8') === hash) return;
  build();
  mkdirSync(join(stamp, '..'), { recursive: true });
  writeFileSync(stamp, hash);
}

/**
 * Finds Chromium for the browser tests, and installs Debian's when there is none and this is root.
 *
 * @returns {string} the path of the executable.
 */
export function ensureChromium() {
  return ensurePackage('chromium', 'the browser tests need Chromium', findChromium);
}

/**
 * Finds a Python with the packages of {@link PYTHON_PACKAGES}, clients of another make for the
 * tests, and installs Debian's when there is none and this is root.
 *
 * @returns {string} the path of the executable.
 */
export function ensurePython() {
  const imported = Object.keys(PYTHON_PACKAGES).join(', ');
  const need = `the tests of WebSocket and of MQTT need Python with ${imported}`;
  return ensurePackage(Object.values(PYTHON_PACKAGES).join(' '), need, findPython);
}

/** Sees that Mosquitto's clients are there, and installs Debian's when not and this is root. */
export function ensureMosquitto() {
  const need = `the tests of MQTT need ${MOSQUITTO_PROGRAMS.join(' and ')}`;
  return ensurePackage('mosquitto-clients', need, () => {
    const paths = MOSQUITTO_PROGRAMS.map(inPath);
    return paths.includes(undefined) ? undefined : paths;
  });
}

/** Sees that curl is there, and installs Debian's when it is not and this is root. */
export function ensureCurl() {
  return ensurePackage('curl', 'the tests of compression need curl', () => inPath('curl'));
}

/**
 * Finds Bun and Deno, and fetches them from npm where they are not there. Unlike the others they
 * may be missing: then the tests in them are skipped, and the summary names each.
 *
 * @returns {Record<string, string>} the variables that tell the tests where they are.
 */
export function ensureRuntimes() {
  const missing = Object.keys(RUNTIMES).filter((name) => findRuntime(name) === undefined);
  if (missing.length > 0) {
    const wanted = missing.map((name) => `${name}@${RUNTIMES[name]}`);
    mkdirSync(RUNTIMES_FOLDER, { recursive: true });
    // Else npm would take the nearest folder above that has one.
    writeFileSync(join(RUNTIMES_FOLDER, 'package.json'), '{"private":true}\n');
    const args = [
      // Started by npm, it would install where that was started.
      ...['install', '--prefix', RUNTIMES_FOLDER, '--no-save', '--no-package-lock'],
      // The packages' own scripts only make a link to what was fetched.
      ...['--ignore-scripts', '--no-audit', '--no-fund', '--fetch-retries=1', ...wanted],
    ];
    const options = { cwd: RUNTIMES_FOLDER, timeout: RUNTIMES_MS_MAX };
    try {
      npm(`Fetching ${wanted.join(' and ')} for the tests`, args, options);
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      console.error(`${error.message}; the tests in ${missing.join(' and ')} are skipped`);
    }
  }
  const found = Object.keys(RUNTIMES).map((name) => [variableOf(name), findRuntime(name)]);
  return Object.fromEntries(found.filter(([, path]) => path !== undefined));
}

/** What `find` finds, if need be after Debian packages were installed: their names, with blanks. */
function ensurePackage(names, need, find) {
  const found = find();
  if (found !== undefined) return found;
  const canInstall = process.getuid?.() === 0 && inPath('apt-get') !== undefined;
  if (canInstall) {
    const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
    step('Fetching the list of Debian packages', 'apt-get', ['-qq', 'update'], options);
    const install = ['-qq', 'install', '--yes', '--no-install-recommends', ...names.split(' ')];
    step(`Installing ${names} for the tests`, 'apt-get', install, options);
  }
  const installed = find();
  if (installed !== undefined) return installed;
  throw new SetupError(`${need} (Debian: ${names}); run: sudo apt-get install ${names}`);
}

function installDependencies() {
  // Development dependencies even under NODE_ENV=production: the Node that runs everything is one.
  const flags = ['--include=dev', '--no-audit', '--no-fund'];
  npm('Installing the dependencies with npm ci', ['ci', ...flags]);
}

/** Runs npm; started by npm, the same one. */
function npm(what, args, options) {
  const path = process.env.npm_execpath;
  const [command, first] = path?.endsWith('.js') ? [process.execPath, [path]] : ['npm', []];
  step(what, command, [...first, ...args, '--loglevel=error'], options);
}

/** Why the installed Node can't be used, or `undefined` when it can. */
function nodeFault() {
  if (!existsSync(NODE)) return 'node_modules/.bin/node is missing';
  const { status, stdout } = spawnSync(NODE, ['--version'], { encoding: 'utf8' });
  const [major = 0, minor = 0] = (/^v(\d+)\.(\d+)\./.exec(stdout ?? '') ?? []).slice(1).map(Number);
  const [majorMin, minorMin] = NODE_VERSION_MIN;
  if (status === 0 && (major > majorMin || (major === majorMin && minor >= minorMin)))
    return undefined;
  const got = status === 0 ? stdout.trim() : 'one that does not run';
  return `node_modules/.bin/node must be ${NODE_VERSION_MIN.join('.')} or newer, got ${got}`;
}

/** Runs one step with its output on the screen, and one line before and after. */
function step(what, command, args, options = {}) {
  const startedAt = Date.now();
  console.log(`${what} …`);
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', ...options });
  if (error !== undefined || status !== 0) {
    const why = error === undefined ? `ended with ${status ?? 'a signal'}` : error.message;
    throw new SetupError(`${what} failed: ${command} ${why}`);
  }
  console.log(`${what}: done in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
}

function findChromium() {
  const given = process.env.TRUNKLINE_CHROMIUM;
  if (given !== undefined && existsSync(given)) return given;
  for (const name of CHROMIUM_NAMES) {
    const path = inPath(name);
    if (path !== undefined) return path;
  }
  return undefined;
}

function findRuntime(name) {
  const given = process.env[variableOf(name)];
  const packages = {
    bun: ['@oven', 'bin/bun'],
    deno: ['@deno', 'deno'],
  };
  const [scope, file] = packages[name];
  // The one for this machine, whichever npm found to be it.
  const folder = join(RUNTIMES_FOLDER, 'node_modules', scope);
  const fetched = existsSync(folder)
    ? readdirSync(folder).map((one) => join(folder, one, file))
    : [];
  const candidates = [given, ...fetched, inPath(name)];
  return candidates.find(
    (path) => path !== undefined && existsSync(path) && spawnSync(path, ['--version']).status === 0,
  );
}

function variableOf(name) {
  return `TRUNKLINE_${name.toUpperCase()}`;
}

/** Debian's packages are for its own Python, which need not be the first in the path. */
function findPython() {
  const given = process.env.TRUNKLINE_PYTHON;
  const candidates = [given, '/usr/bin/python3', inPath('python3')];
  return candidates.find((path) => {
    if (path === undefined || !existsSync(path)) return false;
    return (
      spawnSync(path, ['-c', `import ${Object.keys(PYTHON_PACKAGES).join(', ')}`]).status === 0
    );
  });
}

function inPath(name) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** One hash over what a package is built from. */
function hashOfSources(folder) {
  return hashOfFiles(folder, ['dist', 'node_modules', 'test']);
}

/** One hash over the names and contents of the files in a folder. */
function hashOfFiles(folder, skipped) {
  const hash = createHash('sha256');
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort(byName)) {
    if (skipped.includes(entry.name)) continue;
    const path = join(folder, entry.name);
    hash.update(`${entry.name}\0`);
    hash.update(entry.isDirectory() ? hashOfFiles(path, skipped) : readFileSync(path));
    hash.update('\0');
  }
  return hash.digest('hex');
}

function byName(a, b) {
  return a.name < b.name ? -1 : 1;
}

function modifiedMs(path) {
  return statSync(path).mtimeMs;
}
