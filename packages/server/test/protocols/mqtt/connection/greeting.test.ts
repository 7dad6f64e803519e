import { connectPacket } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../../../src/broker/broker.ts';
import { GAP_PROPERTY } from '../../../../src/protocols/mqtt/session/losses.ts';
import { failingState } from '../held-state.ts';
import { startMqtt } from '../mqtt-setup.ts';

const VERSIONS = [4, 5] as const;
const KEPT = { clientId: 'k', clean: false, expiry: 600 };

/** A CONNECT whose protocol level is another one. */
function connectOfLevel(level: number, name = 'MQTT'): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(name.length);
  const body = Buffer.concat([head, Buffer.from(name), Buffer.from([level, 2, 0, 0, 0, 0])]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

describe('A CONNECT that is refused', () => {
  it.each([
    [3, 'MQIsdp', 4, 1],
    [3, 'MQTT', 4, 1],
    [6, 'MQTT', 5, 0x84],
  ] as const)('[MQTT-3.1.2-2] for its level, %s of %s', async (level, name, version, reason) => {
    const { peer, protocol } = await startMqtt();
    const client = peer({ version });
    await client.sendRaw(connectOfLevel(level, name));
    expect(client.expectPacket('connack')).toMatchObject({ reason, sessionPresent: false });
    expect(client.isOver).toBe(true);
    expect([...protocol.connections]).toEqual([]);
  });

  it('[MQTT-3.1.2-1] is closed without a word where it is no MQTT', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    await client.sendRaw(connectOfLevel(5, 'HTTP'));
    expect(client.isOver).toBe(true);
    expect(client.received).toEqual([]);
  });

  it.each(VERSIONS)(
    '[MQTT-3.1.3-5] [MQTT4-3.1.3-9] [MQTT5-3.1.3-8] for its client identifier, MQTT %s',
    async (version) => {
      const { peer } = await startMqtt();
      const client = peer();
      const connack = await client.connect({ version, clientId: 'ü'.repeat(33) });
      expect(connack.reason).toBe(version === 5 ? 0x85 : 2);
      expect(client.isOver).toBe(true);
      expect((await peer().connect({ version, clientId: 'ü'.repeat(32) })).reason).toBe(0);
    },
  );

  it('[MQTT4-3.1.3-8] for having no client identifier and no clean session in 3.1.1', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    expect((await client.connect({ version: 4, clean: false })).reason).toBe(2);
    expect(client.isOver).toBe(true);
  });

  it.each(VERSIONS)(
    '[MQTT5-3.1.4-2] [MQTT4-3.2.2-5] [MQTT5-3.2.2-7] for its login, MQTT %s',
    async (version) => {
      const { peer } = await startMqtt();
      const client = peer();
      const connack = await client.connect({ version, userName: 'eve', password: 'eve' });
      expect(connack.reason).toBe(version === 5 ? 0x86 : 4);
      expect(client.isOver).toBe(true);
      expect(client.link.goodbye?.code).toBe('unauthenticated');
    },
  );

  it.each(VERSIONS)('for having no login where one is needed, MQTT %s', async (version) => {
    const { peer } = await startMqtt({ loginOf: () => () => ({ kind: 'none' }) });
    expect((await peer().connect({ version })).reason).toBe(version === 5 ? 0x87 : 5);
  });

  it.each(VERSIONS)('as busy where logins can not be checked now, MQTT %s', async (version) => {
    const error = new CodedError('rate_limited', 'too many passwords at once');
    const { peer } = await startMqtt({ loginOf: () => () => ({ kind: 'refused', error }) });
    expect((await peer().connect({ version })).reason).toBe(version === 5 ? 0x89 : 3);
  });

  it.each([
    ['internal', 0x88, 3],
    ['unavailable', 0x89, 3],
    ['forbidden', 0x87, 5],
    ['unauthenticated', 0x86, 4],
  ] as const)('[DEV-45] by what a login failed with: %s', async (code, in5, in4) => {
    const error = new CodedError(code, 'no');
    const { peer } = await startMqtt({ loginOf: () => () => ({ kind: 'refused', error }) });
    expect((await peer().connect({ version: 5 })).reason).toBe(in5);
    expect((await peer().connect({ version: 4 })).reason).toBe(in4);
  });

  it.each(VERSIONS)('while the node takes no new clients, MQTT %s', async (version) => {
    const error = new CodedError('draining', 'this node is going away');
    const { peer } = await startMqtt({ refusal: () => error });
    const client = peer();
    expect((await client.connect({ version })).reason).toBe(version === 5 ? 0x88 : 3);
    expect(client.isOver).toBe(true);
  });

  it.each(VERSIONS)('while another server takes them, MQTT %s', async (version) => {
    const error = new CodedError('draining', 'this node is going away');
    const serverReference = 'mqtt2.example.com:1883';
    const { peer } = await startMqtt({ refusal: () => error, config: { serverReference } });
    const connack = await peer().connect({ version });
    if (version === 4) expect(connack.reason).toBe(3);
    else expect(connack).toMatchObject({ reason: 0x9c, properties: { serverReference } });
  });

  it('[MQTT-4.12.0-1] for another authentication method', async () => {
    const { peer } = await startMqtt();
    const properties = { authenticationMethod: 'SCRAM-SHA-1' };
    expect((await peer().connect({ properties })).reason).toBe(0x8c);
  });

  it('for its will, and leaves the connection before alone', async () => {
    const { peer } = await startMqtt();
    const first = peer();
    await first.connect(KEPT);
    const connack = await peer().connect({ ...KEPT, will: { topic: '$SYS/x' } });
    expect(connack.reason).toBe(0x90);
    expect(first.isOver).toBe(false);
  });

  it('ends nobody else before it is judged', async () => {
    const { peer } = await startMqtt();
    const first = peer();
    await first.connect({ clientId: 'same' });
    await peer().connect({ clientId: 'same', userName: 'eve', password: 'eve' });
    expect(first.isOver).toBe(false);
  });

  it('leaves no subscription of the session behind', async () => {
    const { stateOf, told } = failingState();
    const { peer, hub, publish, clock } = await startMqtt({ stateOf });
    const first = peer();
    await first.connect(KEPT);
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    await first.drop();
    const subscribe = hub.subscribe.bind(hub);
    hub.subscribe = async (...args) => {
      const opened = await subscribe(...args);
      // What comes next is the will, which can't be stored.
      told.failure = new BrokerError('unavailable', 'the log is away', { stored: false });
      return opened;
    };
    const second = peer();
    await second.send(connectPacket({ ...KEPT, will: { topic: 'w' } }));
    await clock.pass(10_500);
    expect(second.expectPacket('connack').reason).toBe(0x88);
    expect(hub.activeChannels('#')).toEqual([]);
    hub.subscribe = subscribe;
    told.failure = undefined;
    await publish('a', 'kept');
    const third = peer();
    expect((await third.connect(KEPT)).sessionPresent).toBe(true);
    expect(third.expectPayloads(1)).toEqual(['kept']);
  });
});

