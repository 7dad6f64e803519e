/**
 * Wildcards: what finding the filters of a channel costs, for the usual and for the worst.
 *
 *   npx node packages/lab/bench/wildcards.ts
 *
 * It takes some ten seconds and needs no other program. Times are of the CPU, medians of nine rounds.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FilterIndex } from '@trunkline/server/internal/hub/filter-index.ts';

const FILTER_COUNT = 100_000;
const NAME_COUNT = 1_000_000;
const ROUNDS = 9;
/** Names that are looked up in one round. */
const LOOKUPS = 100_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

interface Case {
  readonly what: string;
  readonly filters: readonly string[];
  readonly names: readonly string[];
  /** Names looked up in one round; fewer where one is slow. */
  readonly lookups?: number;
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** Filters of `+` and `x`, which all match `x/x/…` up to the last segment, and no two are the same. */
function lattice(filterCount: number, segmentCount: number, end: string): string[] {
  return numbers(filterCount).map((index) => {
    const segments = numbers(segmentCount).map((at) => ((index >> (at % 17)) & 1 ? '+' : 'x'));
    return [...segments, end].join('/');
  });
}

/** What applications ask for: mostly below one name, seldom across all. */
function usualFilter(index: number): string {
  switch (index % 10) {
    case 0:
      return `org/${index % 2_000}/team/${index}/#`;
    case 1:
      return `device/+/sensor/${index}`;
    case 2:
      return `+/alerts/${index}`;
    default:
      return `room/${index}/+`;
  }
}

/** A number that jumps about, so that neighbours in time are none in memory. */
const scattered = (index: number): number => Math.imul(index, 0x9e3779b1) >>> 0;

function usualName(index: number): string {
  const number = scattered(index) % FILTER_COUNT;
  switch (index % 4) {
    case 0:
      return `org/${number % 2_000}/team/${number}/chat/${index}`;
    case 1:
      return `device/${index}/sensor/${number}`;
    case 2:
      return `room/${number}/messages`;
    default:
      return `user/${index}/inbox`;
  }
}

const USUAL_FILTERS = numbers(FILTER_COUNT).map(usualFilter);
const USUAL_NAMES = numbers(NAME_COUNT).map(usualName);

const CASES: readonly Case[] = [
  {
    what: '100,000 usual filters, 1,000,000 names',
    filters: USUAL_FILTERS,
    names: USUAL_NAMES,
  },
  {
    what: 'the same, and 100 filters that match every name',
    filters: [...USUAL_FILTERS, ...numbers(50).flatMap(() => ['#', '+/#'])],
    names: USUAL_NAMES,
  },
  {
    what: '100,000 plain names as filters',
    filters: numbers(FILTER_COUNT).map((index) => `room/${index}/messages`),
    names: numbers(FILTER_COUNT).map((index) => `room/${scattered(index) % 200_000}/messages`),
  },
  {
    what: 'a name of 128 empty segments, 254 filters of + and #',
    filters: numbers(127).flatMap((count) => [`${'+/'.repeat(count)}+`, `${'+/'.repeat(count)}#`]),
    names: ['/'.repeat(127)],
    lookups: 20_000,
  },
  {
    what: '5,000 filters of 18 segments that all match',
    filters: lattice(5_000, 17, '#'),
    names: [`${'x/'.repeat(17)}x`],
    lookups: 200,
  },
  {
    what: '100,000 filters of 18 segments that all match but for the last',
    filters: lattice(FILTER_COUNT, 17, 'z'),
    names: [`${'x/'.repeat(17)}y`],
    lookups: 3,
  },
  {
    what: '100,000 filters of 127 segments that all match but for the last',
    filters: lattice(FILTER_COUNT, 126, 'z'),
    names: [`${'x/'.repeat(126)}y`],
    lookups: 3,
  },
];

for (const one of CASES) measure(one);

function measure({ what, filters, names, lookups = LOOKUPS }: Case): void {
  const index = new FilterIndex<number>();
  const before = heapBytes();
  const addNs = timed(() => filters.forEach((filter, value) => index.add(filter, value)));
  const bytes = heapBytes() - before;

  const found: number[] = [];
  let foundCount = 0;
  let at = 0;
  const rounds = numbers(ROUNDS).map(() => {
    foundCount = 0;
    return timed(() => {
      for (let count = 0; count < lookups; count += 1) {
        found.length = 0;
        index.match(names[at % names.length] ?? '', found);
        foundCount += found.length;
        at += 1;
      }
    });
  });
  const removeNs = timed(() => filters.forEach((filter, value) => index.remove(filter, value)));
  if (index.nodeCount !== 0) throw new Error(`${what}: ${index.nodeCount} nodes are left`);

  console.log(what);
  const sorted = rounds.map((ns) => ns / lookups / 1_000).toSorted((a, b) => a - b);
  const [lowest = 0, median = 0, highest = 0] = [0, ROUNDS >> 1, ROUNDS - 1].map((i) => sorted[i]);
  const range = `${figure(lowest)}–${figure(highest)}`;
  console.log(`  match ${figure(median)} µs (${range}), ${figure(foundCount / lookups)} found`);
  // A few filters are added in less than the clock of the CPU can tell.
  if (filters.length < FILTER_COUNT) return;
  const per = (ns: number): string => figure(ns / filters.length / 1_000);
  console.log(`  add ${per(addNs)} µs, remove ${per(removeNs)} µs`);
  console.log(`  ${figure(bytes / filters.length)} bytes a filter, beside its text`);
}

/** Nanoseconds of this thread's CPU, so that neighbours on the machine do not count. */
function timed(task: () => void): number {
  const start = process.threadCpuUsage();
  task();
  const { user, system } = process.threadCpuUsage(start);
  return (user + system) * 1_000;
}

function heapBytes(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

function figure(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}
