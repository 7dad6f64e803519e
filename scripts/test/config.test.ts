import { expect, test } from 'vitest';
import { settingsOf } from '../../packages/server/src/config/field.ts';
import { serverConfigSchema } from '../../packages/server/src/config/schema.ts';
import { CONFIG_PAGE, configPage } from '../config.ts';
import { readText, ROOT } from '../source.ts';

test('the page of the configuration is what the schema says', () => {
  expect(readText(ROOT, CONFIG_PAGE)).toBe(configPage());
});

test('the page has every setting once, with its environment variable and its flag', () => {
  const page = configPage();
  for (const { path, env, flag } of settingsOf(serverConfigSchema)) {
    // They have a table of their own.
    if (path[0] === 'namespaces') continue;
    const rows = page.split('\n').filter((line) => line.startsWith(`| \`${path.join('.')}\` |`));
    expect(rows).toHaveLength(1);
    if (env !== undefined) expect(rows[0]).toContain(`\`${env}\``);
    if (flag !== undefined) expect(rows[0]).toContain(`\`${flag}\``);
  }
});
