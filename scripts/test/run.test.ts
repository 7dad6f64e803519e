import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { ROOT } from '../source.ts';

/** Runs a command as npm does. */
function run(...args: readonly string[]) {
  return spawnSync(process.execPath, ['scripts/run.mjs', ...args], { cwd: ROOT, encoding: 'utf8' });
}

test('an unknown command is wrong usage', () => {
  const { status, stderr } = run('dance');
  expect(status).toBe(2);
  expect(stderr).toMatch(/^expected one of start, .*test, check, .*, got dance\n$/);
});

test('flags and exit codes are handed on', () => {
  const well = run('fuzz', '--only', 'fuzzPositions', '--rounds', '3', '--seed', '7');
  expect(well.stdout).toContain('fuzzPositions: seed 7, 3 rounds');
  expect(well.status).toBe(0);
  expect(run('fuzz', '--rounds', 'many').status).toBe(2);
  expect(run('fuzz', '--only', 'nothing has this name').status).toBe(1);
});
