/** What comments and types say: exported symbols explain themselves, nothing is left undone. */
import { isNode, lineAt, walk } from '../source.ts';
import type { SourceFile, SyntaxNode } from '../source.ts';

/** Exported symbols without a comment in one file. The file's header speaks for its own noun. */
export function undocumented(file: SourceFile): string[] {
  const faults: string[] = [];
  const header = headerNoun(file);
  const seen = new Set<string>();
  let above: SyntaxNode | undefined;
  for (const node of file.program['body'] as SyntaxNode[]) {
    const declaration = node['declaration'];
    if (!/^Export(?:Named|Default)Declaration$/.test(node.type) || !isNode(declaration)) continue;
    const names = declaredNames(declaration);
    const name = names[0] ?? 'default';
    const before = above;
    above = undefined;
    const covered =
      seen.has(name) ||
      names.some((one) => one.toLowerCase() === header) ||
      hasComment(file, node) ||
      (declaration.type === 'VariableDeclaration' && isNextLine(file, before, node));
    seen.add(name);
    // Constants right below each other share the comment of the first.
    if (covered && declaration.type === 'VariableDeclaration') above = node;
    if (covered) continue;
    faults.push(
      `${file.path}:${lineAt(file.text, node.start)}: ${name} is exported without a comment`,
    );
  }
  return faults;
}

/** Comments that leave something undone or switch a check off, and types that switch types off. */
export function leftovers(file: SourceFile): string[] {
  const faults: string[] = [];
  const add = (at: number, what: string): void => {
    faults.push(`${file.path}:${lineAt(file.text, at)}: ${what}`);
  };
  for (const { value, start } of file.comments) {
    if (/\bFIXME\b/.test(value)) add(start, 'FIXME never reaches main');
    if (/\bTODO\b(?!\(#\d+\))/.test(value))
      add(start, 'write TODO(#123) with the number of an issue');
    if (/@ts-(?:ignore|nocheck)\b/.test(value)) add(start, 'the type checker is not switched off');
  }
  walk(file.program, (node) => {
    if (node.type === 'TSAnyKeyword') add(node.start, 'no any: unknown, and narrow it');
    if (node.type === 'TSAsExpression' && isUnknownCast(node['expression'])) {
      add(node.start, 'no "as unknown as": a type guard, or a type that fits');
    }
  });
  return faults;
}

/** Words that mean something on one machine or on pages that are not here. */
const FOREIGN: readonly { readonly what: RegExp; readonly why: string }[] = [
  { what: /(?<![\w.])\/(?:work|root|home\/\w+|Users\/\w+)\/[\w.-]+/, why: 'a path of one machine' },
  {
    what: /\b(?:PROTOCOL|DESIGN|FACTS|FEATURES)(?:\.md\b| §)/,
    why: 'no page of this repository: cite a clause of spec/protocol.md',
  },
];

/** Mentions of one machine's paths and of pages elsewhere, in a text of any kind. */
export function foreignWords(path: string, text: string): string[] {
  return text.split('\n').flatMap((line, index) =>
    FOREIGN.flatMap(({ what, why }) => {
      const match = what.exec(line);
      return match === null ? [] : [`${path}:${index + 1}: ${match[0]}: ${why}`];
    }),
  );
}

/** The noun of a header like `Turn: the end of …`, in lower case and without spaces. */
function headerNoun(file: SourceFile): string {
  const first = file.comments[0];
  if (first?.type !== 'Block' || file.text.slice(0, first.start).trim() !== '') return '';
  const noun = /^[*\s]*([\w ]+):/.exec(first.value)?.[1] ?? '';
  return noun.replaceAll(' ', '').toLowerCase();
}

function hasComment(file: SourceFile, node: SyntaxNode): boolean {
  return file.comments.some(
    ({ type, value, end }) =>
      type === 'Block' &&
      value.startsWith('*') &&
      end <= node.start &&
      // Right above: a blank line between makes it the header of the file.
      /^[ \t]*\r?\n?[ \t]*$/.test(file.text.slice(end, node.start)),
  );
}

function isNextLine(file: SourceFile, above: SyntaxNode | undefined, node: SyntaxNode): boolean {
  return above !== undefined && /^\r?\n$/.test(file.text.slice(above.end, node.start));
}

function declaredNames(declaration: SyntaxNode): string[] {
  const declared = declaration['declarations'];
  const nodes: unknown[] = Array.isArray(declared) ? declared : [declaration];
  return nodes.flatMap((node) => {
    const id = isNode(node) ? node['id'] : undefined;
    return isNode(id) && typeof id['name'] === 'string' ? [id['name']] : [];
  });
}

function isUnknownCast(node: unknown): boolean {
  if (!isNode(node) || node.type !== 'TSAsExpression') return false;
  return isNode(node['typeAnnotation']) && node['typeAnnotation'].type === 'TSUnknownKeyword';
}
