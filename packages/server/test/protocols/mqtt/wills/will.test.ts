import { CodedError } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import type { MqttPeer } from '@trunkline/testkit';
import { SESSION_PREFIX } from '../../../../src/protocols/mqtt/session/session-store.ts';
import { WILL_PREFIX } from '../../../../src/protocols/mqtt/wills/will.ts';
import { startMqtt } from '../mqtt-setup.ts';
import type { MqttWorld } from '../mqtt-setup.ts';

const WILL = { topic: 'status/c', payload: 'gone', qos: 1 } as const;

/** A node, and somebody who listens to wills. */
async function startListening(options: MqttWorld = {}) {
  const world = await startMqtt(options);
  const listener = world.peer({ autoAck: true });
  await listener.connect({ clientId: 'listener' });
  await listener.subscribe({ filter: 'status/#', qos: 2, retainAsPublished: true });
  const told = async (): Promise<string[]> => {
    await world.clock.settle();
    return payloadsOf(listener);
  };
  const stored = async (): Promise<number> => {
    await world.clock.settle();
    return (await world.broker.state.list(WILL_PREFIX, { countMax: 100 })).length;
  };
  const wait = async (seconds: number): Promise<void> => {
    world.clock.advance(seconds * 1000);
    await world.clock.settle();
  };
  return { ...world, listener, told, stored, wait };
}

function payloadsOf(peer: MqttPeer): string[] {
  return peer.takeKind('publish').map(({ payload }) => Buffer.from(payload).toString());
}

/** A will of 5.0 that waits. */
function delayed(seconds: number) {
  return { ...WILL, properties: { willDelayInterval: seconds } };
}

