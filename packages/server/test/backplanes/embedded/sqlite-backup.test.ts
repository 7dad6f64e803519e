import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  ALL,
  draft,
  options,
  publishAll,
  RecordingSink,
} from '@trunkline/testkit/contracts/broker-world';
import { EmbeddedWorld, temporaryDirectory } from './worlds.ts';

describe('a backup', () => {
  test('holds what was acknowledged before it, and begins new epochs', async () => {
    await using world = new EmbeddedWorld(true, {});
    await using elsewhere = await temporaryDirectory();
    const broker = await world.start();
    await broker.open(new RecordingSink());
    const { position } = await broker.publish('a', draft('1'), options({ key: 'k' }));
    await publishAll(broker, 'a', ['2', '3']);
    await broker.state.put('k', new Uint8Array([1]));
    const mark = await broker.mark();
    const target = join(elsewhere.path, 'backup.db');
    const asked = Array.from({ length: 50 }, (_, index) =>
      broker.publish('a', draft(`${index + 4}`), options()),
    );
    await broker.backUp(target);
    const all = await Promise.all(asked);
    expect(all.at(-1)?.position.offset).toBe(53);
    expect(await readdir(elsewhere.path)).toEqual(['backup.db']);

    const directory = join(elsewhere.path, 'data');
    await mkdir(directory);
    await rename(target, join(directory, 'log.db'));
    await using second = new EmbeddedWorld(false, { directory });
    const copy = await second.start();
    await copy.open(new RecordingSink());
    const slice = await copy.read('a', ALL);
    expect(slice.epoch).toBe(position.epoch);
    expect(slice.top).toBeGreaterThanOrEqual(3);
    expect(await copy.changedSince(mark, ['#'])).toBeUndefined();
    expect(await copy.state.get('k')).toBeDefined();
    // The original has gone on: what it calls 54 must not be called so here.
    const again = await copy.publish('a', draft('1'), options({ key: 'k' }));
    expect(again).toEqual({ position, duplicate: true });
    const next = await copy.publish('a', draft('other'), options());
    expect(next.position.offset).toBe(1);
    expect(next.position.epoch).not.toBe(position.epoch);
    expect(await publishAll(broker, 'a', ['54'])).toEqual([54]);
  });

  test('that can not be written leaves nothing behind and breaks nothing', async () => {
    await using world = new EmbeddedWorld(true, {});
    const broker = await world.start();
    await broker.open(new RecordingSink());
    const target = join(world.directory, 'missing', 'backup.db');
    await expect(broker.backUp(target)).rejects.toMatchObject({ kind: 'unavailable' });
    expect(await publishAll(broker, 'a', ['1'])).toEqual([1]);
  });

  test('of a log in memory is refused', async () => {
    await using world = new EmbeddedWorld(false, {});
    const broker = await world.start();
    await broker.open(new RecordingSink());
    await expect(broker.backUp('/nowhere')).rejects.toThrow('in memory');
  });
});
