import { ManualClock } from '@trunkline/testkit';
import { parsePosition } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import type { StreamSlice } from '../../src/broker/broker.ts';
import {
  isUseful,
  SNAPSHOT_BYTES_MAX,
  snapshotMembers,
  Snapshots,
} from '../../src/hub/snapshots.ts';
import type { SnapshotDraft } from '../../src/hub/snapshots.ts';
import { ScriptedState } from './scripted-state.ts';

const FRESH_MS = 5_000;

/** The snapshots of two nodes over one scripted state; the stream of every channel is the test's. */
function setUp() {
  const clock = new ManualClock();
  const state = new ScriptedState(clock);
  const stream = { epoch: 'e1', oldest: 1, top: 9 };
  const log = {
    read: (): Promise<StreamSlice> => Promise.resolve({ ...stream, messages: [] }),
  };
  const snapshots = new Snapshots({ state, log, clock });
  const other = new Snapshots({ state, log, clock });
  return { clock, state, log, stream, snapshots, other };
}

function draft(position: string, payload: string | Uint8Array = '{}'): SnapshotDraft {
  const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  return { position: parsePosition(position) ?? { epoch: 'none', offset: 0 }, payload: bytes };
}

describe('a snapshot', () => {
  test('[SNAP-1] comes back as it was put', async () => {
    const { snapshots, other, clock } = setUp();
    expect(await snapshots.get('a')).toBeUndefined();
    const put = await snapshots.put('a', { ...draft('e1:3', 'text'), contentType: 'text/plain' });
    expect(put).toMatchObject({ time: clock.unixMs(), contentType: 'text/plain' });
    expect(await snapshots.get('a')).toBe(put);
    expect(await other.get('a')).toEqual(put);
    expect(await snapshots.get('b')).toBeUndefined();
  });

  test('[SNAP-2] is replaced by one that is not older', async () => {
    const { snapshots, other } = setUp();
    await snapshots.put('a', draft('e1:3', '1'));
    await snapshots.put('a', draft('e1:3', '2'));
    await other.put('a', draft('e1:5', '3'));
    await expect(snapshots.put('a', draft('e1:4'))).rejects.toMatchObject({
      code: 'conflict',
      stored: false,
      message: 'there is a newer snapshot of a, at e1:5: e1:4 is older',
    });
    expect(new TextDecoder().decode((await other.get('a'))?.payload)).toBe('3');
  });

  test('[PURGE-1] is not left behind by a purge that comes while it is written', async () => {
    const { snapshots, other, state, stream } = setUp();
    state.onPut = () => {
      state.onPut = undefined;
      // The purge removes the stream, and finds no snapshot to remove.
      stream.epoch = 'e2';
      stream.top = 0;
    };
    await expect(snapshots.put('a', draft('e1:3', 'secret'))).rejects.toMatchObject({
      code: 'conflict',
      stored: false,
      message: 'e1:3 is not of the present life of a, which is at e2:0',
    });
    expect(await snapshots.get('a')).toBeUndefined();
    expect(await other.get('a')).toBeUndefined();
    expect(state.count).toBe(0);
  });

  test('[SNAP-2] of the place before the first message stays when that comes meanwhile', async () => {
    const { snapshots, state, stream } = setUp();
    Object.assign(stream, { epoch: '0', oldest: 1, top: 0 });
    state.onPut = () => {
      Object.assign(stream, { epoch: 'e1', top: 1 });
    };
    const put = await snapshots.put('a', draft('0:0'));
    expect(await snapshots.get('a')).toBe(put);
    expect(isUseful(put, stream)).toBe(true);
  });

  test('[PURGE-1] that another node put after a purge stays', async () => {
    const { snapshots, other, state, stream } = setUp();
    const { promise, resolve } = Promise.withResolvers<void>();
    const { delete: remove } = state;
    state.onPut = () => {
      state.onPut = undefined;
      stream.epoch = 'e2';
    };
    state.delete = async (...call) => {
      await other.put('a', draft('e2:1', 'new'));
      resolve();
      return remove.apply(state, call);
    };
    await expect(snapshots.put('a', draft('e1:3', 'old'))).rejects.toMatchObject({
      code: 'conflict',
    });
    await promise;
    const fresh = new TextDecoder().decode((await other.get('a'))?.payload);
    expect([fresh, state.count]).toEqual(['new', 1]);
  });

  test('[SNAP-2] is of the present life of the stream and not beyond it', async () => {
    const { snapshots, stream } = setUp();
    await expect(snapshots.put('a', draft('e2:1'))).rejects.toThrow(
      'e2:1 is not of the present life of a, which is at e1:9',
    );
    await expect(snapshots.put('a', draft('e1:10'))).rejects.toThrow(
      'e1:10 is beyond a, which is at e1:9',
    );
    await snapshots.put('a', draft('e1:9'));
    stream.epoch = 'e2';
    await snapshots.put('a', draft('e2:1'));
    expect((await snapshots.get('a'))?.position).toEqual({ epoch: 'e2', offset: 1 });
    await expect(snapshots.put('a', draft('e1:9'))).rejects.toMatchObject({ code: 'conflict' });
  });

  test('[SNAP-2] may be at 0:0, before everything', async () => {
    const { snapshots, stream } = setUp();
    await snapshots.put('a', draft('0:0'));
    expect((await snapshots.get('a'))?.position).toEqual({ epoch: 'e1', offset: 0 });
    Object.assign(stream, { epoch: '0', top: 0 });
    await snapshots.put('b', draft('0:0'));
    const snapshot = await snapshots.get('b');
    expect(snapshot?.position).toEqual({ epoch: '0', offset: 0 });
    expect(snapshot && isUseful(snapshot, { epoch: 'e5', oldest: 1, top: 7 })).toBe(true);
  });

  test('of two nodes at once the later position stays', async () => {
    const { snapshots, other, state, log, clock } = setUp();
    const release = state.hold();
    const puts = [snapshots.put('a', draft('e1:5')), other.put('a', draft('e1:4'))];
    release();
    await Promise.allSettled(puts);
    const third = new Snapshots({ state, log, clock });
    expect((await third.get('a'))?.position.offset).toBe(5);
  });

  test('[SNAP-4] is refused when it is larger than a record may be', async () => {
    const { snapshots } = setUp();
    const payload = new Uint8Array(SNAPSHOT_BYTES_MAX);
    const contentType = `application/${'x'.repeat(116)}`;
    await snapshots.put('a'.repeat(255), { ...draft('e1:9', payload), contentType });
    const larger = draft('e1:9', new Uint8Array(SNAPSHOT_BYTES_MAX + 1));
    await expect(snapshots.put('a', larger)).rejects.toMatchObject({
      code: 'too_large',
      stored: false,
    });
  });

  test('can be deleted', async () => {
    const { snapshots, other } = setUp();
    await snapshots.put('a', draft('e1:3'));
    expect(await snapshots.delete('a')).toBe(true);
    expect(await snapshots.delete('a')).toBe(false);
    expect(await snapshots.get('a')).toBeUndefined();
    expect(await other.get('a')).toBeUndefined();
    await other.put('a', draft('e1:2'));
  });

  test('tells when it can not be stored or read', async () => {
    const { snapshots, state } = setUp();
    state.failure = new BrokerError('unavailable', 'no disk');
    await expect(snapshots.put('a', draft('e1:1'))).rejects.toThrow('no disk');
    await expect(snapshots.get('a')).rejects.toThrow('no disk');
    state.failure = undefined;
    expect(await snapshots.get('a')).toBeUndefined();
    let other = 0;
    state.onPut = (key) => void state.write(key, new Uint8Array((other += 1)));
    await expect(snapshots.put('a', draft('e1:1'))).rejects.toThrow('changes faster');
  });
});

