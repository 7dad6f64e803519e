import { describe, expect, test } from 'vitest';
import { parseSource, readSources, ROOT } from '../source.ts';
import { checkTidy } from '../tidy.ts';
import { callFaults } from '../tidy/calls.ts';
import { clauseFaults } from '../tidy/clauses.ts';
import { dependencyFaults, REASONS } from '../tidy/dependencies.ts';
import {
  COMPONENT_LINES_MAX,
  FILE_LINES_MAX,
  FUNCTION_LINES_MAX,
  sizeFaults,
} from '../tidy/size.ts';
import { testFaults } from '../tidy/tests.ts';
import { foreignWords, leftovers, undocumented } from '../tidy/words.ts';
import { Tree } from './tree.ts';

/** Put together here, so that this file does not hold such a path itself. */
const WORK = 'work';

const SERVER_FILE = 'packages/server/src/hub/a.ts';

test('the repository is tidy', () => {
  expect(checkTidy(ROOT)).toEqual([]);
});

describe('calls', () => {
  const faults = (text: string, path = SERVER_FILE) => callFaults(parseSource(path, text));

  test.each([
    ['Date.now()', 'clock'],
    ['new Date()', 'clock'],
    ['performance.now()', 'clock'],
    ['const now = performance.now', 'clock'],
    ['process.hrtime.bigint()', 'clock'],
    ['setTimeout(f, 5)', 'clock.after'],
    ['globalThis.x ?? setInterval(f, 5)', 'clock.after'],
    ['setImmediate(f)', 'clock.defer'],
    ['const options = { setTimeout }', 'clock.after'],
    [`import { setTimeout as sleep } from 'node:timers/promises'`, 'the clock'],
    ['Math.random()', 'random'],
    ['console.log(1)', 'a Log'],
    ['const { log } = console', 'a Log'],
  ])('%s names its replacement', (text, replacement) => {
    const found = faults(`declare const f: () => void;\n${text};`);
    expect(found[0]).toContain(`${SERVER_FILE}:2: `);
    expect(found[0]).toContain(`use ${replacement}`);
  });

  test.each([
    'new Date(0)',
    'socket.setTimeout(0)',
    'const x = { setTimeout: 1, console: 2 }',
    'class Own { setTimeout() {} }',
    '// Date.now()',
    'const text = "Math.random()"',
  ])('%s is no such call', (text) => {
    expect(faults(text)).toEqual([]);
  });

  test('time and chance come from two files', () => {
    expect(faults('Date.now(); setTimeout(f, 1)', 'packages/server/src/clock.ts')).toEqual([]);
    expect(faults('Math.random()', 'packages/server/src/random.ts')).toEqual([]);
    expect(faults('Math.random()', 'packages/server/src/clock.ts')).toHaveLength(1);
  });

  test('programs may speak', () => {
    expect(faults('console.log(1)', 'packages/cli/src/main.ts')).toEqual([]);
    expect(faults('console.log(1)', 'packages/wire/src/a.ts')).toHaveLength(1);
  });
});

describe('size', () => {
  const lines = (count: number) => '  f();\n'.repeat(count);
  const faults = (text: string, path = SERVER_FILE) => sizeFaults(parseSource(path, text));

  test('files end somewhere', () => {
    expect(faults('f();\n'.repeat(FILE_LINES_MAX))).toEqual([]);
    expect(faults('f();\n'.repeat(FILE_LINES_MAX + 1))).toHaveLength(1);
  });

  test.each([
    { name: 'a function', open: 'function a() {', close: '}' },
    { name: 'an arrow function', open: 'const a = () => {', close: '};' },
    { name: 'a method', open: 'const a = { b() {', close: '} };' },
  ])('$name can be seen at once', ({ open, close }) => {
    const text = (count: number) => `${open}\n${lines(count)}${close}`;
    expect(faults(text(FUNCTION_LINES_MAX - 2))).toEqual([]);
    expect(faults(text(FUNCTION_LINES_MAX - 1))).toEqual([
      expect.stringMatching(/a\.ts:1: function of 71 lines, at most 70/),
    ]);
    const component = `packages/console/src/a.tsx`;
    expect(faults(text(COMPONENT_LINES_MAX - 2), component)).toEqual([]);
    expect(faults(text(COMPONENT_LINES_MAX - 1), component)).toHaveLength(1);
  });

  test('a suite may be long, a test may not', () => {
    const one = `test('a', () => {\n${lines(50)}});\n`;
    const suite = (inner: string) => `describe.each([])('s', () => {\n${inner}});`;
    expect(faults(suite(one.repeat(3)))).toEqual([]);
    expect(faults(suite(`test('a', () => {\n${lines(70)}});\n`))).toHaveLength(1);
    expect(faults(suite(lines(70)))).toHaveLength(1);
  });
});

