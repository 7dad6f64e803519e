/** Sessions that clients leave behind, and clients that fight for one: both have limits. */
import { connectPacket } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { encode } from '../../../src/protocols/mqtt/codec/encode.ts';
import { decodeRecord } from '../../../src/protocols/mqtt/session/record.ts';
import { startMqtt } from './mqtt-setup.ts';

const VERSIONS = [4, 5] as const;
const KEPT = { clientId: 'k', clean: false, expiry: 600 };

describe('Sessions that are stored', () => {
  const LIMITS = { config: { sessionsPerUserMax: 2 } };
  const named = (clientId: string, user?: string) => ({
    ...{ ...KEPT, clientId },
    ...(user === undefined ? {} : { userName: user, password: user }),
  });

  it.each(VERSIONS)('[DEV-41] are at most so many of a user, MQTT %s', async (version) => {
    const { peer } = await startMqtt(LIMITS);
    const connect = async (clientId: string, user: string, more = {}) => {
      const client = peer();
      const { reason } = await client.connect({ ...named(clientId, user), version, ...more });
      return { client, reason };
    };
    const first = await connect('1', 'alice');
    await first.client.drop();
    expect((await connect('2', 'alice')).reason).toBe(0);
    const refused = await connect('3', 'alice');
    expect(refused.reason).toBe(version === 5 ? 0x97 : 3);
    expect(refused.client.isOver).toBe(true);
    // Those that are there go on, and so does everybody else.
    const again = await connect('1', 'alice');
    expect(again.reason).toBe(0);
    expect((await connect('1', 'bob')).reason).toBe(0);
    expect((await connect('3', 'alice', { clean: true, expiry: 0 })).reason).toBe(0);
    // One leaves for another.
    await again.client.drop();
    const gone = await connect('1', 'alice', { clean: true, expiry: 0 });
    await gone.client.drop();
    expect((await connect('3', 'alice')).reason).toBe(0);
  });

  it('are at most so many in all', async () => {
    const { peer } = await startMqtt({ config: { sessionsMax: 2 } });
    expect((await peer().connect(named('1', 'alice'))).reason).toBe(0);
    expect((await peer().connect(named('1', 'bob'))).reason).toBe(0);
    expect((await peer().connect(named('1'))).reason).toBe(0x97);
  });

  it('of who is nobody belong to an address', async () => {
    const { peer, broker } = await startMqtt(LIMITS);
    const clients = ['1', '2', '3'].map(async (clientId) => peer().connect(named(clientId)));
    const reasons = (await Promise.all(clients)).map(({ reason }) => reason);
    expect(reasons.toSorted((one, other) => one - other)).toEqual([0, 0, 0x97]);
    const [record] = await broker.state.list('mqtt/session/', { countMax: 10 });
    const { user, address } = decodeRecord(record?.value ?? new Uint8Array(0)) ?? {};
    expect(user).toBeUndefined();
    expect(address).toBeTypeOf('string');
  });

  it('are counted no more when a client ends its session by DISCONNECT', async () => {
    const { peer } = await startMqtt(LIMITS);
    for (let count = 0; count < 5; count += 1) {
      const client = peer();
      expect((await client.connect(named(`${count}`))).reason).toBe(0);
      await client.disconnect(0, { sessionExpiryInterval: 0 });
    }
  });

  it('[DEV-41] are known after a restart, and let go of when they have ended', async () => {
    const { peer, restart, clock } = await startMqtt(LIMITS);
    for (const id of ['1', '2']) {
      const client = peer();
      await client.connect(named(id));
      await client.drop();
    }
    const next = await restart();
    await clock.settle();
    expect((await next.peer().connect(named('3'))).reason).toBe(0x97);
    expect((await next.peer().connect(named('1'))).reason).toBe(0);
    // The second one has ended by then.
    await clock.pass(700_000);
    expect((await next.peer().connect(named('3'))).reason).toBe(0x97);
    await clock.settle();
    expect((await next.peer().connect(named('3'))).reason).toBe(0);
    expect((await next.peer().connect(named('4'))).reason).toBe(0x97);
  });
});

describe('Greeting many at once', () => {
  it('[DEV-42] begins few sessions for very many of one client identifier, and keeps the last', async () => {
    const counted = { calls: 0 };
    const { peer, protocol } = await startMqtt({
      stateOf: (state) => ({
        ...{ get: (key) => state.get(key), list: (prefix, page) => state.list(prefix, page) },
        put: (key, value, options) => {
          counted.calls += 1;
          return state.put(key, value, options);
        },
        delete: (key, condition) => {
          counted.calls += 1;
          return state.delete(key, condition);
        },
      }),
    });
    const other = peer();
    await other.connect({ clientId: 'other' });
    const clients = Array.from({ length: 1_000 }, () => peer());
    const connect = encode(connectPacket({ ...KEPT, will: { topic: 'w' } }), 5);
    for (const client of clients) client.link.receive(connect);
    for (const client of clients) await client.settle();
    const [left, ...more] = clients.filter(({ isOver }) => !isOver);
    expect(more).toEqual([]);
    expect(left).toBe(clients.at(-1));
    expect([...protocol.connections]).toHaveLength(2);
    expect(other.isOver).toBe(false);
    expect(counted.calls).toBeLessThan(50);
  });

  it('takes those of one client identifier in turn', async () => {
    const { peer, protocol } = await startMqtt();
    const clients = Array.from({ length: 50 }, () => peer());
    for (const client of clients) client.link.receive(encode(connectPacket(KEPT), 5));
    for (const client of clients) await client.settle();
    expect(clients.filter(({ isOver }) => !isOver)).toHaveLength(1);
    expect([...protocol.connections]).toHaveLength(1);
  });
});
