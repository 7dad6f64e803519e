import { expect, test } from 'vitest';
import { Subscription } from '../../src/reading/subscription.ts';
import type { ReadingOptions } from '../../src/reading/subscription.ts';

const listener = { onEvent: () => {}, onEnd: () => {} };

test.each<[ReadingOptions, hasBegun: boolean, wantsOwnStart: boolean]>([
  [{}, false, false],
  [{ presence: true }, false, false],
  [{ last: 5 }, false, true],
  [{ snapshot: true }, false, true],
  [{ after: 'e:3' }, true, false],
  [{ after: 'e:3', last: 5 }, true, false],
])('with %j has begun: %s, wants a start of its own: %s', (options, hasBegun, wantsOwnStart) => {
  const subscription = new Subscription('a', options, listener);
  expect([subscription.hasBegun, subscription.wantsOwnStart]).toEqual([hasBegun, wantsOwnStart]);
  expect(subscription.place.after).toBe(options.after);
});
