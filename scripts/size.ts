/**
 * Size: what the client adds to an application, bundled, minified and compressed as applications do
 * it, against a budget for each way to use it. Fails when one is over.
 *
 * Whoever makes the client smaller lowers the budget; whoever raises one says why in the commit.
 */
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import type { Plugin, Rolldown } from 'vite';
import { ROOT } from './source.ts';

/** One way to use the client. */
export interface Use {
  /** What it has, and where that is not all, what it has not. */
  readonly name: string;
  /** The module of an application. What it exports is what it uses. */
  readonly code: string;
  /** KB (1,000 bytes) after gzip. */
  readonly budget: number;
}

/** A line that has these transports and features, and nothing else. */
function core(transports: string, features = ''): string {
  return `import { Line } from '@trunkline/client/core';
    import { ${transports}, ${features} } from '@trunkline/client';
    const options = { transports: [${transports}], features: { ${features} } };
    export const line = (url) => new Line(url, options);`;
}

/** All that is watched. */
export const USES: readonly Use[] = [
  {
    name: 'core with WebSocket, without features',
    code: core('websocket'),
    budget: 13.3,
  },
  {
    name: 'core with WebSocket and SSE, without features',
    code: core('websocket, sse'),
    budget: 17.7,
  },
  {
    name: 'core with WebSocket, SSE, outbox and ladder',
    code: core('websocket, sse', 'ladder, outbox'),
    budget: 20.6,
  },
  {
    name: 'connect: all transports, all features',
    code: `export { connect } from '@trunkline/client';`,
    budget: 24.9,
  },
  {
    name: 'one connection for all tabs, over WebSocket and SSE',
    code: `import { connect, sse, websocket } from '@trunkline/client';
      import { sharedTransport } from '@trunkline/client/tabs';
      const transports = [websocket, sse];
      export const line = (url) => connect(url, { transports: [sharedTransport({ transports })] });`,
    budget: 31.3,
  },
  {
    name: 'the React hooks with connect',
    code: `export { connect } from '@trunkline/client'; export * from '@trunkline/react';`,
    budget: 26.3,
  },
  {
    name: 'connect with the developer overlay',
    code: `export { connect } from '@trunkline/client';
      export { attachDevtools } from '@trunkline/client/devtools';`,
    budget: 30,
  },
];

/** What an application has whether it uses the client or not. */
const EXTERNAL = [/^react(?:\/|$)/];
/** Where the module of an application seems to be: packages are found from there. */
const ENTRY = `${ROOT}packages/application.js`;

/** Bytes after gzip that an application of this code loads. */
export async function sizeOf(code: string): Promise<number> {
  const application: Plugin = {
    name: 'application',
    resolveId: (id) => (id === ENTRY ? id : undefined),
    load: (id) => (id === ENTRY ? code : undefined),
  };
  const built = await build({
    root: ROOT,
    configFile: false,
    publicDir: false,
    logLevel: 'error',
    plugins: [application],
    build: {
      write: false,
      target: 'es2022',
      minify: true,
      modulePreload: false,
      rolldownOptions: {
        input: ENTRY,
        preserveEntrySignatures: 'strict',
        external: EXTERNAL,
      },
    },
  });
  const { output } = built as Rolldown.RolldownOutput;
  return output
    .map((file) => gzipSync(file.type === 'chunk' ? file.code : file.source).length)
    .reduce((total, size) => total + size, 0);
}

/** A use in one line; `isOver` when it is larger than its budget. */
export async function checkUse(use: Use): Promise<{ line: string; isOver: boolean }> {
  const size = (await sizeOf(use.code)) / 1000;
  const isOver = size > use.budget;
  const line = `${use.name}: ${size.toFixed(1)} KB of ${use.budget.toFixed(1)} KB`;
  return { line: isOver ? `${line}: OVER` : line, isOver };
}

if (import.meta.main) {
  for (const use of USES) {
    const { line, isOver } = await checkUse(use);
    console.log(line);
    if (isOver) process.exitCode = 1;
  }
}
