/** Clauses: every clause that code, tests or pages cite stands in the specification, once. */
import { globSync } from 'node:fs';
import { readText } from '../source.ts';

const DEFINED = /^- \*\*\[([A-Z][A-Z0-9]*-\d+)\]\*\*/gm;
/** In brackets, or as a string in a file of vectors. */
const CITED = /[["]([A-Z][A-Z0-9]*-\d+)[\]"]/g;

/** Clauses defined twice, and citations of clauses that are not there. */
export function clauseFaults(root: string, paths: readonly string[]): string[] {
  const faults: string[] = [];
  const clauses = new Set<string>();
  for (const page of globSync('spec/*.md', { cwd: root })) {
    for (const [, clause = ''] of (readText(root, page) ?? '').matchAll(DEFINED)) {
      if (clauses.has(clause)) faults.push(`${page}: [${clause}] is there twice`);
      clauses.add(clause);
    }
  }
  // Other specifications number their clauses alike: [MQTT-3.1.2-2].
  const families = new Set([...clauses].map((clause) => clause.split('-')[0]));
  for (const path of paths) {
    const text = readText(root, path) ?? '';
    for (const [, clause = ''] of text.matchAll(CITED)) {
      const [family] = clause.split('-');
      if (!families.has(family) || clauses.has(clause)) continue;
      faults.push(`${path}: [${clause}] is no clause of spec/`);
    }
  }
  return faults;
}