describe('A CONNECT that is accepted', () => {
  it('[MQTT-3.2.2-16] [MQTT-3.1.3-6] assigns a client identifier to who has none', async () => {
    const { peer } = await startMqtt();
    const [first, second] = [await peer().connect(), await peer().connect()];
    const ids = [first, second].map(({ properties }) => properties.assignedClientIdentifier);
    expect(ids[0]).toBeTypeOf('string');
    expect(ids[1]).not.toBe(ids[0]);
    expect((await peer().connect({ version: 4 })).reason).toBe(0);
    const own = await peer().connect({ clientId: 'own' });
    expect(own.properties.assignedClientIdentifier).toBeUndefined();
  });

  it('[MQTT5-3.1.3-7] goes on under the client identifier that it was given', async () => {
    const { peer } = await startMqtt();
    const first = peer();
    const { properties } = await first.connect({ clean: false, expiry: 60 });
    const { assignedClientIdentifier: clientId = '' } = properties;
    await first.drop();
    const second = await peer().connect({ clientId, clean: false, expiry: 60 });
    expect(second.sessionPresent).toBe(true);
  });

  it('[MQTT5-4.12.0-4] [MQTT-4.12.0-5] says the authentication method that the client named', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    const authenticationData = Buffer.from('alice');
    const properties = { authenticationMethod: 'token', authenticationData };
    const connack = await client.connect({ properties });
    expect(connack).toMatchObject({ reason: 0, properties: { authenticationMethod: 'token' } });
    const refused = await peer().connect({
      properties: { ...properties, authenticationData: Buffer.from('eve') },
    });
    expect(refused.reason).toBe(0x86);
  });

  it('is of whom its carrier names, unless it says itself who it is', async () => {
    const { peer, protocol } = await startMqtt({ loginOf: (login) => login });
    const identity = { kind: 'user', user: 'carried', grants: new Map() } as const;
    const carried = {
      open: (link: Parameters<typeof protocol.open>[0]) => protocol.open(link, { identity }),
    };
    const users = () => Array.from(protocol.connections, ({ session }) => session?.identity.user);
    await peer(carried).connect({ userName: 'name alone' });
    expect(users()).toEqual(['carried']);
    await peer(carried).connect({ userName: 'alice', password: 'alice' });
    expect(users()).toEqual(['carried', 'alice']);
    // [AUTH-12]: what it shows itself counts, also where it is wrong.
    const wrong = { userName: 'carried', password: 'eve' };
    expect((await peer(carried).connect(wrong)).reason).toBe(0x86);
  });
});

