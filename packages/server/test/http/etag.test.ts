import { matchesEtag } from '@trunkline/server/internal/http/etag.ts';
import { expect, test } from 'vitest';

test.each([
  { header: undefined, matches: false },
  { header: '', matches: false },
  { header: '"b"', matches: false },
  { header: '"a"', matches: true },
  { header: 'W/"a"', matches: true },
  { header: '"b", W/"a"', matches: true },
  { header: ' * ', matches: true },
  { header: 'a', matches: false },
])('If-None-Match $header against "a": $matches', ({ header, matches }) => {
  expect(matchesEtag(header, 'W/"a"')).toBe(matches);
  expect(matchesEtag(header, '"a"')).toBe(matches);
});
