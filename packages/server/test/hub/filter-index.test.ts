import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { FilterIndex } from '@trunkline/server/internal/hub/filter-index.ts';
import { matchesPattern } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';

/** The same by trying each: what the index must agree with. */
class ModelIndex {
  readonly #pairs = new Map<string, { filter: string; value: number }>();

  get size(): number {
    return this.#pairs.size;
  }

  get pairs(): readonly { filter: string; value: number }[] {
    return [...this.#pairs.values()];
  }

  add(filter: string, value: number): void {
    this.#pairs.set(`${value} ${filter}`, { filter, value });
  }

  remove(filter: string, value: number): void {
    this.#pairs.delete(`${value} ${filter}`);
  }

  match(name: string): number[] {
    const found = this.pairs.filter(({ filter }) => matchesPattern(filter, name));
    return [...new Set(found.map(({ value }) => value))];
  }
}

const sorted = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);

// Few and alike, so that filters share runs, part inside them, and begin with each other's letters.
const SEGMENTS = ['', 'a', 'ab', 'b', '@', '@a', '$', 'ä'];

function randomName(random: SeededRandom): string {
  const count = 1 + random.integer(5);
  const name = Array.from({ length: count }, () => random.pick(SEGMENTS)).join('/');
  return name === '' ? 'a' : name;
}

function randomFilter(random: SeededRandom): string {
  const segments = randomName(random)
    .split('/')
    .map((segment) => (random.chance(0.3) ? '+' : segment));
  if (random.chance(0.3)) segments[segments.length - 1] = '#';
  return segments.join('/');
}

