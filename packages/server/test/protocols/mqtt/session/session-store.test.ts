import { describe, expect, it } from 'vitest';
import type { SessionRecord } from '../../../../src/protocols/mqtt/session/record.ts';
import {
  SESSION_PREFIX,
  sessionKey,
  SessionStore,
} from '../../../../src/protocols/mqtt/session/session-store.ts';
import { startMqtt } from '../mqtt-setup.ts';

const RECORD: SessionRecord = {
  ...{ clientId: 'c', session: 's1', expirySeconds: 60, isConnected: true },
  ...{ subscriptions: [], sent: [], received: [] },
};

async function makeStore() {
  const { broker, clock } = await startMqtt();
  return { clock, state: broker.state, store: new SessionStore(broker.state) };
}

describe('sessionKey', () => {
  it('is another one for every user, and for nobody', () => {
    const keys = [
      sessionKey({ kind: 'user', user: 'a' }, 'c'),
      sessionKey({ kind: 'user', user: 'b' }, 'c'),
      sessionKey({ kind: 'user', user: 'null' }, 'c'),
      sessionKey({ kind: 'anonymous' }, 'c'),
      sessionKey({ kind: 'user' }, 'c'),
      sessionKey({ kind: 'user', user: 'a","c' }, ''),
      sessionKey({ kind: 'user', user: 'a' }, '","c'),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    expect(sessionKey({ kind: 'user', user: 'a' }, 'c')).toBe(keys[0]);
  });

  it('is short and plain, whatever the client calls itself', () => {
    const key = sessionKey({ kind: 'user', user: 'u'.repeat(1_000) }, '\u0001/ä'.repeat(1_000));
    expect(key).toMatch(/^[\w-]{43}$/);
  });
});

describe('SessionStore', () => {
  it('gives back what was saved, until it is removed', async () => {
    const { store } = await makeStore();
    expect(await store.load('k')).toBeUndefined();
    await store.save('k', RECORD, undefined);
    await store.save('other', { ...RECORD, clientId: 'd' }, undefined);
    expect(await store.load('k')).toEqual(RECORD);
    await store.save('k', { ...RECORD, isConnected: false }, undefined);
    expect((await store.load('k'))?.isConnected).toBe(false);
    await store.remove('k');
    expect(await store.load('k')).toBeUndefined();
    expect((await store.load('other'))?.clientId).toBe('d');
  });

  it('forgets a session when its time is over, and one without an end never [MQTT5-3.1.2-23] [MQTT5-4.1.0-2]', async () => {
    const { store, clock } = await makeStore();
    await store.save('short', RECORD, clock.unixMs() + 1_000);
    await store.save('long', RECORD, Number.POSITIVE_INFINITY);
    await clock.pass(999);
    expect(await store.load('short')).toBeDefined();
    await clock.pass(2);
    expect(await store.load('short')).toBeUndefined();
    await clock.pass(2 ** 31 - 1);
    expect(await store.load('long')).toBeDefined();
  });

  it('knows nothing of a record that it can not read', async () => {
    const { store, state } = await makeStore();
    await state.put(`${SESSION_PREFIX}k`, new TextEncoder().encode('{"format":99}'));
    expect(await store.load('k')).toBeUndefined();
    await store.save('k', RECORD, undefined);
    expect(await store.load('k')).toEqual(RECORD);
  });

  it('lets one that a crash left connected run out from now on', async () => {
    const { store, state, clock } = await makeStore();
    await store.save('k', RECORD, undefined);
    const found = await state.get(`${SESSION_PREFIX}k`);
    if (found === undefined) throw new Error('nothing was saved');
    await store.disconnect(found, clock);
    const quietBefore = clock.unixMs();
    expect(await store.load('k')).toEqual({ ...RECORD, isConnected: false, quietBefore });
    await clock.pass(60_001);
    expect(await store.load('k')).toBeUndefined();
  });

  it('leaves one alone that has connected since', async () => {
    const { store, state, clock } = await makeStore();
    await store.save('k', RECORD, undefined);
    const found = await state.get(`${SESSION_PREFIX}k`);
    if (found === undefined) throw new Error('nothing was saved');
    await store.save('k', { ...RECORD, session: 's2' }, undefined);
    await store.disconnect(found, clock);
    await clock.pass(60_001);
    expect(await store.load('k')).toMatchObject({ session: 's2', isConnected: true });
  });
});