describe('Session Present', () => {
  it.each(VERSIONS)(
    '[MQTT4-3.2.2-1] [MQTT4-3.2.2-2] [MQTT4-3.2.2-3] [MQTT5-3.2.2-2] [MQTT5-3.2.2-3] says whether MQTT %s goes on',
    async (version) => {
      const { peer } = await startMqtt();
      const connect = async (options: Parameters<ReturnType<typeof peer>['connect']>[0]) => {
        const client = peer();
        const { sessionPresent } = await client.connect({ ...KEPT, version, ...options });
        await client.drop();
        return sessionPresent;
      };
      expect(await connect({})).toBe(false);
      expect(await connect({})).toBe(true);
      // [MQTT4-3.1.2-6] [MQTT5-3.1.2-4]
      expect(await connect({ clean: true })).toBe(false);
      expect(await connect({})).toBe(version === 5);
      expect(await connect({ userName: 'alice', password: 'alice' })).toBe(false);
      expect(await connect({ clientId: 'other' })).toBe(false);
    },
  );

  it('is the same over a restart of the server', async () => {
    const { peer, restart } = await startMqtt();
    const client = peer();
    await client.connect(KEPT);
    await client.subscribe([{ filter: 'a', qos: 1 }]);
    client.link.setFaults({ freeze: true });
    const next = await restart();
    expect((await next.peer().connect(KEPT)).sessionPresent).toBe(true);
  });

  it('crosses from one version to the other', async () => {
    const { peer, publish } = await startMqtt();
    const first = peer();
    await first.connect({ ...KEPT, version: 4 });
    await first.subscribe([{ filter: 'a', qos: 2 }]);
    await publish('a', '1');
    await first.drop();
    const second = peer();
    expect((await second.connect({ ...KEPT, version: 5 })).sessionPresent).toBe(true);
    expect(second.expectPacket('publish')).toMatchObject({ dup: true, qos: 2 });
  });
});

