import { expect, test } from 'vitest';
import * as published from '../src/event-stream.ts';
import * as own from '../src/transports/event-stream.ts';

test('the parser that is published is the one that the client uses', () => {
  expect(published.EventStreamParser).toBe(own.EventStreamParser);
});
