/**
 * MQTT beside the other protocols: what one publishes the others read as what it is, a position is good
 * for both, and a device that was away gets what a browser published.
 */
import { connect } from '@trunkline/client';
import type { Message } from '@trunkline/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventStreamPeer } from '../../src/event-stream.ts';
import { ask } from '../../src/http.ts';
import type { Publication, Received } from '../../src/mqtt-clients/client.ts';
import { mosquitto } from '../../src/mqtt-clients/mosquitto.ts';
import { MqttJs } from '../../src/mqtt-clients/mqtt-js.ts';
import { READ_TRANSPORTS } from '../../src/readers/all.ts';
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

const BYTES = Buffer.from([0, 1, 254, 255, 10, 13]);

/** One message over HTTP, and what MQTT shows of it. */
const FROM_HTTP = [
  {
    what: 'JSON as it was written',
    contentType: 'application/json',
    body: '{"n": 12345678901234567890 }',
  },
  { what: 'text', contentType: 'text/plain; charset=utf-8', body: 'Grüße\n<b>' },
  { what: 'another kind of text', contentType: 'text/csv', body: 'a,b\n1,2' },
  { what: 'bytes', contentType: 'application/octet-stream', body: BYTES },
  { what: 'an image', contentType: 'image/png', body: BYTES },
] as const;

describe('from HTTP', () => {
  test.each(FROM_HTTP)(
    'mosquitto_sub gets the very bytes of $what, and 5.0 their content type',
    async ({ what, contentType, body }) => {
      const topic = `from-http/${what.replaceAll(' ', '-')}`;
      await using older = await mosquitto.read({ url, version: 4 }, { [topic]: 1 });
      await using newer = await mosquitto.read({ url, version: 5 }, { [topic]: 1 });
      const bytes = Buffer.from(body);
      const answer = await ask(`${server.url}/v1/publish`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ channel: topic, bytes: bytes.toString('base64'), contentType }),
      });
      expect(answer.status, answer.text).toBe(200);
      const [inOlder, inNewer] = [await older.next(), await newer.next()];
      expect(inOlder.payload.equals(bytes)).toBe(true);
      expect(inNewer.payload.equals(bytes)).toBe(true);
      expect(inOlder.properties).toEqual({});
      expect(inNewer.properties).toEqual({ contentType });
    },
  );

  test('a device gets what a browser published while it slept', async () => {
    const [sleeper, topic] = ['across-sleeper', 'commands/lamp'];
    for (const version of [4, 5] as const) {
      const connecting = { url, version, clientId: `${sleeper}-${version}`, expirySeconds: 600 };
      await using device = await mosquitto.read(connecting, { [topic]: 1 });
      await device.leave();
      const line = connect(server.url);
      try {
        for (const on of [true, false]) await line.channel(topic).publish({ on });
        await using awake = await mosquitto.read(connecting, { [topic]: 1 });
        const texts = [await awake.next(), await awake.next()].map(textOf);
        expect(texts).toEqual(['{"on":true}', '{"on":false}']);
        await awake.leave();
      } finally {
        line.close();
      }
    }
  });
});

function textOf({ payload }: Received): string {
  return payload.toString();
}

/** One message over MQTT, and what the client of browsers makes of it. */
const FROM_MQTT: readonly {
  readonly what: string;
  readonly publication: Omit<Publication, 'topic'>;
  readonly versions: readonly (4 | 5)[];
  readonly shown: Partial<Pick<Message, 'data' | 'bytes' | 'contentType'>>;
}[] = [
  {
    what: 'JSON',
    publication: { payload: '{"celsius": 21.5}' },
    versions: [4, 5],
    shown: { data: { celsius: 21.5 } },
  },
  { what: 'a number', publication: { payload: '21.5' }, versions: [4, 5], shown: { data: 21.5 } },
  {
    what: 'text',
    publication: { payload: 'ON – grün' },
    versions: [4, 5],
    shown: { data: 'ON – grün', contentType: 'text/plain; charset=utf-8' },
  },
  {
    what: 'bytes',
    publication: { payload: BYTES },
    versions: [4, 5],
    shown: { bytes: Uint8Array.from(BYTES), contentType: 'application/octet-stream' },
  },
  {
    what: 'text with its type',
    publication: { payload: '{"a":1}', properties: { contentType: 'text/csv' } },
    versions: [5],
    shown: { data: '{"a":1}', contentType: 'text/csv' },
  },
  {
    what: 'bytes with their type',
    publication: { payload: BYTES, properties: { contentType: 'image/png' } },
    versions: [5],
    shown: { bytes: Uint8Array.from(BYTES), contentType: 'image/png' },
  },
];

const CASES = FROM_MQTT.flatMap(({ versions, ...one }) =>
  versions.map((version) => ({ ...one, version })),
);

describe('to the others', () => {
  test.each(CASES)(
    '[MSG-3] [SSE-3] [SSE-4] $what of version $version is what it is, live and in history',
    async ({ what, publication, version, shown }) => {
      const topic = `from-mqtt/${version}/${what.replaceAll(' ', '-')}`;
      const line = connect(server.url);
      try {
        const channel = line.channel(topic, { after: 'start' });
        const live = channel[Symbol.asyncIterator]();
        await mosquitto.publish({ url, version }, { topic, ...publication });
        const { value } = (await live.next()) as { value: Message };
        expect(pick(value)).toEqual(shown);
        const { messages } = await channel.history();
        expect(messages.map(pick)).toEqual([shown]);
      } finally {
        line.close();
      }
      for (const transport of READ_TRANSPORTS) {
        await using reader = await transport.open(server, { channel: topic, after: 'start' });
        const [message] = await reader.take(1);
        const bytes = Buffer.from(publication.payload);
        expect(Buffer.from(message?.payload ?? ''), transport.name).toEqual(bytes);
      }
    },
  );

  test('a position of MQTT 5.0 goes on over SSE, with nothing missed and nothing twice', async () => {
    const topic = 'positions/7';
    await using device = await MqttJs.open(url, {
      properties: { userProperties: { 'trunkline.positions': '1' } },
    });
    await device.subscribe(topic, { qos: 1 });
    await server.publish(topic, 1, 2, 3, 4, 5);
    let position: unknown;
    for (const n of [1, 2, 3]) {
      const { text, packet } = await device.messages.next();
      expect(text).toBe(String(n));
      position = packet.properties?.userProperties?.['trunkline.position'];
    }
    await device.leave();
    await server.publish(topic, 6);
    const query = new URLSearchParams({ channel: topic, after: String(position) });
    using stream = await EventStreamPeer.open(`${server.url}/v1/sse?${query.toString()}`);
    const opening = await stream.expect<{ recovered: object }>('open');
    expect(opening.data.recovered).toEqual({ [topic]: true });
    await mosquitto.publish({ url, version: 5 }, { topic, payload: '7' });
    for (const n of [4, 5, 6, 7]) expect((await stream.expect('message')).data).toBe(n);
  });
});

function pick({ data, bytes, contentType }: Partial<Message>) {
  return {
    ...(data === undefined ? {} : { data }),
    ...(bytes === undefined ? {} : { bytes: Uint8Array.from(bytes) }),
    ...(contentType === undefined ? {} : { contentType }),
  };
}
