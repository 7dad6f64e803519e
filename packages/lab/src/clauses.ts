/** Clauses: those of the specification, and those that no test of the lab can show. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../../..');

/** Where conformance is tested. */
export const CONFORMANCE_TESTS = 'packages/lab/test/conformance';

/** A clause and its text, with the lines that go on below it. */
const DEFINED = /^- \*\*\[([A-Z][A-Z0-9]*-\d+)\]\*\* (.+(?:\n {2}.+)*)/gm;
/** Characters of a clause's text in the table. */
const SAYS_LENGTH_MAX = 90;

const CITED = /\[([A-Z][A-Z0-9]*-\d+)\]/g;

/** One clause. */
export interface Clause {
  readonly id: string;
  /** The page it stands on. */
  readonly page: string;
  /** Its first sentence, as far as it fits in a table. */
  readonly says: string;
}

/** Clauses that no test here cites, and why. */
export const NOT_TESTED: Readonly<Record<string, string>> = {
  'CODE-2': 'it binds clients; the tests of the SDK have it',
  'CODE-3': 'it binds clients; the tests of the SDK have it',
  'CODE-4': 'it binds clients; the tests of the SDK have it',
  'CODE-5': 'it binds clients; the tests of the SDK have it',
  'WILD-6': 'it takes ten thousand channels; the tests of hostile peers have it',
  'DEV-23': 'it takes a crash; the tests of wills have it',
  'GUA-9': 'it takes 30 days; the contract of brokers moves a clock through them',
};

/** Every clause of the pages under `spec/`, in their order. */
export function readClauses(root: string = ROOT): Clause[] {
  const pages = ['spec/protocol.md', 'spec/binary.md', 'spec/mqtt.md', 'spec/guarantees.md'];
  return pages.flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(DEFINED)].map(([, id = '', text = '']) => ({
      id,
      page,
      says: firstSentence(text),
    })),
  );
}

/** The clauses that the names of conformance tests cite. */
export function citedClauses(root: string = ROOT): Set<string> {
  const files = globSync(`${CONFORMANCE_TESTS}/**/*.test.ts`, { cwd: root });
  const cited = new Set<string>();
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, id = ''] of text.matchAll(CITED)) cited.add(id);
  }
  return cited;
}

function firstSentence(text: string): string {
  const line = text.replaceAll(/\n +/g, ' ');
  const sentence = line.slice(0, /[.:;](?= |$)/.exec(line)?.index ?? line.length);
  if (sentence.length <= SAYS_LENGTH_MAX) return sentence;
  // Cut between words, and not inside of code, which would colour the rest of the table.
  const cut = sentence.slice(0, sentence.lastIndexOf(' ', SAYS_LENGTH_MAX));
  const whole =
    cut.split('`').length % 2 === 1 ? cut : cut.slice(0, cut.lastIndexOf('`')).trimEnd();
  return `${whole} …`;
}
