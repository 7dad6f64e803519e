import { describe, expect, test } from 'vitest';
import { CommitQueue } from '@trunkline/server/internal/backplanes/embedded/commit-queue.ts';
import type {
  CommitQueueOptions,
  Entry,
} from '@trunkline/server/internal/backplanes/embedded/commit-queue.ts';
import type { Operation, Outcome } from '@trunkline/server/internal/backplanes/embedded/store.ts';
import { BrokerError } from '@trunkline/server/internal/broker/broker.ts';
import { ManualClock } from '@trunkline/testkit';

const LIMITS = { queueCountMax: 10, queueSizeMax: 1000, batchCountMax: 4, batchSizeMax: 100 };

interface Commit {
  readonly keys: readonly string[];
  readonly succeed: () => void;
  readonly fail: (error: unknown) => void;
}

/** A queue over a store whose commits the test settles, and a record of what happened. */
function queueOver(joins: boolean, changes: Partial<CommitQueueOptions> = {}) {
  const clock = new ManualClock();
  const commits: Commit[] = [];
  const events: string[] = [];
  const store = {
    joins,
    commit(operations: readonly Operation[]): Promise<Outcome[]> | Outcome[] {
      const keys = operations.map((one) => (one.kind === 'delete' ? one.key : ''));
      const outcomes = keys.map((): Outcome => ({ kind: 'delete', deleted: true }));
      events.push(`commit ${keys.join()}`);
      if (!joins) return outcomes;
      return new Promise((resolve, reject) => {
        commits.push({ keys, succeed: () => resolve(outcomes), fail: reject });
      });
    },
  };
  const queue = new CommitQueue({
    store,
    clock,
    limits: LIMITS,
    onDoubt: (entries) => events.push(`doubt ${entries.length}`),
    ...changes,
  });
  const add = (key: string, size = 1, onOutcome = (): void => {}): void => {
    const entry: Entry = {
      operation: { kind: 'delete', key },
      size,
      onOutcome() {
        events.push(`done ${key}`);
        onOutcome();
      },
      onError: (error) => events.push(`failed ${key} ${String(error.stored)}`),
    };
    queue.add(entry);
  };
  return { clock, commits, events, queue, add };
}

describe('CommitQueue', () => {
  test('joins what is asked for in one turn', async () => {
    const { clock, commits, events, add } = queueOver(true);
    add('a');
    add('b');
    expect(commits).toEqual([]);
    await clock.settle();
    expect(commits.map(({ keys }) => keys)).toEqual([['a', 'b']]);
    commits[0]?.succeed();
    await clock.settle();
    expect(events).toEqual(['commit a,b', 'done a', 'done b']);
  });

  test('has one commit under way and gathers the next meanwhile', async () => {
    const { clock, commits, add } = queueOver(true);
    add('a');
    await clock.settle();
    add('b');
    add('c');
    await clock.settle();
    expect(commits).toHaveLength(1);
    commits[0]?.succeed();
    await clock.settle();
    expect(commits.map(({ keys }) => keys)).toEqual([['a'], ['b', 'c']]);
  });

  test('lets those who were just answered join the next commit', async () => {
    const { clock, commits, add } = queueOver(true);
    add('a', 1, () => add('again'));
    await clock.settle();
    add('b');
    commits[0]?.succeed();
    await clock.settle();
    expect(commits[1]?.keys).toEqual(['b', 'again']);
  });

  test('bounds a commit by count and by bytes, and takes a large one alone', async () => {
    const { clock, commits, add } = queueOver(true);
    for (const key of 'abcdef') add(key);
    add('large', 300);
    add('g', 60);
    add('h', 60);
    for (let index = 0; index < 5; index += 1) {
      await clock.settle();
      commits[index]?.succeed();
    }
    await clock.settle();
    const keys = commits.map((commit) => commit.keys.join(''));
    expect(keys).toEqual(['abcd', 'ef', 'large', 'g', 'h']);
  });

  test('refuses what is over its bounds, and takes more once there is room', async () => {
    const { clock, commits, events, add } = queueOver(true);
    for (let index = 0; index < 10; index += 1) add(`${index}`);
    expect(() => add('over')).toThrow(BrokerError);
    await clock.settle();
    add('x', 900);
    expect(() => add('over', 200)).toThrow(/at most 10 with 1000/);
    commits[0]?.succeed();
    await clock.settle();
    expect(events.filter((event) => event.startsWith('done'))).toHaveLength(4);
    add('y', 50);
  });

  test('fails a whole batch and goes on with the next', async () => {
    const { clock, commits, events, add } = queueOver(true);
    add('a');
    add('b');
    await clock.settle();
    add('c');
    commits[0]?.fail(new BrokerError('unavailable', 'full', { stored: false }));
    await clock.settle();
    commits[1]?.succeed();
    await clock.settle();
    expect(events).toEqual([
      'commit a,b',
      'failed a false',
      'failed b false',
      'commit c',
      'done c',
    ]);
  });

  test('raises the doubt before it answers those whose fate is unknown', async () => {
    const { clock, commits, events, add } = queueOver(true);
    add('a');
    add('b');
    await clock.settle();
    commits[0]?.fail(new Error('lost'));
    await clock.settle();
    expect(events.slice(1)).toEqual(['doubt 2', 'failed a unknown', 'failed b unknown']);
  });

  test('commits within the call when the store does not join', () => {
    const { events, add } = queueOver(false);
    add('a');
    expect(events).toEqual(['commit a', 'done a']);
  });

  test('keeps the order when an answer asks for more', () => {
    const { events, add } = queueOver(false);
    add('a', 1, () => add('b', 1, () => add('c')));
    expect(events).toEqual(['commit a', 'done a', 'commit b', 'done b', 'commit c', 'done c']);
  });

  test('is idle when everything has its answer', async () => {
    const { clock, commits, events, add, queue } = queueOver(true);
    await queue.idle();
    add('a');
    const idle = queue.idle().then(() => events.push('idle'));
    await clock.settle();
    add('b');
    commits[0]?.succeed();
    await clock.settle();
    expect(events).not.toContain('idle');
    commits[1]?.fail(new Error('lost'));
    await clock.settle();
    await idle;
    expect(events.at(-1)).toBe('idle');
  });
});