describe('Wills', () => {
  it.each([4, 5] as const)(
    'publishes the will when the connection breaks [MQTT-3.1.2-8] (version %s)',
    async (version) => {
      const { peer, told, stored } = await startListening();
      const client = peer();
      await client.connect({ version, clientId: 'c', will: WILL });
      expect(await stored()).toBe(1);
      expect(await told()).toEqual([]);
      await client.drop();
      expect(await told()).toEqual(['gone']);
      expect(await stored()).toBe(0);
    },
  );

  it('stores it before CONNACK leaves', async () => {
    const { peer, broker, clock } = await startListening();
    const held = Promise.withResolvers<void>();
    const put = broker.state.put.bind(broker.state);
    broker.state.put = async (key, ...rest) => {
      if (key.startsWith(WILL_PREFIX)) await held.promise;
      return put(key, ...rest);
    };
    const client = peer();
    await expect(client.connect({ clientId: 'c', will: WILL })).rejects.toThrow('nothing');
    held.resolve();
    await clock.settle();
    expect(client.expectPacket('connack').reason).toBe(0);
  });

  it('refuses the client where the will can’t be stored', async () => {
    const { peer, broker, told, stored, wait } = await startListening();
    const { put } = broker.state;
    broker.state.put = async () => {
      throw new CodedError('unavailable', 'the disk is away');
    };
    const client = peer();
    expect(await client.connect({ clientId: 'c', will: WILL })).toMatchObject({ reason: 0x88 });
    expect(client.isOver).toBe(true);
    broker.state.put = put;
    await wait(5);
    expect(await told()).toEqual([]);
    expect(await stored()).toBe(0);
  });

  it.each([4, 5] as const)(
    'drops it after DISCONNECT [MQTT-3.1.2-10] [MQTT-3.14.4-3] (version %s)',
    async (version) => {
      const { peer, told, stored } = await startListening();
      const client = peer();
      await client.connect({ version, clientId: 'c', will: WILL });
      await client.disconnect();
      expect(await told()).toEqual([]);
      expect(await stored()).toBe(0);
    },
  );

  it.each([0x04, 0x80])(
    'publishes it after DISCONNECT with reason %s [MQTT-3.14.4-3]',
    async (reason) => {
      const { peer, told } = await startListening();
      const client = peer();
      await client.connect({ clientId: 'c', will: WILL });
      await client.disconnect(reason);
      expect(await told()).toEqual(['gone']);
    },
  );

  it('publishes it when the client breaks the protocol, falls silent, or has to go', async () => {
    const { peer, told, wait, protocol } = await startListening();
    const rude = peer();
    await rude.connect({ clientId: 'rude', will: { ...WILL, payload: 'rude' } });
    await rude.sendRaw(Uint8Array.of(0x00, 0x00));
    expect(await told()).toEqual(['rude']);
    const silent = peer();
    await silent.connect({
      clientId: 'silent',
      keepAlive: 2,
      will: { ...WILL, payload: 'silent' },
    });
    await wait(4);
    expect(await told()).toEqual(['silent']);
    const last = peer();
    await last.connect({ clientId: 'last', will: { ...WILL, payload: 'last' } });
    for (const connection of [...protocol.connections]) {
      if (connection.session?.terms.clientId === 'last') connection.close({ code: 'draining' });
    }
    expect(await told()).toEqual(['last']);
  });

  it('publishes it when another connection takes the session over [MQTT-3.1.2-8]', async () => {
    const { peer, told, stored } = await startListening();
    const first = peer();
    await first.connect({ clientId: 'c', clean: false, expiry: 60, will: WILL });
    const second = peer();
    await second.connect({ clientId: 'c', clean: false, expiry: 60 });
    expect(first.isOver).toBe(true);
    expect(await told()).toEqual(['gone']);
    expect(await stored()).toBe(0);
  });

  it('publishes it after its delay', async () => {
    const { peer, told, stored, wait } = await startListening();
    const client = peer();
    await client.connect({ clientId: 'c', clean: false, expiry: 60, will: delayed(10) });
    await client.drop();
    await wait(9);
    expect(await told()).toEqual([]);
    expect(await stored()).toBe(1);
    await wait(2);
    expect(await told()).toEqual(['gone']);
    expect(await stored()).toBe(0);
  });

  it('publishes it when the session ends, where that is first (5.0 §3.1.3.2.2)', async () => {
    const { peer, told, wait } = await startListening();
    const short = peer();
    await short.connect({ clientId: 'c', clean: false, expiry: 5, will: delayed(10) });
    await short.drop();
    await wait(4);
    expect(await told()).toEqual([]);
    await wait(2);
    expect(await told()).toEqual(['gone']);
    // A session that ends with its connection.
    const none = peer();
    await none.connect({ clientId: 'd', will: delayed(10) });
    await none.drop();
    expect(await told()).toEqual(['gone']);
  });

  it('goes by the expiry that DISCONNECT gives the session', async () => {
    const { peer, told, wait } = await startListening();
    const client = peer();
    await client.connect({ clientId: 'c', clean: false, expiry: 60, will: delayed(30) });
    await client.disconnect(0x04, { sessionExpiryInterval: 3 });
    await wait(2);
    expect(await told()).toEqual([]);
    await wait(2);
    expect(await told()).toEqual(['gone']);
  });

  it('drops it when the session goes on within the delay [MQTT5-3.1.3-9]', async () => {
    const { peer, told, stored, wait } = await startListening();
    const first = peer();
    await first.connect({ clientId: 'c', clean: false, expiry: 60, will: delayed(10) });
    await first.drop();
    await wait(5);
    const second = peer();
    expect(await second.connect({ clientId: 'c', clean: false, expiry: 60 })).toMatchObject({
      sessionPresent: true,
    });
    await wait(60);
    expect(await told()).toEqual([]);
    expect(await stored()).toBe(0);
  });

  it('publishes it at once when the session is begun anew (5.0 §3.1.4)', async () => {
    const { peer, told, stored } = await startListening();
    const first = peer();
    await first.connect({ clientId: 'c', clean: false, expiry: 60, will: delayed(10) });
    await first.drop();
    const second = peer();
    await second.connect({ clientId: 'c', will: { ...WILL, payload: 'second' } });
    expect(await told()).toEqual(['gone']);
    await second.drop();
    expect(await told()).toEqual(['second']);
    expect(await stored()).toBe(0);
  });

  it('keeps another user’s will with the same client identifier', async () => {
    const { peer, told } = await startListening();
    const options = { clientId: 'c', clean: false, expiry: 60 };
    const alice = peer();
    await alice.connect({ ...options, userName: 'x', password: 'alice', will: delayed(10) });
    await alice.drop();
    await peer().connect({ ...options, clean: true, userName: 'x', password: 'bob' });
    expect(await told()).toEqual([]);
  });

  it.each([4, 5] as const)(
    'refuses a client that may not publish its will (version %s)',
    async (version) => {
      const { peer, stored } = await startListening({
        rulesOf: () => ({ allow: { anonymous: [], user: [] } }),
      });
      const client = peer();
      const connack = await client.connect({
        ...{ version, clientId: 'c', userName: 'x', will: WILL },
        password: 'alice a/#=publish',
      });
      expect(connack.reason).toBe(version === 5 ? 0x87 : 5);
      expect(client.isOver).toBe(true);
      expect(await stored()).toBe(0);
    },
  );

  it('refuses wills that could not be published, and leaves the session before as it is', async () => {
    const { peer } = await startListening({ rulesOf: () => ({ messageBytesMax: 10 }) });
    const first = peer();
    await first.connect({ clientId: 'c' });
    const refused = async (will: object): Promise<number> => {
      const one = peer();
      return (await one.connect({ clientId: 'c', will: { ...WILL, ...will } })).reason;
    };
    expect(await refused({ payload: 'more than ten bytes' })).toBe(0x97);
    expect(await refused({ topic: '$SYS/broker/version' })).toBe(0x90);
    expect(first.isOver).toBe(false);
  });

  it('publishes it with the rights of the client as they were', async () => {
    const { peer, told, restart } = await startListening({
      rulesOf: () => ({ allow: { anonymous: ['subscribe'], user: [] } }),
    });
    const client = peer();
    const password = 'alice status/+=publish';
    await client.connect({ clientId: 'c', userName: 'x', password, will: WILL });
    await restart();
    expect(await told()).toEqual(['gone']);
  });

  it('keeps all that the will says of its message [MQTT5-3.1.2-15] [MQTT5-3.1.3-10] (5.0 §3.1.3.2)', async () => {
    const { peer, listener, hub } = await startListening();
    const client = peer();
    const properties = {
      payloadFormatIndicator: 1,
      messageExpiryInterval: 30,
      contentType: 'text/x-status',
      responseTopic: 'answers/c',
      correlationData: Buffer.of(1, 2, 3),
      userProperties: [
        ['b', '1'],
        ['a', '2'],
        ['key', 'not a key of the log'],
      ],
    } as const;
    await client.connect({ clientId: 'c', will: { ...WILL, qos: 2, retain: true, properties } });
    await client.drop();
    const [told] = listener.takeKind('publish');
    expect(told).toMatchObject({ topic: 'status/c', qos: 2, retain: true, properties });
    const caller = { identity: { kind: 'server', grants: new Map() }, session: 's' } as const;
    const found = await hub.beside.findRetained(caller, 'status/c', { countMax: 1 });
    expect(found.messages[0]?.message.from).toEqual({ session: expect.stringMatching(/^\w{16}$/) });
  });

  it('is from the session, which can leave its own messages out [MQTT5-3.8.3-3]', async () => {
    const { peer, wait, told } = await startListening();
    const options = { clientId: 'c', clean: false, expiry: 600 };
    const first = peer();
    await first.connect({ ...options, will: delayed(1) });
    await first.subscribe({ filter: 'status/c', qos: 1, noLocal: true });
    await first.drop();
    await wait(2);
    expect(await told()).toEqual(['gone']);
    const second = peer();
    await second.connect(options);
    second.expectNothing();
  });

  it('publishes what a crash of the server left, once', async () => {
    const { peer, told, stored, restart } = await startListening();
    await peer().connect({ clientId: 'c', will: WILL });
    const next = await restart();
    expect(await told()).toEqual(['gone']);
    expect(await stored()).toBe(0);
    await restart();
    expect(await told()).toEqual([]);
    // Those of its own clients are none of what is left.
    await next.peer().connect({ clientId: 'd', will: WILL });
    next.protocol.start();
    expect(await told()).toEqual([]);
  });

  it('has it in the log once although the server crashes before it is removed', async () => {
    const { peer, told, broker, restart } = await startListening();
    await peer().connect({ clientId: 'c', will: WILL });
    const remove = broker.state.delete.bind(broker.state);
    broker.state.delete = () => new Promise(() => {});
    await restart();
    expect(await told()).toEqual(['gone']);
    broker.state.delete = remove;
    await restart();
    expect(await told()).toEqual([]);
    expect(await broker.state.list(WILL_PREFIX, { countMax: 1 })).toEqual([]);
  });

  it('counts the delay from the start where the server crashed, and goes on with it after', async () => {
    const { peer, told, wait, restart } = await startListening();
    await peer().connect({ clientId: 'c', clean: false, expiry: 60, will: delayed(10) });
    await wait(8);
    await restart();
    await wait(8);
    expect(await told()).toEqual([]);
    // Once it has begun, another restart does not begin it anew.
    await restart();
    await wait(1);
    expect(await told()).toEqual([]);
    await wait(2);
    expect(await told()).toEqual(['gone']);
  });

  it('drops it when the session goes on before the server has looked for it', async () => {
    const { peer, broker, told, wait, restart } = await startListening();
    const options = { clientId: 'c', clean: false, expiry: 60 };
    await peer().connect({ ...options, will: delayed(10) });
    const list = broker.state.list.bind(broker.state);
    const held = Promise.withResolvers<void>();
    broker.state.list = async (prefix, page) => {
      const found = await list(prefix, page);
      if (prefix === WILL_PREFIX) await held.promise;
      return found;
    };
    const next = await restart();
    expect(await next.peer().connect(options)).toMatchObject({ sessionPresent: true });
    held.resolve();
    await wait(60);
    expect(await told()).toEqual([]);
  });

  it('tries again as long as the log is away', async () => {
    const { peer, hub, told, wait, stored } = await startListening();
    const client = peer();
    await client.connect({ clientId: 'c', will: WILL });
    const { publish } = hub;
    hub.publish = async () => {
      throw new CodedError('unavailable', 'away', { stored: 'unknown' });
    };
    await client.drop();
    await wait(3);
    expect(await stored()).toBe(1);
    hub.publish = publish;
    await wait(2);
    expect(await told()).toEqual(['gone']);
    expect(await stored()).toBe(0);
  });

  it('gives up what is not allowed any more', async () => {
    let allowed = true;
    const { peer, told, stored } = await startListening({
      rulesOf: () => (allowed ? {} : { allow: { anonymous: ['subscribe'], user: [] } }),
    });
    const client = peer();
    await client.connect({ clientId: 'c', will: WILL, userName: 'x', password: 'bob x=publish' });
    await client.drop();
    expect(await told()).toEqual([]);
    allowed = false;
    const other = peer();
    await other.connect({ clientId: 'd' });
    expect(await stored()).toBe(0);
  });
});

