import type { MqttPeer } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { anonymous, startMqtt } from '../mqtt-setup.ts';
import type { MqttWorld } from '../mqtt-setup.ts';

/** A node where messages can be retained by name. */
async function startRetaining(options: MqttWorld = {}) {
  const world = await startMqtt(options);
  const retain = (channel: string, payload: string, more: object = {}) =>
    world.publish(channel, payload, { retain: true, contentType: 'text/plain', ...more });
  return { ...world, retain };
}

/** What came, as `topic payload`, with what is special of it. */
function told(peer: MqttPeer): string[] {
  return peer.takeKind('publish').map(({ topic, payload, qos, retain, dup }) => {
    const flags = `${retain ? ' retained' : ''}${dup ? ' dup' : ''}`;
    return `${topic} ${Buffer.from(payload).toString()} q${qos}${flags}`;
  });
}

describe('Retained', () => {
  it.each([4, 5] as const)(
    'sends what is retained after SUBACK, with RETAIN [MQTT4-3.3.1-6] [MQTT4-3.3.1-8] [MQTT5-3.3.1-9] (version %s)',
    async (version) => {
      const { peer, retain } = await startRetaining();
      await retain('a/1', 'one');
      await retain('a/2', 'two');
      await retain('b', 'three');
      const client = peer({ autoAck: true });
      await client.connect({ version, clientId: 'c' });
      await client.subscribe([
        { filter: 'a/+', qos: 1 },
        { filter: 'b', qos: 2 },
      ]);
      expect(client.received.map(({ kind }) => kind).slice(0, 3)).toEqual([
        'connack',
        'suback',
        'publish',
      ]);
      expect(told(client)).toEqual([
        'a/1 one q1 retained',
        'a/2 two q1 retained',
        'b three q2 retained',
      ]);
    },
  );

  it('sends it with the lower QoS of the two [MQTT-3.8.4-8]', async () => {
    const { peer } = await startRetaining();
    const writer = peer();
    await writer.connect({ clientId: 'w' });
    for (const qos of [0, 1, 2] as const) {
      await writer.publish(`a/${qos}`, 'x', { qos, retain: true });
    }
    const client = peer({ autoAck: true });
    await client.connect({ clientId: 'c' });
    await client.subscribe({ filter: 'a/+', qos: 1 });
    expect(told(client)).toEqual(['a/0 x q0 retained', 'a/1 x q1 retained', 'a/2 x q1 retained']);
  });

  it('keeps the last one, and none after an empty one [MQTT-3.3.1-5] [MQTT5-3.3.1-7] [MQTT5-3.3.1-8]', async () => {
    const { peer } = await startRetaining();
    const writer = peer();
    await writer.connect({ clientId: 'w' });
    await writer.publish('a', 'old', { retain: true });
    await writer.publish('a', 'new', { retain: true });
    await writer.publish('a', 'not retained');
    await writer.publish('b', 'old', { retain: true });
    await writer.publish('b', '', { retain: true });
    const client = peer();
    await client.connect({ clientId: 'c' });
    await client.subscribe('#');
    expect(told(client)).toEqual(['a new q0 retained']);
  });

  it('sends it at each SUBSCRIBE, at the first, or never [MQTT5-3.3.1-9] [MQTT5-3.3.1-10] [MQTT5-3.3.1-11]', async () => {
    const { peer, retain } = await startRetaining();
    await retain('a', 'x');
    const client = peer();
    await client.connect({ clientId: 'c' });
    const subscribe = async (filter: string, retainHandling: 0 | 1 | 2): Promise<string[]> => {
      await client.subscribe({ filter, qos: 0, retainHandling });
      return told(client);
    };
    expect(await subscribe('a', 2)).toEqual([]);
    expect(await subscribe('a', 1)).toEqual([]);
    expect(await subscribe('a', 0)).toEqual(['a x q0 retained']);
    expect(await subscribe('a', 0)).toEqual(['a x q0 retained']);
    expect(await subscribe('+', 1)).toEqual(['a x q0 retained']);
    expect(await subscribe('+', 1)).toEqual([]);
    await client.unsubscribe('+');
    expect(await subscribe('+', 1)).toEqual(['a x q0 retained']);
  });

  it('sends it again to 3.1.1 at each SUBSCRIBE [MQTT-3.8.4-3]', async () => {
    const { peer, retain } = await startRetaining();
    await retain('a', 'x');
    const client = peer();
    await client.connect({ version: 4, clientId: 'c' });
    await client.subscribe('a');
    await client.subscribe({ filter: 'a', qos: 1 });
    expect(told(client)).toEqual(['a x q0 retained', 'a x q1 retained']);
  });

  it('tells what comes live without RETAIN, and once [MQTT5-3.3.1-12]', async () => {
    const { peer, hub, retain, clock } = await startRetaining();
    await retain('a', 'before');
    const { findRetained } = hub.beside;
    hub.beside.findRetained = async (...request) => {
      hub.beside.findRetained = findRetained;
      // It comes when the subscription has begun, and before what is retained is read.
      await hub.publish({ identity: anonymous, session: 's' }, 'a', {
        payload: Buffer.from('after'),
        contentType: 'text/plain',
        retain: true,
      });
      return findRetained.apply(hub.beside, request);
    };
    const client = peer();
    await client.connect({ clientId: 'c' });
    await client.subscribe('a');
    await clock.settle();
    expect(told(client)).toEqual(['a after q0']);
  });

  it('leaves one’s own out where No Local says so [MQTT5-3.8.3-3]', async () => {
    const { peer, retain } = await startRetaining();
    await retain('a/other', 'x');
    const client = peer();
    await client.connect({ clientId: 'c' });
    await client.publish('a/own', 'x', { retain: true });
    await client.subscribe({ filter: 'a/#', qos: 0, noLocal: true });
    expect(told(client)).toEqual(['a/other x q0 retained']);
  });

  it('tells the identifier of the subscription that asked [MQTT-3.3.4-3]', async () => {
    const { peer, retain } = await startRetaining();
    await retain('a', 'x');
    const client = peer();
    await client.connect({ clientId: 'c' });
    const first = { properties: { subscriptionIdentifiers: [7] } };
    await client.subscribe({ filter: 'a', qos: 0, retainHandling: 2 }, first);
    await client.subscribe('+', { properties: { subscriptionIdentifiers: [9] } });
    expect(client.expectPacket('publish').properties.subscriptionIdentifiers).toEqual([9]);
    client.expectNothing();
  });

  it('tells what is left of its time, and sends none that is over [MQTT-3.3.2-5] [MQTT-3.3.2-6]', async () => {
    const { peer, retain, clock } = await startRetaining();
    await retain('a/long', 'x', { ttl: 60_000 });
    await retain('a/short', 'x', { ttl: 5_000 });
    clock.advance(10_000);
    const client = peer();
    await client.connect({ clientId: 'c' });
    await client.subscribe('a/#');
    const [long, ...rest] = client.takeKind('publish');
    expect(long).toMatchObject({ topic: 'a/long', properties: { messageExpiryInterval: 50 } });
    expect(rest).toEqual([]);
  });

  it('sends nothing that the client may not read', async () => {
    const { peer, retain } = await startRetaining({
      rulesOf: (channel) => ({
        allow: { anonymous: [], user: channel === 'a/secret' ? [] : ['subscribe'] },
      }),
    });
    await retain('a/secret', 'x');
    await retain('a/open', 'x');
    const client = peer();
    await client.connect({ clientId: 'c', userName: 'x', password: 'alice b=subscribe' });
    await client.subscribe('a/+');
    expect(told(client)).toEqual(['a/open x q0 retained']);
  });

  it('sends what a volatile channel retains with QoS 0', async () => {
    const { peer, retain } = await startRetaining({ rulesOf: () => ({ volatile: true }) });
    await retain('a', 'x');
    const client = peer();
    await client.connect({ clientId: 'c' });
    await client.subscribe({ filter: 'a', qos: 2 });
    expect(told(client)).toEqual(['a x q0 retained']);
  });

  it('reads on only when a slow client has taken what it was sent', async () => {
    const { peer, hub, retain, clock } = await startRetaining();
    const count = 450;
    for (let index = 0; index < count; index += 1) {
      await retain(`a/${String(index).padStart(3, '0')}`, `${index}`);
    }
    let pages = 0;
    const { findRetained } = hub.beside;
    hub.beside.findRetained = (...request) => {
      pages += 1;
      return findRetained.apply(hub.beside, request);
    };
    // It acknowledges nothing, and takes eight at a time.
    const client = peer();
    await client.connect({ clientId: 'c' });
    await client.subscribe({ filter: 'a/#', qos: 1 });
    expect(pages).toBe(1);
    const got: string[] = [];
    for (let turn = 0; turn < count; turn += 1) {
      const packets = client.takeKind('publish');
      expect(packets.length).toBeLessThanOrEqual(8);
      if (packets.length === 0) break;
      for (const { packetId, topic } of packets) {
        got.push(topic);
        await client.ack('puback', packetId);
      }
      await clock.settle();
    }
    expect(got).toHaveLength(count);
    expect(new Set(got).size).toBe(count);
    expect(pages).toBeGreaterThan(4);
  });

  it('lets messages of a subscription come while a slow client takes what is retained', async () => {
    const { peer, publish, retain } = await startRetaining();
    for (let index = 0; index < 50; index += 1) await retain(`a/${index}`, 'x');
    const client = peer({ autoAck: true });
    await client.connect({ clientId: 'c' });
    client.autoAck = false;
    await client.subscribe({ filter: 'a/#', qos: 1 });
    await publish('a/live', 'live', { contentType: 'text/plain' });
    const got = new Set<string>();
    for (let turn = 0; turn < 60; turn += 1) {
      for (const { packetId, topic, retain: retained } of client.takeKind('publish')) {
        got.add(`${topic} ${retained}`);
        await client.ack('puback', packetId);
      }
    }
    expect(got.size).toBe(51);
    expect(got).toContain('a/live false');
  });

  it('goes on after a connection that broke halfway, and says again that it was retained', async () => {
    const { peer, retain, clock } = await startRetaining();
    for (let index = 0; index < 20; index += 1) await retain(`a/${index}`, 'x');
    const options = { clientId: 'c', clean: false, expiry: 600 };
    const first = peer();
    await first.connect(options);
    await first.subscribe({ filter: 'a/#', qos: 2 });
    expect(told(first)).toHaveLength(8);
    await first.drop();
    const second = peer({ autoAck: true });
    expect(await second.connect(options)).toMatchObject({ sessionPresent: true });
    await clock.settle();
    const all = told(second);
    expect(all.slice(0, 8).every((one) => one.endsWith('q2 retained dup'))).toBe(true);
    expect(all.slice(8).every((one) => one.endsWith('q2 retained'))).toBe(true);
    expect(new Set(all).size).toBe(20);
    // All was sent: nothing of it comes again.
    await second.drop();
    const third = peer({ autoAck: true });
    await third.connect(options);
    third.expectNothing();
  });

  it('goes on after a crash of the server', async () => {
    const { peer, retain, clock, restart } = await startRetaining();
    for (let index = 0; index < 20; index += 1) await retain(`a/${index}`, 'x');
    const options = { clientId: 'c', clean: false, expiry: 600 };
    const first = peer();
    await first.connect(options);
    await first.subscribe({ filter: 'a/#', qos: 2 });
    const before = new Set(first.takeKind('publish').map(({ topic }) => topic));
    const next = await restart();
    const second = next.peer({ autoAck: true });
    await second.connect(options);
    await clock.settle();
    const after = second.takeKind('publish');
    expect(after.filter(({ dup }) => dup).map(({ topic }) => topic)).toEqual([...before]);
    expect(new Set(after.map(({ topic }) => topic)).size).toBe(20);
    expect(after).toHaveLength(20);
  });

  it('ends with the subscription [MQTT-3.10.4-2]', async () => {
    const { peer, retain } = await startRetaining();
    for (let index = 0; index < 200; index += 1) await retain(`a/${index}`, 'x');
    const client = peer();
    await client.connect({ clientId: 'c' });
    await client.subscribe({ filter: 'a/#', qos: 1 });
    const sent = client.takeKind('publish');
    await client.unsubscribe('a/#');
    for (const { packetId } of sent) await client.ack('puback', packetId);
    client.expectNothing();
  });

  it('tries again while the store is away', async () => {
    const { peer, hub, retain, clock } = await startRetaining();
    await retain('a', 'x');
    const { findRetained } = hub.beside;
    hub.beside.findRetained = async () => {
      throw new CodedError('unavailable', 'away');
    };
    const client = peer();
    await client.connect({ clientId: 'c' });
    await client.subscribe('a');
    client.expectNothing();
    hub.beside.findRetained = findRetained;
    clock.advance(1_100);
    await clock.settle();
    expect(told(client)).toEqual(['a x q0 retained']);
  });
});
