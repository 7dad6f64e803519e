import { VERSION } from '@trunkline/server/internal/version.ts';
import { expect, test } from 'vitest';

test('the version is that of the manifest', () => {
  expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
});