describe('snapshots in memory', () => {
  test('a storm of 10,000 readers costs one read', async () => {
    const { snapshots, other, state } = setUp();
    await other.put('a', draft('e1:3'));
    state.getCount = 0;
    const release = state.hold();
    const reads = Array.from({ length: 5_000 }, () => snapshots.get('a'));
    release();
    const [first, ...rest] = await Promise.all(reads);
    expect(first).toBeDefined();
    expect(rest.every((one) => one === first)).toBe(true);
    for (let index = 0; index < 5_000; index += 1) expect(await snapshots.get('a')).toBe(first);
    expect(state.getCount).toBe(1);
  });

  test('of a channel without one as well', async () => {
    const { snapshots, state } = setUp();
    for (let index = 0; index < 100; index += 1) expect(await snapshots.get('a')).toBeUndefined();
    expect(state.getCount).toBe(1);
  });

  test('are read again after a moment, and stay the same object when they did not change', async () => {
    const { snapshots, other, state, clock } = setUp();
    const first = await snapshots.put('a', draft('e1:3'));
    state.getCount = 0;
    clock.advance(FRESH_MS);
    expect(await snapshots.get('a')).toBe(first);
    expect(state.getCount).toBe(1);
    const second = await other.put('a', draft('e1:4'));
    expect(await snapshots.get('a')).toBe(first);
    clock.advance(FRESH_MS);
    expect(await snapshots.get('a')).toEqual(second);
    await other.delete('a');
    clock.advance(FRESH_MS);
    expect(await snapshots.get('a')).toBeUndefined();
  });

  test('what this node wrote is not undone by a read that began before', async () => {
    const { snapshots, state } = setUp();
    const late = state.hold();
    const before = snapshots.get('a');
    const put = snapshots.put('a', draft('e1:3'));
    late();
    const [, stored] = await Promise.all([before, put]);
    expect(await snapshots.get('a')).toBe(stored);
    expect(state.putCount).toBe(1);
  });

  test('take no more memory than they may; what was used last stays', async () => {
    const { snapshots, state } = setUp();
    const payload = new Uint8Array(1_000_000);
    for (let index = 0; index < 30; index += 1) {
      await snapshots.put(`c${index}`, draft('e1:1', payload));
      await snapshots.get('c0');
    }
    expect(snapshots.keptSize).toBeLessThanOrEqual(16 * 1024 * 1024);
    expect(snapshots.keptSize).toBeGreaterThan(14_000_000);
    state.getCount = 0;
    await snapshots.get('c0');
    await snapshots.get('c29');
    expect(state.getCount).toBe(0);
    await snapshots.get('c1');
    expect(state.getCount).toBe(1);
  });
});