describe('Session expiry', () => {
  it.each(VERSIONS)(
    '[MQTT4-3.1.2-4] [MQTT5-3.1.2-23] [MQTT5-4.1.0-2] ends a session of MQTT %s so long after its connection',
    async (version) => {
      const config = version === 4 ? { sessionExpirySecondsMax: 600 } : {};
      const { peer, clock } = await startMqtt({ config });
      const first = peer();
      await first.connect({ ...KEPT, version });
      await first.subscribe([{ filter: 'a', qos: 1 }]);
      await clock.pass(1_000_000);
      await first.drop();
      await clock.pass(599_000);
      const second = peer();
      expect((await second.connect({ ...KEPT, version })).sessionPresent).toBe(true);
      await clock.pass(1_000_000);
      await second.drop();
      await clock.pass(601_000);
      expect((await peer().connect({ ...KEPT, version })).sessionPresent).toBe(false);
    },
  );

  it('is at most what the server allows, and the client is told so', async () => {
    const { peer } = await startMqtt();
    const { properties } = await peer().connect({ ...KEPT, expiry: 0xffffffff });
    expect(properties.sessionExpiryInterval).toBe(86_400);
    expect((await peer().connect(KEPT)).properties.sessionExpiryInterval).toBeUndefined();
  });

  it('of 0xFFFFFFFF is for ever where the server allows it', async () => {
    const { peer, clock } = await startMqtt({ config: { sessionExpirySecondsMax: 0xffffffff } });
    const first = peer();
    const connack = await first.connect({ ...KEPT, expiry: 0xffffffff });
    expect(connack.properties.sessionExpiryInterval).toBeUndefined();
    await first.drop();
    clock.stepUnix(10 * 365 * 86_400_000);
    expect((await peer().connect(KEPT)).sessionPresent).toBe(true);
  });

  it('of 0 in a session that goes on ends it with this connection', async () => {
    const { peer, broker } = await startMqtt();
    const first = peer();
    await first.connect(KEPT);
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    await first.drop();
    const second = peer();
    expect((await second.connect({ ...KEPT, expiry: 0 })).sessionPresent).toBe(true);
    await second.drop();
    expect((await peer().connect(KEPT)).sessionPresent).toBe(false);
    expect((await broker.state.list('mqtt/session/', { countMax: 10 })).length).toBeLessThan(2);
  });

  it('keeps nothing of sessions that end with their connections', async () => {
    const { peer, broker } = await startMqtt();
    const client = peer({ autoAck: true });
    await client.connect({ clientId: 'c' });
    await client.subscribe([{ filter: 'a', qos: 2 }]);
    await client.publish('a', 'x', { qos: 2 });
    await client.ack('pubrel', 1);
    await client.drop();
    expect(await broker.state.list('mqtt/', { countMax: 10 })).toEqual([]);
  });
});

