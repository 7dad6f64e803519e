/** Calls that tidy code does not make, each with what to use instead. */
import { lineAt, referencesOf, walk } from '../source.ts';
import type { SourceFile, SyntaxNode } from '../source.ts';

interface Ban {
  /** As written: a global name, a member of one, or a module. */
  readonly what: string;
  readonly instead: string;
  readonly where: RegExp;
  readonly except?: RegExp;
}

/** Where time and chance are parameters, and the files that give them. */
const TIMED = /^packages\/(?:server|client|testkit)\/src\//;
const TIME_GIVERS = /^packages\/(?:server\/src\/clock|client\/src\/platform)\.ts$/;
const CHANCE_GIVERS = /^packages\/(?:server\/src\/random|client\/src\/platform)\.ts$/;
/** Programs that talk to a person. */
const SPEAKING = /^(?:packages\/(?:cli|lab|console)|scripts|examples)\//;

const clock = (what: string, instead: string): Ban => ({
  what,
  instead,
  where: TIMED,
  except: TIME_GIVERS,
});

const BANS: readonly Ban[] = [
  clock('Date.now', 'clock.unixMs() or clock.monotonicMs()'),
  clock('performance.now', 'clock.monotonicMs()'),
  clock('process.hrtime', 'clock.monotonicMs()'),
  clock('setTimeout', 'clock.after(…)'),
  clock('setInterval', 'clock.after(…), again and again'),
  {
    what: 'setImmediate',
    instead: 'clock.defer(…)',
    where: TIMED,
    // The manual clock lets promises settle between two of its moments.
    except:
      /^packages\/(?:server\/src\/clock|client\/src\/platform|testkit\/src\/manual-clock)\.ts$/,
  },
  clock('node:timers', 'the clock'),
  clock('node:timers/promises', 'the clock'),
  {
    what: 'Math.random',
    instead: 'random.fraction()',
    where: TIMED,
    except: CHANCE_GIVERS,
  },
  {
    what: 'console',
    instead: 'a Log',
    where: /^packages\/|^scripts\/|^examples\//,
    except: SPEAKING,
  },
  { what: 'process.exit', instead: 'process.exitCode', where: /^packages\/(?!cli\/|lab\/)/ },
];

/** Banned calls and modules in one file. */
export function callFaults(file: SourceFile): string[] {
  const bans = BANS.filter(
    ({ where, except }) => where.test(file.path) && !except?.test(file.path),
  );
  if (bans.length === 0) return [];
  const faults: string[] = [];
  const check = (name: string, line: number): void => {
    const ban = bans.find(({ what }) => what === name);
    if (ban !== undefined) faults.push(`${file.path}:${line}: ${name}: use ${ban.instead}`);
  };
  for (const { specifier, line } of referencesOf(file)) check(specifier, line);
  walk(file.program, (node, parent) => {
    if (node.type === 'Identifier' && !isOwnName(node, parent)) {
      const name = String(node['name']);
      const at = lineAt(file.text, node.start);
      check(name, at);
      if (parent?.type === 'MemberExpression' && parent['object'] === node) {
        check(`${name}.${memberName(parent)}`, at);
      }
    }
    if (isBareDate(node)) check('Date.now', lineAt(file.text, node.start));
  });
  return faults;
}

/** True for a name that is a member or a key, not a use of the global with that name. */
function isOwnName(node: SyntaxNode, parent: SyntaxNode | undefined): boolean {
  if (parent === undefined || parent['computed'] === true) return false;
  if (parent.type === 'MemberExpression') return parent['property'] === node;
  return parent['key'] === node && parent['shorthand'] !== true;
}

function memberName(member: SyntaxNode): string {
  const property = member['property'] as SyntaxNode;
  return String(property['name'] ?? property['value']);
}

/** `new Date()` reads the clock; `new Date(ms)` does not. */
function isBareDate(node: SyntaxNode): boolean {
  if (node.type !== 'NewExpression') return false;
  const callee = node['callee'] as SyntaxNode;
  return callee['name'] === 'Date' && (node['arguments'] as unknown[]).length === 0;
}
