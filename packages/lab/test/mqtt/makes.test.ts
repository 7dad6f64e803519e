/**
 * Clients of other makes, each in 3.1.1 and 5.0, as processes of their own: what they publish and read,
 * and what is kept for them while they are away.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Connecting, Make, Publication, Qos } from '../../src/mqtt-clients/client.ts';
import { mosquitto } from '../../src/mqtt-clients/mosquitto.ts';
import { mqttJs, paho } from '../../src/mqtt-clients/programs.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { mqttUrl } from './addresses.ts';

let server: LabServer;
let url: string;

beforeAll(async () => {
  server = await startServer({ dev: true, mqtt: { port: 'auto' } });
  url = mqttUrl(server);
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

function of(qos: Qos, publications: readonly Publication[]): Publication[] {
  return publications.filter((publication) => publication.qos === qos);
}

const MAKES: readonly Make[] = [mosquitto, mqttJs, paho];
const CASES = MAKES.flatMap((make) =>
  ([4, 5] as const).map((version) => ({ name: make.name, make, version })),
);

describe.each(CASES)('over MQTT, $name in version $version', ({ name, make, version }) => {
  const base = `makes/${name}/${version}`;
  const at = (): Connecting => ({ url, version });

  /** Publishes with another connection, in order. */
  const publish = (...publications: readonly Publication[]): Promise<void> =>
    make.publish(at(), ...publications);

  test('[MQTT-3.8.4-8] [MQTT4-7.0.0-2] reads with the lower QoS of the two, in order', async () => {
    const topic = `${base}/qos`;
    for (const granted of [0, 1, 2] as const) {
      await using reader = await make.read(at(), { [topic]: granted });
      for (const qos of [0, 1, 2] as const) {
        await publish({ topic, payload: `qos ${qos}`, qos });
        const { payload, qos: got, retain } = await reader.next();
        expect([payload.toString(), got, retain]).toEqual([
          `qos ${qos}`,
          Math.min(qos, granted),
          false,
        ]);
      }
      // What comes from elsewhere has the QoS of the subscription.
      await server.publish(topic, { from: 'elsewhere' });
      const { payload, qos } = await reader.next();
      expect([payload.toString(), qos]).toEqual(['{"from":"elsewhere"}', granted]);
      await reader.leave();
    }
  });

  test('[MQTT-3.3.1-5] [MQTT4-3.3.1-8] [MQTT4-3.3.1-9] [MQTT5-3.3.1-6] [MQTT5-3.3.1-12] gets what was retained, until it is cleared', async () => {
    const topic = `${base}/retained`;
    await publish({ topic, payload: 'old', retain: true }, { topic, payload: 'new', retain: true });
    {
      await using reader = await make.read(at(), { [topic]: 1 });
      expect(await reader.next()).toMatchObject({ payload: Buffer.from('new'), retain: true });
      await publish({ topic, payload: 'live', retain: true });
      expect(await reader.next()).toMatchObject({ payload: Buffer.from('live'), retain: false });
      await publish({ topic, payload: '', retain: true });
      expect(await reader.next()).toMatchObject({ payload: Buffer.alloc(0), retain: false });
      await reader.leave();
    }
    await using later = await make.read(at(), { [topic]: 1 });
    await publish({ topic, payload: 'after' });
    expect(await later.next()).toMatchObject({ payload: Buffer.from('after'), retain: false });
  });

  test('[MQTT-3.1.2-8] [MQTT-3.14.4-3] speaks its will when it is killed, and not when it leaves', async () => {
    const topic = `${base}/will`;
    await using witness = await make.read(at(), { [topic]: 2 });
    const will = { topic, payload: 'gone', qos: 1 } as const;
    // At the end of its work mosquitto_sub 2.0 asks for its will in 5.0.
    const saysGoodbye = make !== mosquitto || version === 4;
    if (saysGoodbye) {
      await using polite = await make.read({ ...at(), will }, { [`${topic}/other`]: 0 });
      await polite.leave();
      await publish({ topic, payload: 'left' });
      expect((await witness.next()).payload.toString()).toBe('left');
    }
    await using killed = await make.read({ ...at(), will }, { [`${topic}/other`]: 0 });
    await killed.kill();
    const { payload, qos } = await witness.next();
    expect([payload.toString(), qos]).toEqual(['gone', 1]);
  });

  test('[MQTT4-3.1.2-4] [MQTT4-3.1.2-5] [MQTT5-3.1.2-5] [MQTT5-3.1.2-23] [MQTT-4.5.0-1] comes back to its session, and misses nothing of QoS 1 and 2', async () => {
    const topic = `${base}/session`;
    const sleeper = { ...at(), clientId: `sleeper-${name}-${version}`, expirySeconds: 600 };
    for (const [round, end] of (['leave', 'kill'] as const).entries()) {
      await using reader = await make.read(sleeper, { [topic]: 2 });
      await publish({ topic, payload: `awake ${round}` });
      expect((await reader.next()).payload.toString()).toBe(`awake ${round}`);
      await reader[end]();
      const missed = [1, 2, 2, 1].map((qos, index) => {
        return { topic, payload: `missed ${round} ${index}`, qos } as Publication;
      });
      await publish(...missed);
      await using again = await make.read(sleeper, { [topic]: 2 });
      const got: Publication[] = [];
      while (got.length < missed.length) {
        const { payload, qos } = await again.next();
        const text = payload.toString();
        // What it could not acknowledge in the moment of its end comes again.
        if (text !== `awake ${round}`) got.push({ topic, payload: text, qos });
      }
      // A client hands over QoS 2 at PUBREL, so that QoS 1 may come before it.
      for (const qos of [1, 2] as const) expect(of(qos, got)).toEqual(of(qos, missed));
      await again.leave();
    }
  });

  test('[MQTT4-3.3.2-3] [MQTT5-3.3.2-3] [MQTT-4.7.3-4] reads by wildcards', async () => {
    const room = `${base}/rooms`;
    await using one = await make.read(at(), { [`${room}/+/light`]: 1 });
    await using all = await make.read(at(), { [`${room}/#`]: 1 });
    const topics = [
      'kitchen/light',
      'kitchen/heat',
      'kitchen/lamp/light',
      'hall/light',
      'last/light',
    ];
    for (const topic of topics) await publish({ topic: `${room}/${topic}`, payload: topic });
    const read = async (reader: typeof one): Promise<string[]> => {
      const texts: string[] = [];
      while (texts.at(-1) !== 'last/light') texts.push((await reader.next()).payload.toString());
      return texts;
    };
    expect(await read(one)).toEqual(topics.filter((topic) => /^\w+\/light$/.test(topic)));
    expect(await read(all)).toEqual(topics);
  });

  test('carries 60 KB of bytes, and none at all', async () => {
    const topic = `${base}/size`;
    await using reader = await make.read(at(), { [topic]: 1 });
    const large = Buffer.from(Array.from({ length: 60_000 }, (_, index) => (index * 7) % 256));
    await publish({ topic, payload: large }, { topic, payload: '' });
    expect((await reader.next()).payload.equals(large)).toBe(true);
    expect((await reader.next()).payload).toHaveLength(0);
  });
});

describe.each(MAKES.map((make) => ({ name: make.name, make })))(
  'over MQTT, $name in version 5',
  ({ name, make }) => {
    test('[MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-18] [MQTT-3.3.2-20] gets what the publisher said of its message', async () => {
      const topic = `makes/${name}/properties`;
      const properties = {
        contentType: 'text/csv',
        responseTopic: 'answers/7',
        correlationData: 'number-7',
        messageExpiryInterval: 600,
        userProperties: [
          ['first', '1'],
          ['second', '2'],
        ],
      } as const;
      for (const reading of MAKES) {
        await using reader = await reading.read({ url, version: 5 }, { [topic]: 1 });
        await make.publish({ url, version: 5 }, { topic, payload: 'a,b', properties });
        const received = await reader.next();
        const { messageExpiryInterval: left = 0, ...others } = received.properties;
        const { messageExpiryInterval: given, ...sent } = properties;
        expect(others, reading.name).toEqual(sent);
        expect(left).toBeGreaterThan(500);
        expect(left).toBeLessThanOrEqual(given);
      }
    });
  },
);
