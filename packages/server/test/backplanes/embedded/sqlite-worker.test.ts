import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { EMBEDDED_DEFAULTS } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import {
  packOperations,
  unpackOutcomes,
  unpackSlice,
} from '@trunkline/server/internal/backplanes/embedded/packing.ts';
import type { Packed } from '@trunkline/server/internal/backplanes/embedded/packing.ts';
import type {
  Answer,
  AnswerGroup,
  Call,
} from '@trunkline/server/internal/backplanes/embedded/sqlite-calls.ts';
import { ALL, AMPLE, draft } from '@trunkline/testkit/contracts/broker-world';
import { temporaryDirectory } from './worlds.ts';

const ENTRY = new URL('../../../src/backplanes/embedded/sqlite-worker.ts', import.meta.url);

/** A thread of the log, asked without what the server puts in between. */
async function thread() {
  const directory = await temporaryDirectory();
  const path = join(directory.path, 'log.db');
  const { keyWindowMs, keysPerChannelMax, metadataMs, fileSizeMax } = EMBEDDED_DEFAULTS;
  const limits = { keyWindowMs, keysPerChannelMax, metadataMs, fileSizeMax };
  const worker = new Worker(ENTRY, { workerData: { path, sync: 'full', limits }, execArgv: [] });
  return {
    async ask(id: number, calls: readonly Call[]): Promise<AnswerGroup> {
      worker.postMessage({ id, calls }, []);
      const [group] = (await once(worker, 'message')) as [AnswerGroup];
      return group;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await worker.terminate();
      await directory[Symbol.asyncDispose]();
    },
  };
}

function packedIn(answer: Answer | undefined): Packed {
  expect(answer?.ok).toBe(true);
  return (answer?.ok === true ? answer.value : undefined) as Packed;
}

describe('a thread of the log', () => {
  test('answers a group in the order of its calls, under the number of the group', async () => {
    await using log = await thread();
    const append = { kind: 'append', channel: 'a', draft: draft('x'), retention: AMPLE } as const;
    const group = await log.ask(7, [
      { name: 'open' },
      { name: 'commit', operations: packOperations([append, append]), nowMs: 5 },
      { name: 'read', channel: 'a', range: ALL, nowMs: 5 },
      { name: 'get', key: 'k', nowMs: 5 },
      { name: 'sweep', nowMs: 5 },
      { name: 'close' },
    ]);
    expect(group.id).toBe(7);
    const [opened, committed, read, ...rest] = group.answers;
    expect(opened).toMatchObject({ ok: true, value: { run: 1, sequence: 0 } });
    expect(unpackOutcomes(packedIn(committed))).toMatchObject([{ offset: 1 }, { offset: 2 }]);
    expect(unpackSlice(packedIn(read))).toMatchObject({ oldest: 1, top: 2 });
    expect(rest.map((answer) => answer.ok && answer.value)).toEqual([undefined, false, undefined]);
  });

  test('answers a call that fails with its error, and goes on', async () => {
    await using log = await thread();
    const { answers } = await log.ask(1, [
      { name: 'get', key: 'k', nowMs: 5 },
      { name: 'open' },
      { name: 'get', key: 'k', nowMs: 5 },
    ]);
    expect(answers.map(({ ok }) => ok)).toEqual([false, true, true]);
    expect(answers[0]).toMatchObject({ kind: 'closed', stored: false });
  });
});
