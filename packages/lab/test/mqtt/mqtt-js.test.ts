/** What MQTT.js can do beyond other clients: aliases, requests with answers, WebSockets, browsers. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { IPublishPacket } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { Chromium } from '../../src/chromium.ts';
import type { Version } from '../../src/mqtt-clients/client.ts';
import { MqttJs } from '../../src/mqtt-clients/mqtt-js.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { mqttUrl } from './addresses.ts';

const OPEN = { dev: true, mqtt: { port: 'auto' } } as const;

/** The bundle for browsers, as MQTT.js has it on its package's page. */
const BUNDLE = join(import.meta.dirname, '../../../../node_modules/mqtt/dist/mqtt.min.js');

const POLL = { timeout: 30_000, interval: 20 };

/** Where MQTT is on a WebSocket. */
function webSocketUrl({ url }: LabServer): string {
  return `${url.replace('http', 'ws')}/v1/ws`;
}

test('[MQTT-3.3.2-15] [MQTT-3.3.2-16] one asks and the other answers, by response topic and correlation data', async () => {
  await using server = await startServer(OPEN);
  await using asking = await MqttJs.open(mqttUrl(server));
  await using answering = await MqttJs.open(webSocketUrl(server));
  await answering.subscribe('thermometer/ask', { qos: 1 });
  await asking.subscribe('answers/asking', { qos: 1 });
  answering.client.on('message', (_topic, payload, { properties }) => {
    const { responseTopic = '', correlationData = Buffer.alloc(0) } = properties ?? {};
    const options = { qos: 1, properties: { correlationData } } as const;
    void answering.publish(responseTopic, `${payload.toString()}: 21.5`, options);
  });
  for (const [question, id] of [
    ['kitchen', Buffer.from([0, 1, 255])],
    ['hall', Buffer.from('second')],
  ] as const) {
    const properties = { responseTopic: 'answers/asking', correlationData: id };
    await asking.publish('thermometer/ask', question, { qos: 1, properties });
    const { text, packet } = await asking.messages.next();
    expect(text).toBe(`${question}: 21.5`);
    expect(packet.properties?.correlationData).toEqual(id);
  }
});

test('[MQTT-3.3.2-8] [MQTT-3.3.2-12] topic aliases shorten both ways', async () => {
  await using server = await startServer(OPEN);
  const topicAliasMaximum = 4;
  await using publisher = await MqttJs.open(mqttUrl(server), { autoAssignTopicAlias: true });
  await using reader = await MqttJs.open(mqttUrl(server), { properties: { topicAliasMaximum } });
  await reader.subscribe('a/topic/with/a/long/name/#', { qos: 1 });
  const sent: string[] = [];
  publisher.client.on('packetsend', (packet) => {
    if (packet.cmd === 'publish') sent.push(packet.topic);
  });
  const received: IPublishPacket[] = [];
  reader.client.on('packetreceive', (packet) => {
    if (packet.cmd === 'publish') received.push(packet);
  });
  // More topics than aliases.
  const topics = Array.from({ length: 30 }, (_, n) => `a/topic/with/a/long/name/${(n * n) % 7}`);
  for (const [n, topic] of topics.entries()) {
    await publisher.publish(topic, String(n), { qos: n % 2 === 0 ? 1 : 0 });
  }
  for (const [n, topic] of topics.entries()) {
    expect(await reader.messages.next()).toMatchObject({ topic, text: String(n) });
  }
  expect(sent).toContain('');
  const aliases = received.flatMap(({ properties }) => properties?.topicAlias ?? []);
  expect(Math.max(...aliases)).toBeLessThanOrEqual(topicAliasMaximum);
  expect(received.map(({ topic }) => topic)).toContain('');
});

test('[MQTT-3.3.2-5] [MQTT-3.3.2-6] what expires while a session is away does not come, the rest says how long it holds', async () => {
  const clock = new SkipClock();
  await using server = await startServer(OPEN, { clock });
  const url = mqttUrl(server);
  const session = {
    clientId: 'expiry',
    clean: false,
    properties: { sessionExpiryInterval: 3600 },
  };
  {
    await using awake = await MqttJs.open(url, session);
    await awake.subscribe('news', { qos: 1 });
    await awake.leave();
  }
  await using publisher = await MqttJs.open(url, { keepalive: 0 });
  for (const messageExpiryInterval of [10, 600, 5]) {
    const properties = { messageExpiryInterval };
    await publisher.publish('news', String(messageExpiryInterval), { qos: 1, properties });
  }
  await publisher.publish('news', 'for ever');
  clock.skip(100_000);
  await using back = await MqttJs.open(url, session);
  const first = await back.messages.next();
  expect(first.text).toBe('600');
  const left = first.packet.properties?.messageExpiryInterval ?? 0;
  expect(left).toBeGreaterThan(300);
  expect(left).toBeLessThanOrEqual(500);
  expect((await back.messages.next()).text).toBe('for ever');
});

