/** What a client can make the server keep, in memory or in its store: all of it has a limit. */
import { ackPacket, publishPacket, subscribePacket } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { encode } from '../../../src/protocols/mqtt/codec/encode.ts';
import { encodeRecord } from '../../../src/protocols/mqtt/session/record.ts';
import type { SessionRecord } from '../../../src/protocols/mqtt/session/record.ts';
import { heldState } from './held-state.ts';
import { startMqtt } from './mqtt-setup.ts';

const KEPT = { clientId: 'k', clean: false, expiry: 600 };

describe('A hostile client', () => {
  it('[DEV-43] leaves few subscriptions behind that go on for others, while it reads nothing', async () => {
    const { peer, hub, publish } = await startMqtt({ config: { subscriptionsMax: 5 } });
    const made: ReturnType<typeof hub.overlaps>[] = [];
    const make = hub.overlaps.bind(hub);
    hub.overlaps = () => {
      const overlaps = make();
      made.push(overlaps);
      return overlaps;
    };
    const client = peer();
    await client.connect({ properties: { receiveMaximum: 1 } });
    const filters = ['a/#', 'a/+'];
    await client.subscribe({ filter: 'a/#', qos: 1 });
    const reasons: number[] = [];
    for (let round = 1; round < 30; round += 1) {
      // Its window is full: the one that goes has something left that the other one is to have.
      await publish('a/b', 'x');
      const told = await client.subscribe({ filter: filters[round % 2] ?? '', qos: 1 });
      reasons.push(...told.reasons);
      await client.unsubscribe(filters[(round + 1) % 2] ?? '');
    }
    expect(reasons).toContain(0x97);
    expect(made).toHaveLength(1);
    expect(made[0]?.count).toBeLessThanOrEqual(6);
  });

  it('[DEV-43] has as many filters of a packet looked at as it may have', async () => {
    const { peer, hub } = await startMqtt();
    const client = peer();
    await client.connect();
    let demands = 0;
    const demand = hub.demand.bind(hub);
    hub.demand = (...args) => {
      demands += 1;
      demand(...args);
    };
    const filters = Array.from({ length: 900 }, () => ({ filter: 'a/#' }));
    const { reasons } = await client.subscribe(filters);
    expect(reasons).toHaveLength(900);
    expect(reasons[0]).toBe(0);
    expect(reasons.at(-1)).toBe(0x97);
    expect(demands).toBeLessThan(200);
  });

  it('[DEV-43] can’t give a group a name that its record has no room for', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    await client.connect(KEPT);
    const share = (length: number) => `$share/${'g'.repeat(length)}/a`;
    const { reasons } = await client.subscribe([{ filter: share(255) }, { filter: share(256) }]);
    expect(reasons).toEqual([0, 0x8f]);
  });

  it('that repeats a PUBLISH of QoS 2 while the log is away is not read for ever', async () => {
    const { peer, hub } = await startMqtt({ config: { receiveMaximum: 4 } });
    const client = peer();
    await client.connect();
    const publish = hub.publish.bind(hub);
    const gate = Promise.withResolvers<void>();
    hub.publish = async (...args) => {
      await gate.promise;
      return publish(...args);
    };
    const packet = encode(publishPacket('a', 'x', { qos: 2, packetId: 1 }), 5);
    for (let count = 0; count < 1_000; count += 1) client.link.receive(packet);
    await client.settle();
    const [connection] = [...client.received];
    expect(connection?.kind).toBe('connack');
    expect(client.link.isPaused).toBe(true);
    gate.resolve();
    await client.settle();
    expect(client.takeKind('pubrec')).toHaveLength(1_000);
    expect(client.isOver).toBe(false);
  });

  it('that releases what nobody knows while the store is away is not read for ever', async () => {
    const held = heldState();
    const { peer } = await startMqtt({ stateOf: held.stateOf });
    const first = peer();
    await first.connect(KEPT);
    await first.drop();
    // A session that goes on takes each of them for one that it may have released before.
    const second = peer();
    await second.connect(KEPT);
    held.hold();
    const pubrel = encode(ackPacket('pubrel', 7), 5);
    await second.sendRaw(...Array.from({ length: 3_000 }, () => pubrel));
    expect(second.link.isPaused).toBe(true);
    held.release();
    await second.settle();
    expect(second.takeKind('pubcomp')).toHaveLength(3_000);
    expect(second.link.isPaused).toBe(false);
  });

  it('leaves the largest will there is, and its record has room for it', async () => {
    const rulesOf = () => ({ messageBytesMax: 1024 * 1024 });
    const { peer, broker } = await startMqtt({ rulesOf, config: { packetBytesMax: 2_000_000 } });
    // MQTT 5.0 §3.1.3.3: binary data, and so has everything beside it a bound.
    const will = {
      topic: 'w',
      payload: Buffer.alloc(65_535),
      properties: { correlationData: Buffer.alloc(60_000) },
    };
    expect((await peer().connect({ will })).reason).toBe(0);
    const [record] = await broker.state.list('mqtt/will/', { countMax: 10 });
    expect(record?.value.length).toBeLessThan(256 * 1024);
    const userProperties = Array.from({ length: 20 }, (_, at) => {
      return [`${at}`, 'x'.repeat(60_000)] as const;
    });
    const refused = await peer().connect({ will: { topic: 'w', properties: { userProperties } } });
    expect(refused.reason).toBe(0x97);
  });

  it('[DEV-44] whose session is too large to be stored is told so, and what was stored holds', async () => {
    const world = { isFull: false };
    const { peer } = await startMqtt({
      stateOf: (state) => ({
        ...{ get: (key) => state.get(key), list: (prefix, page) => state.list(prefix, page) },
        delete: (key, condition) => state.delete(key, condition),
        put: async (key, value, options) => {
          if (world.isFull) throw new RangeError('a state value has at most 1 MB');
          return state.put(key, value, options);
        },
      }),
    });
    const first = peer();
    await first.connect(KEPT);
    await first.subscribe('a');
    world.isFull = true;
    await first.send(subscribePacket(9, [{ filter: 'b' }]));
    await first.settle();
    expect(first.expectEnd()).toBe(0x97);
    world.isFull = false;
    expect((await peer().connect(KEPT)).sessionPresent).toBe(true);
  });
});