describe('A loss while a client was away', () => {
  const rulesOf = () => ({ history: { countMax: 2, ageMsMax: 1e9, sizeMax: 1e9 } });

  async function away(version: 4 | 5, filter: string, qos: 0 | 1 | 2 = 1) {
    const server = await startMqtt({ rulesOf });
    const first = server.peer({ autoAck: true });
    await first.connect({ ...KEPT, version });
    await first.subscribe([{ filter, qos }]);
    await server.publish('a/x', '0');
    await first.drop();
    for (const text of ['1', '2', '3', '4']) await server.publish('a/x', text);
    return server;
  }

  it.each(['a/x', 'a/+'])('is told in 5.0 with what is left, for %s', async (filter) => {
    const { peer, publish } = await away(5, filter);
    const second = peer();
    const { sessionPresent, properties } = await second.connect(KEPT);
    expect(sessionPresent).toBe(true);
    const [[name, value] = ['', ''], ...others] = properties.userProperties ?? [];
    expect(others).toEqual([]);
    expect(name).toBe(GAP_PROPERTY);
    expect(JSON.parse(value)).toMatchObject({ channel: 'a/x', reason: 'trimmed', to: 3 });
    expect(second.expectPayloads(2)).toEqual(['3', '4']);
    await publish('a/x', '5');
    expect(second.expectPayloads(1)).toEqual(['5']);
  });

  it.each(['a/x', 'a/+'])('begins the session anew in 3.1.1, for %s', async (filter) => {
    const { peer, publish, hub } = await away(4, filter);
    const second = peer();
    expect((await second.connect({ ...KEPT, version: 4 })).sessionPresent).toBe(false);
    second.expectNothing();
    expect(hub.activeChannels('#')).toEqual([]);
    await second.subscribe([{ filter, qos: 1 }]);
    await publish('a/x', '5');
    expect(second.expectPayloads(1)).toEqual(['5']);
    await second.drop();
    expect((await peer().connect({ ...KEPT, version: 4 })).sessionPresent).toBe(true);
  });

  it.each(VERSIONS)('is none to who subscribed with QoS 0, MQTT %s', async (version) => {
    const { peer } = await away(version, 'a/x', 0);
    const second = peer();
    const { sessionPresent, properties } = await second.connect({ ...KEPT, version });
    expect(sessionPresent).toBe(true);
    expect(properties.userProperties).toBeUndefined();
  });

  it.each(VERSIONS)('is a purge too, MQTT %s', async (version) => {
    const { peer, publish, hub } = await startMqtt();
    const first = peer({ autoAck: true });
    await first.connect({ ...KEPT, version });
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    await publish('a', '0');
    await first.drop();
    const application = { identity: { kind: 'server', grants: new Map() }, session: 's' } as const;
    await hub.beside.purge(application, 'a');
    await publish('a', '1');
    const second = peer();
    const { sessionPresent, properties } = await second.connect({ ...KEPT, version });
    expect(sessionPresent).toBe(version === 5);
    if (version === 5) expect(properties.userProperties?.[0]?.[0]).toBe(GAP_PROPERTY);
  });

  it('of very many channels is told in a few words', async () => {
    const { peer, publish } = await startMqtt({ rulesOf });
    const first = peer({ autoAck: true });
    await first.connect(KEPT);
    await first.subscribe([{ filter: 'a/#', qos: 1 }]);
    for (let index = 0; index < 30; index += 1) await publish(`a/${index}`, '0');
    await first.drop();
    for (let index = 0; index < 30; index += 1) {
      for (const text of ['1', '2', '3']) await publish(`a/${index}`, text);
    }
    const { properties } = await peer().connect(KEPT);
    const told = (properties.userProperties ?? []).map(([, value]) => JSON.parse(value));
    expect(told).toHaveLength(8);
    expect(told.at(-1)).toEqual({ channel: '#', reason: 'unknown' });
  });

  it('begins the session anew where CONNACK has no room for it', async () => {
    const { peer } = await away(5, 'a/x');
    const second = peer();
    const connack = await second.connect({ ...KEPT, properties: { maximumPacketSize: 60 } });
    expect(connack).toMatchObject({ sessionPresent: false, reason: 0 });
    expect(connack.properties.receiveMaximum).toBe(4);
    second.expectNothing();
  });
});

describe('A session that its user may not read any more', () => {
  it('goes on without what is not allowed', async () => {
    const { peer, publish } = await startMqtt();
    const login = (password: string) => ({ ...KEPT, userName: 'alice', password });
    const first = peer();
    await first.connect(login('alice'));
    await first.subscribe([
      { filter: 'a', qos: 1 },
      { filter: 'b', qos: 1 },
    ]);
    await publish('a', 'seen');
    await first.drop();
    await publish('a', 'secret');
    await publish('b', 'open');
    const second = peer();
    const connack = await second.connect(login('alice b=subscribe'));
    expect(connack.sessionPresent).toBe(true);
    expect(second.expectPayloads(1)).toEqual(['open']);
    second.expectNothing();
  });
});
