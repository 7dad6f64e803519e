import { expect, test } from 'vitest';
import { Place } from '../../../src/backplanes/embedded/place.ts';

test('is the same text for as long as nothing is announced, and never goes back', () => {
  const place = new Place({ id: 'x', run: 3, sequence: 7 });
  expect(place.text).toBe('~e.x.3.7.0');
  place.reach(7);
  place.reach(6);
  expect(place.text).toBe('~e.x.3.7.0');
  place.reach(8);
  expect(place.text).toBe('~e.x.3.8.0');
  place.reachInMemory(2);
  place.reachInMemory(1);
  expect(place.text).toBe('~e.x.3.8.2');
});
