/**
 * Fuzz: runs every function `fuzzX(seed, rounds)` that a file `test/fuzz/*.fuzz.ts` of a package
 * exports.
 *
 * 1. Without `--seed` the seeds are drawn anew; each is printed before it runs.
 * 2. `--rounds N` runs each function once with N rounds (default 2,000); `--minutes N` goes on with
 *    new seeds until the time is over.
 * 3. A failure prints the command that repeats it. `--only TEXT` picks functions by their name.
 */
import { randomInt } from 'node:crypto';
import { globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const ROUNDS_DEFAULT = 2000;
const SEED_MAX = 2 ** 31;

type Fuzz = (seed: number, rounds: number) => void | Promise<void>;

interface Named {
  readonly name: string;
  readonly fuzz: Fuzz;
}

const flags = readFlags();
const rounds = number('rounds', flags.rounds) ?? ROUNDS_DEFAULT;
const seedGiven = number('seed', flags.seed);
const endsAt = Date.now() + (number('minutes', flags.minutes) ?? 0) * 60_000;
const functions = (await findFunctions()).filter(({ name }) => name.includes(flags.only ?? ''));
const failed = new Set<string>();

do {
  for (const one of functions) {
    if (!failed.has(one.name) && !(await runOne(one, seedGiven ?? randomInt(SEED_MAX)))) {
      failed.add(one.name);
    }
  }
} while (seedGiven === undefined && failed.size < functions.length && Date.now() < endsAt);

if (functions.length === 0) console.error('no fuzz function has this name');
if (flags.report !== undefined) {
  const counts = { passed: functions.length - failed.size, failed: failed.size };
  writeFileSync(flags.report, JSON.stringify(counts));
}
process.exitCode = failed.size === 0 && functions.length > 0 ? 0 : 1;

async function findFunctions(): Promise<Named[]> {
  const found: Named[] = [];
  for (const file of globSync('packages/*/test/fuzz/*.fuzz.ts', { cwd: ROOT }).toSorted()) {
    const exported: unknown = await import(pathToFileURL(join(ROOT, file)).href);
    for (const [name, value] of Object.entries(exported as Record<string, unknown>)) {
      if (!name.startsWith('fuzz') || typeof value !== 'function') continue;
      found.push({ name, fuzz: value as Fuzz });
    }
  }
  return found;
}

async function runOne({ name, fuzz }: Named, seed: number): Promise<boolean> {
  const startedAt = performance.now();
  process.stdout.write(`${name}: seed ${seed}, ${rounds} rounds`);
  try {
    await fuzz(seed, rounds);
  } catch (error) {
    console.log(': FAILED');
    console.error(error);
    console.error(`again: npm run fuzz -- --only ${name} --seed ${seed} --rounds ${rounds}`);
    return false;
  }
  console.log(`, ${(performance.now() - startedAt).toFixed(0)} ms`);
  return true;
}

function readFlags(): Readonly<
  Partial<Record<'rounds' | 'minutes' | 'seed' | 'only' | 'report', string>>
> {
  const text = { type: 'string' } as const;
  try {
    const options = { rounds: text, minutes: text, seed: text, only: text, report: text };
    return parseArgs({ options }).values;
  } catch (error) {
    return wrongUsage(error instanceof Error ? error.message : String(error));
  }
}

function number(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  return wrongUsage(`--${flag} must be a whole number, got ${text}`);
}

function wrongUsage(message: string): never {
  console.error(message);
  process.exit(2);
}