/** Does the same to an index and to the model until they disagree; says how, or nothing. */
function disagreement(index: FilterIndex<number>, seed: number): string | undefined {
  const random = seededRandom(seed);
  const model = new ModelIndex();
  // Some runs stay small, so that nodes are pruned and joined all the time.
  const sizeMax = random.pick([3, 12, 60]);
  for (let step = 0; step < 300; step += 1) {
    const version = index.version;
    const pair = random.chance(model.size / sizeMax / 2) ? random.pick(model.pairs) : undefined;
    const filter = pair?.filter ?? randomFilter(random);
    const value = pair?.value ?? random.integer(6);
    const before = model.size;
    const verb = pair === undefined && !random.chance(0.1) ? 'add' : 'remove';
    index[verb](filter, value);
    model[verb](filter, value);
    const at = `seed ${seed}, step ${step}, after ${verb} ${filter}`;
    if (index.size !== model.size) return `${at}: size ${index.size}, not ${model.size}`;
    const values = new Set(model.pairs.map((one) => one.value)).size;
    if (index.valueCount !== values) return `${at}: ${index.valueCount} values, not ${values}`;
    if (model.size !== before && index.version === version) return `${at}: version stands still`;
    // A tree of the same filters made afresh is as small as it gets.
    if (step % 10 === 0) {
      const fresh = new FilterIndex<number>();
      for (const one of model.pairs) fresh.add(one.filter, one.value);
      if (index.nodeCount !== fresh.nodeCount) {
        return `${at}: ${index.nodeCount} nodes, not ${fresh.nodeCount}`;
      }
    }
    for (const name of [randomName(random), randomName(random), filter.replaceAll(/[+#]/g, 'a')]) {
      if (name === '') continue;
      const found = sorted(index.match(name)).join();
      if (index.matchesAny(name) !== (found !== '')) return `${at}: matchesAny of ${name}`;
      const expected = sorted(model.match(name)).join();
      if (found !== expected) return `${at}: ${name} finds ${found}, not ${expected}`;
    }
  }
  for (const { filter, value } of model.pairs) index.remove(filter, value);
  if (index.size !== 0 || index.nodeCount !== 0)
    return `seed ${seed}: ${index.nodeCount} nodes left`;
  return undefined;
}

const SEEDS = Array.from({ length: 100 }, (_, index) => index + 1);

describe('FilterIndex', () => {
  test('[CH-3] finds what trying each filter finds, while filters come and go', () => {
    const found = SEEDS.map((seed) => disagreement(new FilterIndex<number>(), seed));
    expect(found.filter((one) => one !== undefined)).toEqual([]);
  });

  test('[CH-3] finds what trying each finds, over all small filters and names at once', () => {
    const segments = ['', 'a', '@', '$'];
    const names = segments.flatMap((one) => [
      one,
      ...segments.flatMap((two) => [`${one}/${two}`, ...segments.map((x) => `${one}/${two}/${x}`)]),
    ]);
    const parts = [...segments, '+'];
    const filters = parts.flatMap((one) => [
      one,
      `${one}/#`,
      ...parts.flatMap((two) => [
        `${one}/${two}`,
        `${one}/${two}/#`,
        ...parts.map((three) => `${one}/${two}/${three}`),
      ]),
    ]);
    const all = ['#', ...filters].filter((filter) => filter !== '');
    const index = new FilterIndex<string>();
    for (const filter of all) index.add(filter, filter);
    for (const name of names.filter((one) => one !== '')) {
      const expected = all.filter((filter) => matchesPattern(filter, name));
      expect(index.match(name).toSorted(), name).toEqual(expected.toSorted());
    }
  });

  test('finds a value once, however many of its filters match', () => {
    const index = new FilterIndex<string>();
    for (const filter of ['#', 'a/#', 'a/+', 'a/b', '+/b', '+/+/#']) index.add(filter, 'selection');
    index.add('a/+', 'other');
    expect(index.match('a/b').toSorted()).toEqual(['other', 'selection']);
    index.remove('a/b', 'selection');
    expect(index.match('a/b').toSorted()).toEqual(['other', 'selection']);
    expect(index.size).toBe(6);
  });

  test('counts a pair once, and takes it back at once', () => {
    const index = new FilterIndex<string>();
    index.add('a/+', 'one');
    const { version } = index;
    index.add('a/+', 'one');
    expect([index.size, index.version]).toEqual([1, version]);
    index.remove('a/+', 'one');
    expect(index.match('a/b')).toEqual([]);
    expect(index.version).not.toBe(version);
  });

  test('takes it for no error to remove what is not there', () => {
    const index = new FilterIndex<string>();
    index.add('a/b/c', 'one');
    const { version } = index;
    for (const filter of ['a', 'a/b', 'a/b/c/d', 'a/b/#', 'a/b/c/#', '#', '+', 'x']) {
      index.remove(filter, 'one');
    }
    index.remove('a/b/c', 'two');
    expect([index.size, index.version, index.nodeCount]).toEqual([1, version, 1]);
    expect(index.match('a/b/c')).toEqual(['one']);
  });

  test('appends to the list it is given', () => {
    const index = new FilterIndex<string>();
    index.add('a/#', 'one');
    const into = ['kept'];
    expect(index.match('a', into)).toBe(into);
    expect(into).toEqual(['kept', 'one']);
  });

  test('keeps one node for a filter that shares nothing, however many segments it has', () => {
    const index = new FilterIndex<string>();
    index.add('+/'.repeat(127) + '#', 'deep');
    index.add('a' + '/'.repeat(254), 'empty');
    expect(index.nodeCount).toBe(2);
    expect(index.match('a' + '/'.repeat(254)).toSorted()).toEqual(['deep', 'empty']);
    expect(index.match('/'.repeat(255))).toEqual(['deep']);
    expect(index.match('/'.repeat(125))).toEqual([]);
  });
});

/** Bugs that such an index may well have; the model must find each of them. */
const BUGS: Readonly<Record<string, () => FilterIndex<number>>> = {
  'lets a leading wildcard match what is private': () =>
    new (class extends FilterIndex<number> {
      override match(name: string, into: number[] = []): number[] {
        return [...new Set([...super.match(name, into), ...super.match(name.replace(/^@/, 'x'))])];
      }
    })(),
  'forgets the parent of #': () =>
    new (class extends FilterIndex<number> {
      override add(filter: string, value: number): void {
        super.add(filter.replace(/\/#$/, '/+/#'), value);
      }

      override remove(filter: string, value: number): void {
        super.remove(filter.replace(/\/#$/, '/+/#'), value);
      }
    })(),
  'prunes more than was added': () =>
    new (class extends FilterIndex<number> {
      override remove(filter: string, value: number): void {
        super.remove(filter, value);
        super.remove(filter.replace(/[^/]+$/, '#'), value);
      }
    })(),
  'never prunes': () =>
    new (class extends FilterIndex<number> {
      #most = 0;

      override get nodeCount(): number {
        this.#most = Math.max(this.#most, super.nodeCount);
        return this.#most;
      }
    })(),
  'drops empty segments': () =>
    new (class extends FilterIndex<number> {
      override match(name: string, into: number[] = []): number[] {
        return super.match(name.replace(/\/$/, ''), into);
      }
    })(),
  'finds a value once for each filter': () =>
    new (class extends FilterIndex<number> {
      override match(name: string, into: number[] = []): number[] {
        super.match(name, into);
        return name.endsWith('b') ? [...into, ...into] : into;
      }
    })(),
  'says nothing of a removal': () =>
    new (class extends FilterIndex<number> {
      #removals = 0;

      override get version(): number {
        return super.version - this.#removals;
      }

      override remove(filter: string, value: number): void {
        const before = super.version;
        super.remove(filter, value);
        this.#removals += super.version - before;
      }
    })(),
};

describe('the model', () => {
  test.each(Object.entries(BUGS))('finds an index that %s', (_bug, create) => {
    const found = SEEDS.slice(0, 20).map((seed) => disagreement(create(), seed));
    expect(found.some((one) => one !== undefined)).toBe(true);
  });
});
