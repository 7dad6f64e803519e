/**
 * MQTT clauses: which normative statements of the two OASIS specifications are cited by tests. Writes
 * `docs/internals/mqtt-clauses.md`. With `--check` it only compares.
 *
 * A statement is cited as `[MQTT-4.3.3-8]`. Where its number means different things in 3.1.1 and 5.0
 * the protocol's level says which: `[MQTT4-4.3.3-1]` or `[MQTT5-4.3.3-1]`.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { report, ROOT } from './source.ts';

/** Where the table stands. */
export const MQTT_CLAUSES_PAGE = 'docs/internals/mqtt-clauses.md';

const CLAUSES = 'spec/mqtt-clauses.json';
const TESTS = 'packages/*/test/**/*.test.ts';
/** Each row is a test that has its clause in its name. */
const VECTORS = { '3.1.1': 'spec/vectors/mqtt-v4.json', '5.0': 'spec/vectors/mqtt-v5.json' };

const CITED = /\[(MQTT[45]?)(-[\d.-]+)\]/g;
const PREFIXES: Readonly<Record<string, readonly Version[]>> = {
  MQTT: ['3.1.1', '5.0'],
  MQTT4: ['3.1.1'],
  MQTT5: ['5.0'],
};

type Version = '3.1.1' | '5.0';

/** What a statement binds: `client-only` ones are for others to keep. */
export type ClauseKind = 'codec' | 'session' | 'client-only' | 'transport';

/** A normative statement, in words of our own. */
export interface MqttClause {
  readonly kind: ClauseKind;
  readonly says: string;
  /** True when the other version has something else under the same number. */
  readonly differs?: true;
  /** Why no test can show it; where it is so, it is not counted. */
  readonly untested?: string;
}

/** The statements of both versions, by number. */
export type MqttClauses = Readonly<Record<Version, Readonly<Record<string, MqttClause>>>>;

/** What tests cite. */
export interface Citations {
  /** By version and number, the tests. */
  readonly cited: ReadonlyMap<string, ReadonlySet<string>>;
  /** Citations of one of two statements that differ, which count for neither; one line each. */
  readonly unclear: readonly string[];
  /** Citations of what is no statement. */
  readonly faults: readonly string[];
}

/** All statements. */
export function readMqttClauses(): MqttClauses {
  return JSON.parse(readFileSync(join(ROOT, CLAUSES), 'utf8')) as MqttClauses;
}

/** Everything that tests and vectors cite. @param files by path, their text. */
export function citationsIn(clauses: MqttClauses, files: ReadonlyMap<string, string>): Citations {
  const cited = new Map<string, Set<string>>();
  const unclear = new Set<string>();
  const faults = new Set<string>();
  for (const [path, text] of files) {
    for (const [citation, prefix = '', end = ''] of text.matchAll(CITED)) {
      const number = `MQTT${end}`;
      const known = versionsOf(path, PREFIXES[prefix] ?? []).filter(
        (version) => clauses[version][number] !== undefined,
      );
      const versions = isVectors(path) ? known.slice(0, 1) : known;
      const [first] = versions;
      if (first === undefined) faults.add(`${path}: ${citation} is no statement of that version`);
      else if (versions.length > 1 && clauses[first][number]?.differs === true) {
        unclear.add(`${shortName(path)}: ${citation}`);
      } else for (const version of versions) citersOf(cited, version, number).add(path);
    }
  }
  return { cited, unclear: [...unclear].sort(), faults: [...faults].sort() };
}

/** Reads all tests and vectors. */
export function readCitingFiles(): Map<string, string> {
  const paths = [...globSync(TESTS, { cwd: ROOT }), ...Object.values(VECTORS)].sort();
  return new Map(paths.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]));
}

/** The page as it must be. */
export function mqttClausesPage(clauses: MqttClauses, { cited, unclear }: Citations): string {
  const versions = ['3.1.1', '5.0'] as const;
  const sections = versions.map((version) => section(version, clauses[version], cited));
  return `# Statements of MQTT and their tests

Generated from \`${CLAUSES}\` and the tests that cite its numbers, by \`scripts/mqtt-clauses.ts\`; a test
compares. The numbers are those of the OASIS standards; what a statement says stands here in words of our
own, as a reminder and not as a substitute. Statements that bind clients alone do not count, nor do those
for which the last column says why no test can show them.

| version | statements for a server | cited by tests | |
|---|---|---|---|
${versions.map((version) => total(version, clauses[version], cited)).join('\n')}

${sections.join('\n')}${unclearSection(unclear)}`;
}

function unclearSection(unclear: readonly string[]): string {
  if (unclear.length === 0) return '';
  return `
## Which version?

These numbers mean one thing in 3.1.1 and another in 5.0, and the test does not say which. They count for
neither. Write \`[MQTT4-…]\` or \`[MQTT5-…]\`.

${unclear.map((line) => `- ${line}`).join('\n')}
`;
}

function section(
  version: Version,
  clauses: Readonly<Record<string, MqttClause>>,
  cited: Citations['cited'],
): string {
  const rows = Object.entries(clauses).map(([number, { kind, says, untested = '' }]) => {
    const citers = [...(cited.get(`${version} ${number}`) ?? [])].map(shortName);
    const tests = citers.length === 0 ? untested : [...new Set(citers)].join(', ');
    return `| ${number} | ${says} | ${kind} | ${tests} |`;
  });
  return `## MQTT ${version}

| number | says | binds | tests |
|---|---|---|---|
${rows.join('\n')}
`;
}

function total(
  version: Version,
  clauses: Readonly<Record<string, MqttClause>>,
  cited: Citations['cited'],
): string {
  const numbers = Object.entries(clauses)
    .filter(([, { kind, untested }]) => kind !== 'client-only' && untested === undefined)
    .map(([number]) => number);
  const count = numbers.filter((number) => cited.has(`${version} ${number}`)).length;
  const percent = Math.floor((100 * count) / numbers.length);
  return `| ${version} | ${numbers.length} | ${count} | ${percent} % |`;
}

/** A file of vectors is of one version, but before CONNECT tells which 5.0 is cited. */
function versionsOf(path: string, versions: readonly Version[]): readonly Version[] {
  if (path === VECTORS['5.0']) return ['5.0'];
  return path === VECTORS['3.1.1'] ? ['3.1.1', '5.0'] : versions;
}

function isVectors(path: string): boolean {
  return Object.values(VECTORS).includes(path);
}

function citersOf(cited: Map<string, Set<string>>, version: Version, number: string): Set<string> {
  const key = `${version} ${number}`;
  const citers = cited.get(key) ?? new Set();
  cited.set(key, citers);
  return citers;
}

/** `packages/server/test/a/b.test.ts` is `server/a/b`. */
function shortName(path: string): string {
  if (isVectors(path)) return 'vectors';
  return path.replace(/^packages\/([^/]+)\/test\//, '$1/').replace(/\.test\.ts$/, '');
}

if (import.meta.main) {
  const clauses = readMqttClauses();
  const citations = citationsIn(clauses, readCitingFiles());
  const page = mqttClausesPage(clauses, citations);
  const path = join(ROOT, MQTT_CLAUSES_PAGE);
  const isChecked = process.argv.includes('--check');
  if (!isChecked) writeFileSync(path, page);
  const isSame = readFileSync(path, 'utf8') === page;
  const stale = `${MQTT_CLAUSES_PAGE} is not what the tests cite: run node scripts/mqtt-clauses.ts`;
  report('mqtt-clauses', [...citations.faults, ...(isSame ? [] : [stale])]);
}
