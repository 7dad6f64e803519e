import { describe, expect, it } from 'vitest';
import { startMqtt } from './mqtt-setup.ts';

const KEPT = { clientId: 'k', clean: false, expiry: 600 };

describe('MqttProtocol', () => {
  it('knows the connections that are open, from before CONNECT to the end', async () => {
    const { peer, protocol } = await startMqtt();
    const clients = [peer(), peer(), peer()];
    expect([...protocol.connections]).toHaveLength(3);
    await clients[0]?.connect();
    await clients[1]?.connect({ version: 4 });
    const versions = Array.from(protocol.connections, ({ session }) => session?.terms.version);
    expect(versions).toEqual([5, 4, undefined]);
    await clients[0]?.disconnect();
    await clients[2]?.drop();
    expect([...protocol.connections]).toHaveLength(1);
    for (const connection of protocol.connections) connection.close({ code: 'draining' });
    expect([...protocol.connections]).toEqual([]);
  });

  it('counts sessions that have a connection', async () => {
    const { peer, protocol } = await startMqtt();
    const [first, second] = [peer(), peer()];
    await first.connect(KEPT);
    await second.connect();
    expect(protocol.readings.mqttSessions).toBe(2);
    await first.drop();
    expect(protocol.readings.mqttSessions).toBe(1);
  });

  it('speaks both versions at once, and each hears the other', async () => {
    const { peer } = await startMqtt();
    const [old, recent] = [peer({ autoAck: true }), peer({ autoAck: true })];
    await old.connect({ version: 4 });
    await recent.connect({ version: 5 });
    for (const client of [old, recent]) await client.subscribe([{ filter: '#', qos: 2 }]);
    await old.publish('a', 'from old', { qos: 1 });
    await recent.publish('b', 'from recent', { qos: 2, properties: { contentType: 'x/y' } });
    const payloads = (client: typeof old) =>
      client.takeKind('publish').map(({ payload }) => Buffer.from(payload).toString());
    expect(payloads(old)).toEqual(['from old', 'from recent']);
    expect(payloads(recent)).toEqual(['from old', 'from recent']);
  });

  it('takes up the sessions that a crash left connected: they run out', async () => {
    const { peer, restart, clock, broker } = await startMqtt();
    const client = peer();
    await client.connect(KEPT);
    await client.subscribe([{ filter: 'a', qos: 1 }]);
    await clock.pass(2_000); // All is stored.
    client.link.setFaults({ freeze: true });
    const next = await restart();
    await clock.pass(500_000);
    expect(await broker.state.list('mqtt/session/', { countMax: 10 })).toHaveLength(1);
    await clock.pass(101_000);
    expect(await broker.state.list('mqtt/session/', { countMax: 10 })).toEqual([]);
    expect((await next.peer().connect(KEPT)).sessionPresent).toBe(false);
  });
});
