import { expect, test } from 'vitest';
import { Line } from '../src/line.ts';
import { sharedStore } from '../src/shared-store.ts';
import type { Source } from '../src/shared-store.ts';
import { FakeTransport } from './support/fake-transport.ts';

/** A source whose state the test sets. */
class Counter implements Source<{ readonly count: number }> {
  count = 0;
  openings = 0;
  hasBegun = true;
  changed: () => void = () => {};

  open(changed: () => void): () => void {
    this.openings += 1;
    this.changed = changed;
    return () => (this.openings -= 1);
  }

  read(): { readonly count: number } {
    return { count: this.count };
  }
}

test('one that gains nothing by going on ends with the last who leaves', () => {
  const line = new Line('http://server.example', { transports: [new FakeTransport()] });
  const counter = new Counter();
  const store = sharedStore(line, 'counter', undefined, () => counter);
  expect(sharedStore(line, 'counter', undefined, () => new Counter())).toBe(store);
  const leave = [store.subscribe(() => {}), store.subscribe(() => {})];
  expect(counter.openings).toBe(1);
  leave[0]?.();
  expect(counter.openings).toBe(1);
  leave[1]?.();
  leave[1]?.();
  expect(counter.openings).toBe(0);
  line.close();
});

test('the state of one that nobody follows is that of the moment', () => {
  const line = new Line('http://server.example', { transports: [new FakeTransport()] });
  const counter = new Counter();
  const { get } = sharedStore(line, 'counter', undefined, () => counter);
  const before = get();
  expect(get()).toBe(before);
  counter.count = 1;
  expect(get()).toEqual({ count: 1 });
  line.close();
});
