/** The last line of `npm test`: what ran, out of vitest's JSON report. */

/**
 * Counts the tests of a report. A file that could not be loaded is a failure, a run that failed
 * without saying where is one too: nothing that went wrong may look like nothing.
 *
 * @param report vitest's JSON report; `undefined` when there is none.
 * @param {number} exitCode what the run ended with.
 */
export function countTests(report, exitCode) {
  const counts = { passed: 0, failed: 0, skipped: [] };
  for (const file of report?.testResults ?? []) {
    const failedBefore = counts.failed;
    for (const test of file.assertionResults) {
      if (test.status === 'passed') counts.passed += 1;
      else if (test.status === 'failed') counts.failed += 1;
      else counts.skipped.push(test.fullName);
    }
    if (file.status === 'failed' && counts.failed === failedBefore) counts.failed += 1;
  }
  if (exitCode !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

/** The one line: `N passed, N failed`, and skipped ones where there are any. */
export function summaryLine({ passed, failed, skipped }) {
  const more = skipped.length === 0 ? '' : `, ${skipped.length} skipped`;
  return `${passed} passed, ${failed} failed${more}`;
}