describe('words', () => {
  const undone = (text: string) => leftovers(parseSource(SERVER_FILE, text));

  test.each([
    '// FIXME',
    '// TODO: later',
    '/* TODO later */',
    '// @ts-ignore',
    'let x: any;',
    'type X = Map<string, any>;',
    'const x = y as unknown as string;',
  ])('%s is left over', (text) => {
    expect(undone(text)).toHaveLength(1);
  });

  test.each(['// TODO(#12): later', '// any', 'const x = y as unknown;', 'const TODO = 1;'])(
    '%s is not',
    (text) => {
      expect(undone(text)).toEqual([]);
    },
  );

  const bare = (text: string) => undocumented(parseSource(SERVER_FILE, text));

  test.each([
    'export const a = 1;',
    'export function a(): void {}',
    'export class A {}',
    'export interface A {}',
    'export type A = 1;',
    'export default function () {}',
    '// Not a comment for readers of the API.\nexport const a = 1;',
    '/** Header: of the file. */\n\nexport const a = 1;',
    '/** A. */\nexport const a = 1;\n\nexport const b = 1;',
  ])('%j has an exported symbol without a comment', (text) => {
    expect(bare(text)).toHaveLength(1);
  });

  test.each([
    '/** A. */\nexport const a = 1;',
    '/** A. */ export const a = 1;',
    '/** Bounds. */\nexport const A_MAX = 1;\nexport const B_MAX = 2;',
    '/** Turn: the end of a turn. */\n\nexport class Turn {}',
    '/**\n * Shared batch: many links.\n */\nimport "./b.ts";\nexport class SharedBatch {}',
    '/** A. */\nexport function a(x: 1): 1;\nexport function a(x: 2): 2;\nexport function a(x: 1 | 2) { return x; }',
    'export { a } from "./b.ts";\nexport * from "./b.ts";',
    'const a = 1;',
  ])('%j has none', (text) => {
    expect(bare(text)).toEqual([]);
  });

  test.each([`/${WORK}/main/a.ts`, 'in /root/x', '/home/me/x', 'PROTOCOL.md', 'see DESIGN §6'])(
    '%s means nothing here',
    (text) => {
      expect(foreignWords('README.md', `first\n${text}`)).toEqual([
        expect.stringMatching(/^README\.md:2: /),
      ]);
    },
  );

  test.each([
    'spec/protocol.md',
    'https://example.com/work',
    `a/${WORK}/b/`,
    'PROTOCOL',
    'PROTOCOL_1',
  ])('%s does', (text) => {
    expect(foreignWords('README.md', text)).toEqual([]);
  });
});

describe('tests', () => {
  const CODE = '/** A. */\nexport function a(): void {}\n';
  const faults = (files: Readonly<Record<string, string>>) => {
    using tree = new Tree({ 'packages/server/package.json': '{"name":"@trunkline/server"}' });
    for (const [path, text] of Object.entries(files)) tree.write(`packages/server/${path}`, text);
    return testFaults(tree.root, readSources(tree.root, 'packages/*/{src,test}/**/*.ts'));
  };

  test('a file without one is named', () => {
    expect(faults({ 'src/hub/a.ts': CODE })).toEqual([
      expect.stringContaining('expected packages/server/test/hub/a.test.ts'),
    ]);
  });

  test('a test of the same folder counts for all it reaches there', () => {
    const files = {
      'src/hub/a.ts': `import './b.ts';`,
      'src/hub/b.ts': `import '../http/c.ts';`,
      'src/http/c.ts': CODE,
    };
    const inside = faults({ ...files, 'test/hub/a.test.ts': `import '../../src/hub/a.ts';` });
    expect(inside).toEqual([expect.stringContaining('src/http/c.ts: no test')]);
    const byName = `import '@trunkline/server/internal/hub/a.ts';`;
    expect(faults({ ...files, 'test/hub/a.test.ts': byName })).toEqual(inside);
    expect(faults({ ...files, 'test/http/c.test.ts': byName })).toEqual([]);
  });

  test('types and plain constants need none', () => {
    const text = `import type { B } from './b.ts';\nexport interface A {}\nexport type C = B;\nexport const D_MAX = 64 * 1024;\nexport { e } from './e.ts';`;
    expect(faults({ 'src/hub/a.ts': text })).toEqual([]);
  });
});

describe('dependencies', () => {
  const faults = (page: string) => {
    using tree = new Tree({
      'package.json': '{"devDependencies":{"vitest":"1"}}',
      'packages/server/package.json':
        '{"name":"@trunkline/server","dependencies":{"jose":"1","@trunkline/wire":"1"}}',
      [REASONS]: page,
    });
    return dependencyFaults(tree.root);
  };

  test('each has its line', () => {
    expect(faults('- `jose`: tokens.\n- `vitest`: tests.\n')).toEqual([]);
    expect(faults('- `vitest`: uses `jose`.\n')).toEqual([
      expect.stringContaining('why jose is there'),
    ]);
  });

  test('what is gone has none', () => {
    expect(faults('- `jose`: a.\n- `vitest`: b.\n- `ws`: c.\n')).toEqual([
      expect.stringContaining('ws is no dependency'),
    ]);
  });
});

describe('clauses', () => {
  const faults = (page: string, text: string) => {
    using tree = new Tree({ 'spec/protocol.md': page, 'a.ts': text });
    return clauseFaults(tree.root, ['a.ts']);
  };

  test('what is cited is there', () => {
    expect(faults('- **[REC-1]** One.\n', '// [REC-1], [MQTT-3.1.2-2], [XYZ-1]')).toEqual([]);
    expect(faults('- **[REC-1]** One.\n', '// [REC-2]')).toEqual([
      'a.ts: [REC-2] is no clause of spec/',
    ]);
    expect(faults('- **[REC-1]** One.\n', '{"clauses":["REC-3"]}')).toHaveLength(1);
  });

  test('a number is given once', () => {
    expect(faults('- **[REC-1]** One.\n- **[REC-1]** Two.\n', '')).toHaveLength(1);
  });
});
