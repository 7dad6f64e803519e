/**
 * Matrix: which clause holds over which transport, out of the results of a run of the conformance
 * tests. Writes `docs/reference/conformance.md`:
 *
 *   node packages/lab/src/matrix.ts
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CONFORMANCE_TESTS, NOT_TESTED, readClauses } from './clauses.ts';
import type { Clause } from './clauses.ts';

/** Where the matrix stands. */
export const MATRIX_PAGE = 'docs/reference/conformance.md';

/** The columns, as suites name them: `over WebSocket`, `over SSE, binary HTTP`. */
export const COLUMNS = [
  'HTTP',
  'binary HTTP',
  'WebSocket',
  'binary WebSocket',
  'SSE',
  'long polling',
  'binary long polling',
  'short polling',
  'binary short polling',
  'MQTT',
] as const;

/** One test of a run, as vitest's JSON reporter tells it. */
export interface TestResult {
  readonly ancestorTitles: readonly string[];
  readonly title: string;
  readonly status: string;
}

interface Cell {
  passed: number;
  failed: number;
}

/** The page, from the results of a run. */
export function matrixPage(clauses: readonly Clause[], results: readonly TestResult[]): string {
  const cells = cellsOf(results);
  const rows = clauses
    .filter(({ id }) => cells.has(id))
    .map(({ id, says }) => {
      const marks = COLUMNS.map((column) => markOf(cells.get(id)?.get(column)));
      return `| ${[id, says.replaceAll('|', '\\|'), ...marks].join(' | ')} |`;
    });
  const rest = clauses
    .filter(({ id }) => !cells.has(id))
    .map(({ id }) => `- ${id}: ${NOT_TESTED[id] ?? 'no test cites it'}`);
  return `# Conformance

Which clause of [protocol.md](../../spec/protocol.md), [binary.md](../../spec/binary.md),
[mqtt.md](../../spec/mqtt.md) and [guarantees.md](../../spec/guarantees.md)
is shown by how many tests over real sockets, transport by transport and codec by codec: \`binary\` is
the encoding of [binary.md](../../spec/binary.md), and the columns without it have JSON, or what the
transport has of its own. Generated from a run of
\`${CONFORMANCE_TESTS}\` by \`packages/lab/src/matrix.ts\`. An empty cell means that the clause says
nothing about that transport, or that no test shows it there.

| clause | says | ${COLUMNS.join(' | ')} |
|---|---|${COLUMNS.map(() => '---').join('|')}|
${rows.join('\n')}

Not tested here:

${rest.join('\n')}
`;
}

/** Tests by clause and column. */
function cellsOf(results: readonly TestResult[]): Map<string, Map<string, Cell>> {
  const cells = new Map<string, Map<string, Cell>>();
  for (const { ancestorTitles, title, status } of results) {
    const suite = (ancestorTitles[0] ?? '').replace(/^over /, '').split(', ');
    const columns = COLUMNS.filter((column) => suite.includes(column));
    for (const [, id = ''] of title.matchAll(/\[([A-Z][A-Z0-9]*-\d+)\]/g)) {
      const row = cells.get(id) ?? new Map<string, Cell>();
      cells.set(id, row);
      for (const column of columns) {
        const cell = row.get(column) ?? { passed: 0, failed: 0 };
        row.set(column, cell);
        if (status === 'passed') cell.passed += 1;
        else cell.failed += 1;
      }
    }
  }
  return cells;
}

function markOf(cell: Cell | undefined): string {
  if (cell === undefined) return '';
  return cell.failed === 0 ? String(cell.passed) : `**${cell.failed} failed**`;
}

/** Runs the conformance tests and returns what became of each. */
export async function runConformance(root: string): Promise<TestResult[]> {
  const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
  const output = join(directory, 'results.json');
  try {
    const vitest = join(root, 'node_modules/vitest/vitest.mjs');
    const options = ['run', '--project', 'lab', '--reporter', 'json', '--outputFile', output];
    await new Promise<void>((resolve, reject) => {
      const child = spawn(process.execPath, [vitest, ...options, CONFORMANCE_TESTS], {
        cwd: root,
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      child.on('error', reject);
      child.on('close', () => resolve()); // Failed tests are in the results.
    });
    const { testResults } = JSON.parse(readFileSync(output, 'utf8')) as {
      testResults: { assertionResults: TestResult[] }[];
    };
    return testResults.flatMap(({ assertionResults }) => assertionResults);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '../../..');
  const results = await runConformance(root);
  const page = join(root, MATRIX_PAGE);
  mkdirSync(dirname(page), { recursive: true });
  writeFileSync(page, matrixPage(readClauses(root), results));
  const failed = results.filter(({ status }) => status !== 'passed');
  console.log(`${MATRIX_PAGE}: ${results.length} tests, ${failed.length} not passed`);
  for (const { title } of failed) console.log(`  ${title}`);
  if (failed.length > 0) process.exitCode = 1;
}
