/**
 * Pages: the fenced blocks of the documentation, and what the words behind a fence ask for.
 *
 * The first word is the language. Of the others, one with a dot names the file that the block is;
 * `run` runs it to its end; `serve` starts the server of the page; `follow` starts something that
 * goes on beside what comes next. `output` is what the run block above it prints, and `followed`
 * what the newest follower has printed by then.
 */
import { readFileSync } from 'node:fs';

const KINDS = ['run', 'serve', 'follow', 'output', 'followed', 'file', 'shown'] as const;

/** What becomes of a block; `shown` is only read. */
export type BlockKind = (typeof KINDS)[number];

/** One fenced block. */
export interface Block {
  readonly kind: BlockKind;
  readonly language: string;
  /** The file that holds it, where it names one. */
  readonly file?: string;
  readonly text: string;
  /** Where it begins, counted from 1. */
  readonly line: number;
}

/** The blocks of a page in their order. @throws {Error} for a word that is none of ours. */
export function readBlocks(path: string): Block[] {
  return parseBlocks(readFileSync(path, 'utf8'));
}

/** The blocks of a text in Markdown. @throws {Error} for a word that is none of ours. */
export function parseBlocks(text: string): Block[] {
  const blocks: Block[] = [];
  let words: readonly string[] | undefined;
  let lines: string[] = [];
  let begin = 0;
  for (const [index, line] of text.split('\n').entries()) {
    if (words === undefined) {
      if (!line.startsWith('```')) continue;
      words = line.slice(3).trim().split(/\s+/);
      begin = index + 1;
      lines = [];
    } else if (line === '```') {
      blocks.push(toBlock(words, lines, begin));
      words = undefined;
    } else {
      lines.push(line);
    }
  }
  if (words !== undefined) throw new Error(`line ${begin}: the block does not end`);
  return blocks;
}

function toBlock(words: readonly string[], lines: readonly string[], line: number): Block {
  const [language = '', ...rest] = words;
  const file = rest.find((word) => word.includes('.'));
  const [kind = file === undefined ? 'shown' : 'file', more] = rest.filter((word) => word !== file);
  const known = KINDS.find((one) => one === kind);
  if (known === undefined || more !== undefined) {
    throw new Error(`line ${line}: expected one of ${KINDS.join(', ')}, got ${rest.join(' ')}`);
  }
  const text = `${lines.join('\n')}\n`;
  return { kind: known, language, text, line, ...(file === undefined ? {} : { file }) };
}