test.each([4, 5] as const)(
  '[MQTT-4.8.2-4] version %i shares the messages of a group, beside one who gets all',
  async (version) => {
    await using server = await startServer(OPEN);
    const options = { protocolVersion: version };
    await using first = await MqttJs.open(mqttUrl(server), options);
    await using second = await MqttJs.open(mqttUrl(server), options);
    await using alone = await MqttJs.open(mqttUrl(server), options);
    const got: [string[], string[]] = [[], []];
    first.client.on('message', (_topic, payload) => got[0].push(payload.toString()));
    second.client.on('message', (_topic, payload) => got[1].push(payload.toString()));
    for (const member of [first, second]) await member.subscribe('$share/g/jobs/#', { qos: 1 });
    await alone.subscribe('jobs/#', { qos: 1 });
    const texts = Array.from({ length: 40 }, (_, n) => String(n));
    await Promise.all(texts.map((text) => alone.publish('jobs/now', text)));
    for (const text of texts) expect((await alone.messages.next()).text).toBe(text);
    await expect.poll(() => got[0].length + got[1].length, POLL).toBe(texts.length);
    expect([...got[0], ...got[1]].toSorted()).toEqual(texts.toSorted());
    for (const own of got) expect(own.length).toBeGreaterThan(0);
  },
);

test.each([4, 5] as const)('[DEV-1] [DEV-4] version %i goes over a WebSocket', async (version) => {
  await using server = await startServer(OPEN);
  const session = {
    protocolVersion: version,
    clientId: 'web',
    clean: false,
    ...(version === 5 && { properties: { sessionExpiryInterval: 3600 } }),
  };
  const large = 'x'.repeat(60_000);
  {
    await using web = await MqttJs.open(webSocketUrl(server), session);
    await web.subscribe('web/+', { qos: 2 });
    for (const qos of [0, 1, 2] as const) {
      await web.publish('web/large', large, { qos });
      const { text, packet } = await web.messages.next();
      expect([text.length, packet.qos]).toEqual([large.length, qos]);
    }
    await web.leave();
  }
  await server.publish('web/missed', 1);
  // Its session goes on over TCP.
  await using plain = await MqttJs.open(mqttUrl(server), session);
  expect((await plain.messages.next()).text).toBe('1');
});

/** In the page: what it got, by the time that a test looks. */
interface Shown {
  readonly got: readonly string[];
  readonly faults: readonly string[];
}

/** Serves a page that subscribes, says so and publishes once, until the test ends. */
async function servePage(url: string, version: Version): Promise<string> {
  const script = `
    window.shown = { got: [], faults: [] };
    const client = mqtt.connect(${JSON.stringify(url)}, { protocolVersion: ${version} });
    client.on('error', (error) => shown.faults.push(error.message));
    client.on('message', (topic, payload) => shown.got.push(topic + ' ' + payload.toString()));
    client.on('connect', async () => {
      await client.subscribeAsync('page/#', { qos: 2 });
      await client.publishAsync('page/own', 'hello', { qos: 2 });
    });`;
  const page = '<!doctype html><script src="/mqtt.js"></script><script src="/page.js"></script>';
  const bodies: Readonly<Record<string, readonly [type: string, body: string | Buffer]>> = {
    '/': ['text/html', page],
    '/mqtt.js': ['text/javascript', readFileSync(BUNDLE)],
    '/page.js': ['text/javascript', script],
  };
  const server = createServer((request, response) => {
    const [type, body] = bodies[request.url ?? ''] ?? ['text/plain', ''];
    response.setHeader('content-type', type);
    response.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

test('[DEV-4] MQTT.js in Chromium reads and publishes beside a device', async () => {
  await using server = await startServer(OPEN);
  await using browser = await Chromium.launch();
  await using device = await MqttJs.open(mqttUrl(server));
  for (const version of [4, 5] as const) {
    await device.subscribe('page/own', { qos: 1 });
    const page = await browser.open(await servePage(webSocketUrl(server), version));
    expect((await device.messages.next()).text).toBe('hello');
    await device.publish('page/device', '{"on":true}', { qos: 1 });
    const shown = (): Promise<Shown> => page.evaluate('shown');
    await expect
      .poll(async () => (await shown()).got, POLL)
      .toEqual(['page/own hello', 'page/device {"on":true}']);
    expect((await shown()).faults).toEqual([]);
    await page.close();
  }
});