describe('sessions that a crash left connected', () => {
  it('run out from the start of the server on [MQTT5-3.1.2-23]', async () => {
    const { peer, clock, broker, restart } = await startMqtt();
    const options = { clientId: 'c', clean: false, expiry: 60 };
    await peer().connect(options);
    await clock.settle();
    clock.advance(3_600_000);
    const next = await restart();
    clock.advance(50_000);
    const again = next.peer();
    expect(await again.connect(options)).toMatchObject({ sessionPresent: true });
    // The one with a connection does not run out.
    clock.advance(3_600_000);
    await again.drop();
    const third = next.peer();
    expect(await third.connect(options)).toMatchObject({ sessionPresent: true });
    await restart();
    clock.advance(61_000);
    expect(await broker.state.list(SESSION_PREFIX, { countMax: 10 })).toEqual([]);
  });

  it('leaves those alone that have a connection by now', async () => {
    const { peer, clock, broker, restart } = await startMqtt();
    const options = { clientId: 'c', clean: false, expiry: 60 };
    await peer().connect(options);
    const list = broker.state.list.bind(broker.state);
    const held = Promise.withResolvers<void>();
    broker.state.list = async (prefix, page) => {
      const found = await list(prefix, page);
      await held.promise;
      return found;
    };
    const next = await restart();
    broker.state.list = list;
    await next.peer().connect(options);
    held.resolve();
    await clock.settle();
    clock.advance(3_600_000);
    expect(await broker.state.list(SESSION_PREFIX, { countMax: 10 })).toHaveLength(1);
  });
});
