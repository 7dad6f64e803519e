import { goodbyeEvent } from '@trunkline/server/internal/transports/sse/goodbye.ts';
import { expect, test } from 'vitest';

test.each([
  [{ code: 'unauthenticated' }, 'retry: 1000\nevent: close\ndata: {"code":"unauthenticated"}\n\n'],
  [
    { code: 'draining', retryAfter: 70 },
    'retry: 70\nevent: close\ndata: {"code":"draining","retryAfter":70}\n\n',
  ],
  // An event stream that ends is asked for again, so there is no end that is "normal".
  [{ code: 'normal' }, 'retry: 1000\nevent: close\ndata: {"code":"draining"}\n\n'],
] as const)('a stream that ends with %o says so, and when to come back [SSE-6]', (close, text) => {
  expect(goodbyeEvent(close, 1_000)).toBe(text);
});