describe('The record of a session', () => {
  it('has room for all that one may have at its limits', () => {
    const channel = 'é'.repeat(127);
    const position = { epoch: 'e'.repeat(16), offset: 2 ** 48 };
    const filters = Array.from({ length: 128 }, (_, at) => `${at}`.padStart(255, 'f'));
    const record: SessionRecord = {
      clientId: 'c'.repeat(256),
      user: 'u'.repeat(256),
      session: 's'.repeat(16),
      expirySeconds: 2 ** 32,
      isConnected: true,
      subscriptions: filters.map((filter, at) => ({
        ...{ filter, qos: 2, noLocal: true, retainAsPublished: true, id: 268_435_455 },
        // All places together; see `PLACES_LENGTH_MAX`.
        ...(at === 0 ? { place: '~'.repeat(400_000) } : {}),
      })),
      retained: filters.map((filter) => ({ filter, after: channel, begin: 'b'.repeat(32) })),
      untold: Array.from({ length: 8 }, () => ({ channel, gap: { reason: 'trimmed' } })),
      sent: Array.from({ length: 256 }, (_, at) => ({
        packetId: 65_000 + at,
        awaited: 'pubcomp',
        place: { channel, ...position },
      })),
      // 3.1.1: nearly all are in the log, and few are under way.
      received: Array.from({ length: 16_384 }, (_, at) => [50_000 + (at % 15_000), '']),
    };
    expect(encodeRecord(record).length).toBeLessThan(1024 * 1024);
  });
});
