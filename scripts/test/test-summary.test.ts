import { describe, expect, test } from 'vitest';
// @ts-expect-error Plain JavaScript, because Node 20 runs it.
import { countTests, summaryLine } from '../test-summary.mjs';

const file = (status: string, ...statuses: readonly string[]) => ({
  status,
  assertionResults: statuses.map((one, at) => ({ status: one, fullName: `test ${at}` })),
});

describe('the last line of npm test', () => {
  test.each([
    { files: [file('passed', 'passed', 'passed')], exitCode: 0, line: '2 passed, 0 failed' },
    { files: [file('failed', 'passed', 'failed')], exitCode: 1, line: '1 passed, 1 failed' },
    {
      files: [file('passed', 'passed', 'pending', 'todo')],
      exitCode: 0,
      line: '1 passed, 0 failed, 2 skipped',
    },
  ])('$line', ({ files, exitCode, line }) => {
    expect(summaryLine(countTests({ testResults: files }, exitCode))).toBe(line);
  });

  test('names what was skipped', () => {
    const counts = countTests({ testResults: [file('passed', 'passed', 'skipped')] }, 0);
    expect(counts.skipped).toEqual(['test 1']);
  });

  test('a file that could not be loaded is a failure', () => {
    const files = [file('failed'), file('passed', 'passed')];
    expect(countTests({ testResults: files }, 1)).toMatchObject({ passed: 1, failed: 1 });
  });

  test('a run that ended badly without saying where is a failure', () => {
    expect(countTests({ testResults: [file('passed', 'passed')] }, 1)).toMatchObject({ failed: 1 });
    expect(countTests(undefined, 137)).toMatchObject({ passed: 0, failed: 1 });
  });
});
