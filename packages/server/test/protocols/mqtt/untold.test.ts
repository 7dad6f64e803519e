import type { MqttPeer } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { GAP_PROPERTY } from '../../../src/protocols/mqtt/session/losses.ts';
import { startMqtt } from './mqtt-setup.ts';

const CLIENT = { clientId: 'c', clean: false } as const;
const rulesOf = () => ({ history: { countMax: 2, ageMsMax: 1e9, sizeMax: 1e9 } });

/** A client that was away for longer than its messages were kept. */
async function away(version: 4 | 5) {
  const server = await startMqtt({ rulesOf });
  const options = { ...CLIENT, version, ...(version === 5 ? { expiry: 1000 } : {}) };
  const first = server.peer({ autoAck: true });
  await first.connect(options);
  await first.subscribe([{ filter: 'a', qos: 1 }]);
  await server.publish('a', '0');
  await first.disconnect();
  for (const text of ['1', '2', '3', '4']) await server.publish('a', text);
  /** A connection that breaks before the client has its CONNACK. */
  const connectInVain = async (): Promise<void> => {
    const peer = server.peer();
    peer.link.hold();
    await expect(peer.connect(options)).rejects.toThrow('expected connack');
    await peer.drop();
    expect(peer.received).toEqual([]);
  };
  const connect = async (): Promise<{ peer: MqttPeer; told: string[]; isPresent: boolean }> => {
    const peer = server.peer();
    const { properties, sessionPresent } = await peer.connect(options);
    const told = (properties.userProperties ?? []).map(([, value]) => value);
    return { peer, told, isPresent: sessionPresent };
  };
  return { ...server, connect, connectInVain };
}

describe('a loss whose CONNACK did not arrive [DEV-39]', () => {
  it('is told again in 5.0, until the client was heard', async () => {
    const { connect, connectInVain } = await away(5);
    await connectInVain();
    await connectInVain();
    const second = await connect();
    expect(second.isPresent).toBe(true);
    expect(second.told.map((value) => JSON.parse(value))).toMatchObject([{ channel: 'a' }]);
    await second.peer.send({ kind: 'pingreq' });
    await second.peer.drop();
    expect((await connect()).told).toEqual([]);
  });

  it('ends the session again in 3.1.1, until the client was heard', async () => {
    const { connect, connectInVain, publish } = await away(4);
    await connectInVain();
    await connectInVain();
    const second = await connect();
    expect(second.isPresent).toBe(false);
    await second.peer.subscribe([{ filter: 'a', qos: 1 }]);
    await publish('a', '5');
    expect(second.peer.expectPayloads(1)).toEqual(['5']);
    await second.peer.drop();
    expect((await connect()).isPresent).toBe(true);
  });

  it('ends the session in 3.1.1 also when it came to light on a connection', async () => {
    const { peer, publish, hub } = await startMqtt();
    const options = { ...CLIENT, version: 4 as const };
    const first = peer();
    await first.connect(options);
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    await publish('a', '1');
    const application = { identity: { kind: 'server', grants: new Map() }, session: 's' } as const;
    await hub.beside.purge(application, 'a');
    await publish('a', '2');
    await first.settle();
    expect(first.isOver).toBe(true);
    const inVain = peer();
    inVain.link.hold();
    await expect(inVain.connect(options)).rejects.toThrow('expected connack');
    await inVain.drop();
    expect((await peer().connect(options)).sessionPresent).toBe(false);
  });
});

it('a loss is no news to a client that says goodbye without an answer [DEV-39]', async () => {
  const { peer, connect } = await away(4);
  const inVain = peer();
  inVain.link.hold();
  await expect(inVain.connect({ ...CLIENT, version: 4 })).rejects.toThrow('expected connack');
  await inVain.disconnect();
  expect((await connect()).isPresent).toBe(false);
});

describe('a loss that is told with a message [DEV-39]', () => {
  it('is told again in CONNACK, until that message is acknowledged', async () => {
    const { peer, publish, hub } = await startMqtt();
    const options = { ...CLIENT, expiry: 1000 };
    const first = peer();
    await first.connect(options);
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    await publish('a', '1');
    await first.ack('puback', first.expectPacket('publish').packetId);
    const application = { identity: { kind: 'server', grants: new Map() }, session: 's' } as const;
    await hub.beside.purge(application, 'a');
    first.link.hold();
    await publish('a', '2');
    await first.send({ kind: 'pingreq' });
    await first.drop();
    const second = peer();
    const { properties } = await second.connect(options);
    const told = (properties.userProperties ?? []).map(([, value]) => JSON.parse(value));
    expect(told).toMatchObject([{ channel: 'a' }]);
    await second.ack('puback', second.expectPacket('publish').packetId);
    await second.drop();
    expect((await peer().connect(options)).properties.userProperties).toBeUndefined();
  });

  it('is over when the message that told it is acknowledged', async () => {
    const { peer, publish, hub } = await startMqtt();
    const options = { ...CLIENT, expiry: 1000 };
    const first = peer({ autoAck: true });
    await first.connect(options);
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    await publish('a', '1');
    const application = { identity: { kind: 'server', grants: new Map() }, session: 's' } as const;
    await hub.beside.purge(application, 'a');
    await publish('a', '2');
    const last = first.takeKind('publish').at(-1);
    expect(last?.properties.userProperties?.[0]?.[0]).toBe(GAP_PROPERTY);
    await first.drop();
    expect((await peer().connect(options)).properties.userProperties).toBeUndefined();
  });
});
