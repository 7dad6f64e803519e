/** Codes: writes `spec/codes.md` from the registry. With `--check` it only compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CODES, reconnectAfterClose } from '../packages/wire/src/index.ts';
import type { AfterClose, Code } from '../packages/wire/src/index.ts';
import { report, ROOT } from './source.ts';

/** Where the table stands. */
export const CODES_PAGE = 'spec/codes.md';

const AFTER: Readonly<Record<AfterClose, string>> = {
  stay: 'do not come back with the same input',
  refresh: 'come back with a fresh token',
  wait: 'come back after `retryAfter`',
  reconnect: 'come back, with backoff and jitter',
};

/** The page as it must be. */
export function codesPage(): string {
  const entries: [string, Code][] = Object.entries(CODES);
  const rows = entries.map(([name, { http, close, reason, temporary }]) =>
    [
      `\`${name}\``,
      http,
      close,
      reason,
      temporary ? 'yes' : 'no',
      AFTER[reconnectAfterClose(close)],
    ].join(' | '),
  );
  return `# Codes

Generated from \`packages/wire/src/codes.ts\` by \`scripts/codes.ts\`; a test compares. On the wire an
error carries the name. A WebSocket close carries the number, and the number alone says what to do,
for numbers that are not listed here as well (clauses [CODE-1] to [CODE-5] of
[protocol.md](protocol.md)).

| code | HTTP status | WebSocket close | reason | the same input may work later | after the close |
|---|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}

A link that ends with nothing wrong is closed with 1000.
`;
}

if (import.meta.main) {
  const path = join(ROOT, CODES_PAGE);
  if (process.argv.includes('--check')) {
    const same = readFileSync(path, 'utf8') === codesPage();
    report(
      'codes',
      same ? [] : [`${CODES_PAGE} is not what the registry says: run npm run format`],
    );
  } else {
    writeFileSync(path, codesPage());
  }
}
