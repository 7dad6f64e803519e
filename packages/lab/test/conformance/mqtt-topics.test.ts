/** What MQTT says of channels and of messages: topics, payloads, QoS and properties. */
import type { PropertiesOf } from '@trunkline/server/internal/protocols/mqtt/codec/property-table.ts';
import type { Version } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { API_KEY } from '../../src/tokens.ts';
import { connected, EVERY_QOS, KEPT, leave, ping, publication, publish } from './mqtt-talk.ts';
import { subscribe, textOf, told } from './mqtt-talk.ts';

const VERSIONS = [4, 5] as const;
const clock = new SkipClock();
let server: LabServer;

beforeAll(async () => {
  const namespaces = { 'live/#': { volatile: true }, 'small/#': { messageBytesMax: 100 } };
  server = await startServer({ mqtt: { port: 'auto' }, namespaces }, { clock });
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

/** What the log says of the only message in a channel, to who asks over HTTP. */
async function logged(channel: string): Promise<Record<string, unknown>> {
  const path = `/v1/history?channel=${encodeURIComponent(channel)}&after=start`;
  const { messages } = (await server.get(path)).json<{ messages: Record<string, unknown>[] }>();
  expect(messages).toHaveLength(1);
  return messages[0] ?? {};
}

describe('over MQTT, TCP', () => {
  test('[DEV-9] a topic is a channel, and has what a channel may have', async () => {
    const device = await connected(server, 'names');
    const name = `${'é'.repeat(127)}x`;
    expect(await publish(device, name, 'as long as may be')).toMatchObject({ reason: 0 });
    expect(await logged(name)).toMatchObject({ data: 'as long as may be' });
    for (const topic of [`${name}x`, 'a\u0007', '$own', '$SYS/own']) {
      expect(await publish(device, topic, 'x'), topic).toMatchObject({ reason: 0x90 });
      expect((await subscribe(device, topic)).reasons[0], topic).toBe(
        topic === '$SYS/own' ? 1 : 0x8f,
      );
    }
  });

  test.each(VERSIONS)('[DEV-9] wildcards match as patterns do, version %i', async (version) => {
    const base = `wild/${version}`;
    const device = await connected(server, base, {}, version);
    await subscribe(device, [`${base}/+/x`, `${base}/deep/#`]);
    const topics = ['a/x', 'a/b/x', '/x', 'deep', 'deep/', 'deep/a/b', 'x'];
    await server.publishAll(topics.map((topic) => ({ channel: `${base}/${topic}`, data: topic })));
    const got = (await told(device, 5)).toSorted();
    expect(got).toEqual(['1 "/x"', '1 "a/x"', '1 "deep"', '1 "deep/"', '1 "deep/a/b"']);
  });

  test('[DEV-9] no wildcard at the first level reaches channels of @', async () => {
    await using open = await startServer({ mqtt: { port: 'auto' }, auth: { apiKeys: [API_KEY] } });
    const key = { userName: 'app', password: Buffer.from(API_KEY) };
    const [device, own] = [await connected(open, 'all', key), await connected(open, 'own', key)];
    const writer = await connected(open, 'writer', key);
    await subscribe(device, ['#', '+/inbox']);
    await subscribe(own, '@ann/inbox');
    await publish(writer, '@ann/inbox', 'mine');
    await publish(writer, 'ann/inbox', 'all can');
    expect(await told(own, 1)).toEqual(['1 mine']);
    expect(await told(device, 1)).toEqual(['1 all can']);
  });

  test.each(VERSIONS)(
    '[DEV-10] keeps payloads byte for byte, and finds out what they are, version %i',
    async (version) => {
      const cases = [
        ['json', Buffer.from(' {"n": 1.0} '), undefined],
        ['text', Buffer.from('{no'), 'text/plain; charset=utf-8'],
        ['bytes', Buffer.from([0xff, 0, 0xfe]), 'application/octet-stream'],
      ] as const;
      const device = await connected(server, `payloads ${version}`, {}, version);
      await subscribe(device, `payloads/${version}/+`);
      for (const [name, payload, type] of cases) {
        const topic = `payloads/${version}/${name}`;
        device.send(publication(topic, payload, { qos: 0 }));
        expect(Buffer.from((await device.nextOf('publish')).payload)).toEqual(payload);
        expect((await logged(topic))['contentType'], name).toBe(type);
      }
    },
  );

  test('[DEV-10] tells what the publisher told, or what another protocol says', async () => {
    const device = await connected(server, 'types');
    await subscribe(device, 'types/+');
    const next = async (): Promise<PropertiesOf<'publish'>> =>
      (await device.nextOf('publish')).properties;
    device.send(
      publication('types/1', '<a/>', { qos: 0, properties: { contentType: 'text/html' } }),
    );
    expect(await next()).toEqual({ contentType: 'text/html' });
    expect(await logged('types/1')).toMatchObject({ contentType: 'text/html' });
    // None of ours: it is handed on, and others are told what it is.
    device.send(publication('types/2', 'x', { qos: 0, properties: { contentType: 'odd' } }));
    expect(await next()).toEqual({ contentType: 'odd' });
    expect(await logged('types/2')).toMatchObject({ contentType: 'text/plain; charset=utf-8' });
    device.send(publication('types/3', 'x', { qos: 0 }));
    expect(await next()).toEqual({});
    await server.publish('types/4', { n: 1 });
    expect(await next()).toEqual({ contentType: 'application/json', payloadFormatIndicator: 1 });
  });

  test('[DEV-11] what is said of a message stays with it in the log', async () => {
    const properties: PropertiesOf<'publish'> = {
      payloadFormatIndicator: 1,
      contentType: 'text/plain',
      responseTopic: 'answers/here',
      correlationData: Buffer.from([1, 0, 2]),
      userProperties: [
        ['b', '2'],
        ['a', '1'],
        ['b', '1'],
      ],
    };
    const sleeper = await connected(server, 'sleeper', KEPT);
    await subscribe(sleeper, 'stays', { qos: 2, retainAsPublished: true });
    await leave(sleeper);
    const device = await connected(server, 'stays');
    await publish(device, 'stays', 'x', { retain: true, properties });
    const later = await connected(server, 'sleeper', KEPT);
    const { qos, retain, properties: got } = await later.nextOf('publish');
    expect([qos, retain]).toEqual([1, true]);
    expect({ ...got, correlationData: Buffer.from(got.correlationData ?? []) }).toEqual(properties);
  });

  test.each(VERSIONS)(
    '[DEV-12] delivers with the lower QoS of the two, version %i',
    async (version) => {
      const writer = await connected(server, `w ${version}`);
      for (const granted of EVERY_QOS) {
        const topic = `qos/${version}/${granted}`;
        const reader = await connected(server, topic, {}, version);
        await subscribe(reader, topic, { qos: granted });
        // The highest of those that match counts.
        await subscribe(reader, `qos/${version}/+`, { qos: 0 });
        for (const qos of EVERY_QOS) {
          writer.send(publication(topic, `${qos}`, { qos, packetId: 10 + qos }));
          await ping(writer);
        }
        writer.send({ kind: 'pubrel', packetId: 12, reason: 0, properties: {} });
        await writer.nextOf('pubcomp');
        await server.publish(topic, 'from elsewhere');
        const least = (qos: number): number => Math.min(qos, granted);
        expect(await told(reader, 4)).toEqual([
          ...EVERY_QOS.map((qos) => `${least(qos)} ${qos}`),
          `${granted} "from elsewhere"`,
        ]);
      }
    },
  );

  test('[DEV-12] sends what is volatile with QoS 0', async () => {
    const device = await connected(server, 'volatile');
    expect((await subscribe(device, 'live/1', { qos: 2 })).reasons).toEqual([2]);
    await publish(await connected(server, 'lively'), 'live/1', 'now');
    expect(await told(device, 1)).toEqual(['0 now']);
  });

  test('[DEV-13] an expiry is a ttl, and what is left of it is told', async () => {
    const device = await connected(server, 'expiry', KEPT);
    await subscribe(device, 'expires');
    await leave(device);
    const writer = await connected(server, 'writer of expiry');
    const expiring = (messageExpiryInterval: number) => ({ properties: { messageExpiryInterval } });
    await publish(writer, 'expires', 'short', expiring(10));
    await publish(writer, 'expires', 'long', expiring(100));
    await server.publishAll([{ channel: 'expires', data: 'ttl', ttl: 200_000 }]);
    clock.skip(30_000);
    const later = await connected(server, 'expiry', KEPT);
    const [first, second] = [await later.nextOf('publish'), await later.nextOf('publish')];
    expect([textOf(first), textOf(second)]).toEqual(['long', '"ttl"']);
    // Time passes by itself, too.
    const left = [first, second].map(({ properties }) => properties.messageExpiryInterval ?? 0);
    expect(left[0]).toBeGreaterThan(60);
    expect(left[0]).toBeLessThanOrEqual(70);
    expect(left[1]).toBeGreaterThan(160);
    expect(left[1]).toBeLessThanOrEqual(170);
    const { messages } = (await server.get('/v1/history?channel=expires&after=start')).json<{
      messages: { data: unknown }[];
    }>();
    expect(messages.map(({ data }) => data)).toEqual(['long', 'ttl']);
  });

  test('[DEV-14] a user property is the idempotency key, and handed on as any other', async () => {
    const [device, reader] = [await connected(server, 'kw'), await connected(server, 'kr')];
    await subscribe(reader, 'keyed');
    const keyed = (key: string) => ({ properties: { userProperties: [['key', key]] } }) as const;
    expect(await publish(device, 'keyed', '1', keyed('one'))).toMatchObject({ reason: 0 });
    expect(await publish(device, 'keyed', '1', keyed('one'))).toMatchObject({ reason: 0 });
    expect(await publish(device, 'keyed', '2', keyed('one'))).toMatchObject({ reason: 0x83 });
    expect(await publish(device, 'keyed', '3', keyed('two'))).toMatchObject({ reason: 0 });
    const got = [await reader.nextOf('publish'), await reader.nextOf('publish')];
    expect(got.map((message) => [textOf(message), message.properties.userProperties])).toEqual([
      ['1', [['key', 'one']]],
      ['3', [['key', 'two']]],
    ]);
  });

  test.each(VERSIONS)(
    '[DEV-15] says that a message is in the log when it is, in order, version %i',
    async (version) => {
      const device = await connected(server, `order ${version}`, {}, version);
      const qos = [1, 2, 2, 1, 2, 1] as const;
      for (const [index, one] of qos.entries()) {
        const topic = `order/${version}/${index}`;
        device.send(publication(topic, 'x', { qos: one, packetId: index + 1 }));
      }
      for (const [index, one] of qos.entries()) {
        const kind = one === 1 ? 'puback' : 'pubrec';
        expect(await device.next()).toMatchObject({ kind, packetId: index + 1, reason: 0 });
        expect(await logged(`order/${version}/${index}`)).toMatchObject({ data: 'x' });
      }
    },
  );

  test('[DEV-15] a message that is refused gets the reason, or the end in 3.1.1', async () => {
    const refused = 'x'.repeat(101);
    const newer = await connected(server, 'refused');
    newer.send(publication('small/1', refused, { qos: 1, packetId: 1 }));
    expect(await newer.next()).toMatchObject({ kind: 'puback', packetId: 1, reason: 0x97 });
    newer.send(publication('small/1', refused, { qos: 2, packetId: 2 }));
    expect(await newer.next()).toMatchObject({ kind: 'pubrec', packetId: 2, reason: 0x97 });
    for (const version of VERSIONS) await expectDropped(version, refused);
    for (const qos of [1, 2] as const) {
      const older = await connected(server, 'refused', {}, 4);
      older.send(publication('small/1', refused, { qos }));
      await expect(older.next()).rejects.toThrow('the server closed');
    }
  });
});

/** With QoS 0 it is dropped, and nothing said. */
async function expectDropped(version: Version, payload: string): Promise<void> {
  const device = await connected(server, 'dropped', {}, version);
  device.send(publication('small/1', payload, { qos: 0 }));
  device.send({ kind: 'pingreq' });
  expect(await device.next()).toMatchObject({ kind: 'pingresp' });
  await leave(device);
}