describe('whether a snapshot helps', () => {
  const stream = { epoch: 'e1', oldest: 4, top: 9 };

  test.each([
    ['e1:2', false],
    ['e1:3', true],
    ['e1:9', true],
    ['e1:10', false],
    ['e2:5', false],
    ['0:0', false],
  ])('[SNAP-3] at %s of a stream from 4 to 9: %s', (position, expected) => {
    expect(isUseful(draft(position), stream)).toBe(expected);
  });

  test('[SNAP-3] not when more follows than a resume may carry', () => {
    expect(isUseful(draft('e1:6'), stream, 3)).toBe(true);
    expect(isUseful(draft('e1:5'), stream, 3)).toBe(false);
  });

  test('[SNAP-3] when everything is trimmed but the stream stands where it was', () => {
    expect(isUseful(draft('e1:9'), { epoch: 'e1', oldest: 10, top: 9 })).toBe(true);
    expect(isUseful(draft('e1:8'), { epoch: 'e1', oldest: 10, top: 9 })).toBe(false);
    expect(isUseful(draft('0:0'), { epoch: '0', oldest: 1, top: 0 })).toBe(true);
  });
});

describe('the members of a snapshot', () => {
  test('have the payload as it was put, on one line', () => {
    const snapshot = { ...draft('e1:3', '{"n":\n12345678901234567890}'), time: 7 };
    expect(snapshotMembers(snapshot)).toBe(
      '"position":"e1:3","time":7,"data":{"n": 12345678901234567890}',
    );
    expect(snapshotMembers(snapshot)).toBe(snapshotMembers(snapshot));
    const text = { ...draft('e1:3', 'a"b'), time: 7, contentType: 'text/plain' };
    expect(JSON.parse(`{${snapshotMembers(text)}}`)).toEqual({
      position: 'e1:3',
      time: 7,
      data: 'a"b',
      contentType: 'text/plain',
    });
    const bytes = { ...draft('e1:3', Uint8Array.of(255)), time: 7, contentType: 'a/b' };
    expect(snapshotMembers(bytes)).toContain('"bytes":"/w==","contentType":"a/b"');
  });
});
