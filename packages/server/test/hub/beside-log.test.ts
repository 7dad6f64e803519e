import { ManualClock } from '@trunkline/testkit';
import { CodedError, matchesPattern } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { Identity } from '../../src/auth/identity.ts';
import { BrokerError } from '../../src/broker/broker.ts';
import type { StreamSlice } from '../../src/broker/broker.ts';
import { BesideLog } from '../../src/hub/beside-log.ts';
import type { Caller } from '../../src/hub/hub-types.ts';
import { ScriptedState } from './scripted-state.ts';

const application = callerOf('server');
const alice = callerOf('user');

function callerOf(kind: Identity['kind']): Caller {
  return { identity: { kind, grants: new Map() }, session: 's' };
}

/** What is kept beside a log whose streams all have three messages; `room/+` is anyone's. */
function setUp() {
  const clock = new ManualClock();
  const state = new ScriptedState(clock);
  const purged: string[] = [];
  const broker = {
    state,
    read: (channel: string): Promise<StreamSlice> => {
      const gone = purged.includes(channel);
      const epoch = gone ? '0' : 'e1';
      return Promise.resolve({ epoch, oldest: 1, top: gone ? 0 : 3, messages: [] });
    },
    purge: (channel: string): Promise<void> => {
      purged.push(channel);
      return Promise.resolve();
    },
  };
  const permits = (identity: Identity, _action: string, channel: string): boolean =>
    identity.kind === 'server' || matchesPattern('room/+', channel);
  const beside = new BesideLog({
    broker,
    clock,
    permits,
    demand(identity, action, channel) {
      if (!permits(identity, action, channel)) throw new CodedError('forbidden', 'no');
    },
  });
  const retain = (channel: string, offset = 3): Promise<void> =>
    beside.retained.retain(
      channel,
      { payload: Uint8Array.of(0x31) },
      { position: { epoch: 'e1', offset }, time: clock.unixMs() },
    );
  const draft = { position: { epoch: 'e1', offset: 3 }, payload: Uint8Array.of(0x31) };
  return { beside, broker, state, retain, purged, draft };
}

describe('what is kept beside the log', () => {
  test('is for whoever may subscribe; a pattern finds no more than that', async () => {
    const { beside, retain, draft } = setUp();
    for (const channel of ['room/1', 'room/1/secret', 'other']) await retain(channel);
    await beside.putSnapshot(application, 'room/1', draft);
    const page = { countMax: 9 };
    expect((await beside.findRetained(alice, 'room/1', page)).messages).toHaveLength(1);
    // As a channel's name the pattern would be one of those allowed.
    const found = await beside.findRetained(alice, 'room/#', page);
    expect(found.messages.map(({ channel }) => channel)).toEqual(['room/1']);
    expect((await beside.findRetained(application, '#', page)).messages).toHaveLength(3);
    expect(await beside.snapshot(alice, 'room/1')).toMatchObject(draft);
    for (const asked of [
      beside.findRetained(alice, 'other', page),
      beside.findRetained(alice, '#', page),
      beside.clearRetained(alice, 'other'),
      beside.snapshot(alice, 'other'),
      beside.putSnapshot(alice, 'room/1', draft),
      beside.deleteSnapshot(alice, 'room/1'),
      beside.purge(alice, 'room/1'),
    ]) {
      await expect(asked).rejects.toMatchObject({ code: 'forbidden' });
    }
    expect(await beside.clearRetained(alice, 'room/1')).toBe(true);
    expect(await beside.deleteSnapshot(application, 'room/1')).toBe(true);
  });

  test('[PURGE-1] ends with its log, also what is still on its way', async () => {
    const { beside, retain, purged, draft } = setUp();
    await retain('a');
    await beside.putSnapshot(application, 'a', draft);
    await beside.purge(application, 'a');
    expect(purged).toEqual(['a']);
    await retain('a', 4);
    expect((await beside.findRetained(application, 'a', { countMax: 1 })).messages).toEqual([]);
    expect(await beside.snapshot(application, 'a')).toBeUndefined();
  });

  test('is unavailable while the log is', async () => {
    const { beside, state, draft } = setUp();
    state.failure = new BrokerError('unavailable', 'no disk', { stored: 'unknown' });
    for (const asked of [
      beside.findRetained(application, '#', { countMax: 9 }),
      beside.clearRetained(application, 'a'),
      beside.snapshot(application, 'a'),
      beside.putSnapshot(application, 'a', draft),
      beside.deleteSnapshot(application, 'a'),
      beside.purge(application, 'a'),
    ]) {
      await expect(asked).rejects.toMatchObject({ code: 'unavailable', stored: 'unknown' });
    }
  });
});
