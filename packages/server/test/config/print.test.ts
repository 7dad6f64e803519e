import { describe, expect, test } from 'vitest';
import { resolveConfig } from '@trunkline/server/internal/config/load.ts';
import { configLines, printConfig } from '@trunkline/server/internal/config/print.ts';

describe('config print', () => {
  const loaded = resolveConfig({
    env: { TRUNKLINE_API_KEY: 'hunter2,hunter3', TRUNKLINE_SECRET: 'hunter4' },
    flags: new Map([['port', '9000']]),
  });

  test('shows value, unit and source of every setting', () => {
    const text = printConfig(configLines(loaded));
    expect(text).toMatch(/^port +9000 +flag --port$/m);
    expect(text).toMatch(/^link\.pongMs +10000 ms +default$/m);
    expect(text).toMatch(/^node +\(unset\) +default$/m);
    expect(text.endsWith('\n')).toBe(true);
  });

  test('hides what users have, but not their names', () => {
    const password = `scrypt$1024$8$1$${'A'.repeat(22)}$${'A'.repeat(43)}`;
    const users = { ann: { password } };
    const file = { path: 'a.yaml', value: { auth: { users } } };
    const text = printConfig(configLines(resolveConfig({ file })));
    expect(text).toMatch(/^auth\.users +\{"ann":"\(hidden\)"\} +file a\.yaml$/m);
    expect(text).not.toContain('scrypt');
  });

  test('hides secrets but says that they are set', () => {
    const text = printConfig(configLines(loaded));
    expect(text).not.toContain('hunter');
    expect(text).toMatch(/^auth\.apiKeys +\["\(hidden\)","\(hidden\)"\] +environment/m);
    expect(text).toMatch(/^secret +"\(hidden\)" +environment TRUNKLINE_SECRET$/m);
    expect(text).toMatch(/^auth\.jwtSecret +\(unset\) +default$/m);
  });
});
