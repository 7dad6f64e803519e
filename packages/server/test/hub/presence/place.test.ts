import {
  comparePlaces,
  formatPlace,
  parsePlace,
} from '@trunkline/server/internal/hub/presence/place.ts';
import type { Place } from '@trunkline/server/internal/hub/presence/place.ts';
import { describe, expect, test } from 'vitest';

/** In order. */
const PLACES: readonly Place[] = [
  { since: 1, session: 'z' },
  { since: 2, session: 'a' },
  { since: 2, session: 'a', user: 'alice' },
  { since: 2, session: 'a', user: 'jörg' },
  { since: 2, session: 'b' },
  { since: 10, session: 'a' },
];

describe('comparePlaces', () => {
  test('orders by time, then session, then user', () => {
    PLACES.forEach((a, indexA) => {
      PLACES.forEach((b, indexB) => {
        expect(Math.sign(comparePlaces(a, b))).toBe(Math.sign(indexA - indexB));
      });
    });
  });
});

describe('the next of a page', () => {
  test('brings the place back, and is made of letters, digits, - and _', () => {
    for (const place of PLACES) {
      const text = formatPlace(place);
      expect(text).toMatch(/^[\w-]+$/);
      expect(parsePlace(text)).toEqual(place);
    }
  });

  test.each([
    '',
    'x',
    '12',
    '~1',
    Buffer.from('{"since":1}').toString('base64url'),
    Buffer.from('[1]').toString('base64url'),
    Buffer.from('["1","a"]').toString('base64url'),
    Buffer.from('[1,2]').toString('base64url'),
    Buffer.from('[1,"a",null]').toString('base64url'),
    '['.repeat(4_000),
    Buffer.from('['.repeat(3_000)).toString('base64url'),
  ])('is refused when it is none: %j', (text) => {
    expect(() => parsePlace(text)).toThrow(expect.objectContaining({ code: 'bad_request' }));
  });
});
