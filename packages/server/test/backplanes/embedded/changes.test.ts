import { describe, expect, test } from 'vitest';
import { collectChanges } from '@trunkline/server/internal/backplanes/embedded/changes.ts';
import { EMBEDDED_DEFAULTS } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import { MemoryStore } from '@trunkline/server/internal/backplanes/embedded/memory-store.ts';
import { LOST_LIFE, NO_BOUNDS } from '@trunkline/server/internal/backplanes/embedded/store.ts';
import type { Operation } from '@trunkline/server/internal/backplanes/embedded/store.ts';
import type { ChangedChannel } from '@trunkline/server/internal/broker/broker.ts';
import { ManualClock, seededRandom } from '@trunkline/testkit';
import { draft, options } from '@trunkline/testkit/contracts/broker-world';

const { retention } = options();

/** A log that says that the life of `a` is lost, and a memory in which it has two messages. */
function purgedInLog() {
  const memory = new MemoryStore({ random: seededRandom(1), limits: EMBEDDED_DEFAULTS });
  const clock = new ManualClock();
  const commit = (operation: Operation) => memory.commit([operation], clock.unixMs());
  for (const text of ['1', '2']) {
    commit({ kind: 'append', channel: 'a', draft: draft(text), retention });
  }
  const lost: ChangedChannel = { channel: 'a', position: LOST_LIFE, stream: NO_BOUNDS };
  const main = {
    *changedSince() {
      yield [lost];
    },
  };
  const since = (sequence: number) => {
    const sources = { main, memory: { store: memory, place: { run: 1, sequence } }, clock };
    return collectChanges(sources, { id: 'x', run: 1, sequence: 5, memory: sequence }, ['a']);
  };
  const stream = memory.bounds('a', clock.unixMs());
  return { commit, since, stream };
}

describe('what changed in a channel that lives in memory', () => {
  test('is no loss to who is in that life, until the purge that the log knows ends it [GUA-4]', async () => {
    const { commit, since, stream } = purgedInLog();
    expect(await since(2)).toEqual([]);
    const position = { epoch: stream.epoch, offset: 1 };
    expect(await since(1)).toEqual([{ channel: 'a', position, stream }]);
    commit({ kind: 'purge', channel: 'a' });
    for (const place of [1, 2]) {
      expect(await since(place)).toEqual([
        { channel: 'a', position: LOST_LIFE, stream: NO_BOUNDS },
      ]);
    }
  });

  test('is a loss to who was in the life that the log had before', async () => {
    const { since, stream } = purgedInLog();
    expect(await since(0)).toEqual([{ channel: 'a', position: LOST_LIFE, stream }]);
  });
});
