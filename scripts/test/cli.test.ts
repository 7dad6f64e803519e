import { expect, test } from 'vitest';
import { CLI_PAGE, cliPage } from '../cli.ts';
import { readText, ROOT } from '../source.ts';

test('the page of the command line is what the commands say', () => {
  expect(readText(ROOT, CLI_PAGE)).toBe(cliPage());
});
