/**
 * The server killed with SIGKILL and drained with SIGTERM while MQTT.js publishes and reads over
 * persistent sessions: QoS 2 exactly once, QoS 1 at least once, both in order.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '@trunkline/testkit';
import { expect, onTestFinished, test } from 'vitest';
import type { Version } from '../../src/mqtt-clients/client.ts';
import { mosquitto } from '../../src/mqtt-clients/mosquitto.ts';
import { MqttJs } from '../../src/mqtt-clients/mqtt-js.ts';
import { freePort, NodeProcess } from '../../src/node-process.ts';
import { within } from '../../src/queue.ts';

const ROUNDS = 5;
/** Publishes that wait for their answer at a time. */
const UNDER_WAY = 8;
/** A whole test of crashes, on a machine that does much else. */
const TEST_MS_MAX = 150_000;

const TOPIC = { 1: 'crash/once-or-more', 2: 'crash/once' } as const;

/** A server with a port for MQTT that stays the same, and a log that keeps everything. */
async function startProcess(): Promise<{ server: NodeProcess; url: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-mqtt-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const config = join(folder, 'trunkline.yaml');
  writeFileSync(config, 'namespaces: { "#": { history: { countMax: 100000 } } }\n');
  const port = await freePort();
  const flags = ['--dev', '--config', config, '--mqtt-port', String(port)];
  const server = await NodeProcess.start(...flags);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { server, url: `mqtt://127.0.0.1:${port}` };
}

function sessionOf(version: Version, clientId: string) {
  const properties = version === 5 ? { properties: { sessionExpiryInterval: 3600 } } : {};
  return { protocolVersion: version, clientId, clean: false, keepalive: 0, ...properties };
}

/** All messages of a channel, as the log has them. */
async function readLog(url: string, channel: string): Promise<unknown[]> {
  const all: unknown[] = [];
  let after = 'start';
  for (;;) {
    const query = new URLSearchParams({ channel, after, limit: '1000' });
    const answer = (await (await fetch(`${url}/v1/poll?${query.toString()}`)).json()) as {
      messages: { data: unknown }[];
      positions: Record<string, string>;
      more?: boolean;
    };
    all.push(...answer.messages.map(({ data }) => data));
    if (answer.more !== true) return all;
    after = answer.positions[channel] ?? '';
  }
}

/** Each value where it came first. */
function firsts<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

/** Expects 1, 2, 3 … in this order, and says where it is not so. */
function expectNumbers(values: readonly unknown[], count: number, what: string): void {
  const wrong = values.findIndex((value, index) => value !== index + 1);
  const around = wrong < 0 ? '' : values.slice(Math.max(0, wrong - 5), wrong + 15).join(' ');
  expect(around, `${what}, at ${wrong} of ${values.length}`).toBe('');
  expect(values.length, what).toBe(count);
}

test.each([4, 5] as const)(
  '[MQTT4-4.3.2-1] [MQTT5-4.3.2-3] [MQTT4-4.3.3-1] [MQTT5-4.3.3-3] [MQTT-4.4.0-1] version %i loses and doubles nothing while the server is killed',
  async (version) => {
    const random = seededRandom(20261201 + version);
    const { server, url } = await startProcess();
    await using publisher = await MqttJs.open(url, sessionOf(version, 'publisher'));
    await using reader = await MqttJs.open(url, sessionOf(version, 'reader'));
    for (const qos of [1, 2] as const) await reader.subscribe(TOPIC[qos], { qos });
    const got = { 1: [] as number[], 2: [] as number[] };
    reader.client.on('message', (topic, payload) => {
      got[topic === TOPIC[2] ? 2 : 1].push(Number(payload.toString()));
    });
    const sent = { 1: 0, 2: 0 };
    let isOver = false;
    /** Publishes one after the other, each as soon as there is room. */
    const publishAll = async (qos: 1 | 2): Promise<void> => {
      const underWay: Promise<void>[] = [];
      while (!isOver) {
        sent[qos] += 1;
        underWay.push(publisher.publish(TOPIC[qos], String(sent[qos]), { qos }));
        if (underWay.length >= UNDER_WAY) await underWay.shift();
      }
      await Promise.all(underWay);
    };
    const publishing = Promise.all([publishAll(1), publishAll(2)]);

    for (let round = 0; round < ROUNDS; round += 1) {
      // So many that what was sent again is behind it: until then MQTT.js gives up what is new.
      const target = got[2].length + 100 + random.integer(200);
      await expect
        .poll(() => Math.min(got[2].length, got[1].length), { timeout: 30_000, interval: 1 })
        .toBeGreaterThanOrEqual(target);
      await server.kill();
      await server.start();
      for (const one of [publisher, reader]) {
        expect(await one.connacks.next()).toMatchObject({ sessionPresent: true });
      }
    }
    isOver = true;
    await within(publishing, 'the last acknowledgement');
    for (const qos of [1, 2] as const) {
      await expect
        .poll(() => new Set(got[qos]).size, { timeout: 30_000, interval: 20 })
        .toBe(sent[qos]);
    }
    expectNumbers(got[2], sent[2], 'what came with QoS 2');
    expectNumbers(firsts(got[1]), sent[1], 'what came with QoS 1');
    expectNumbers(await readLog(server.url, TOPIC[2]), sent[2], 'the log of QoS 2');
    expectNumbers(firsts(await readLog(server.url, TOPIC[1])), sent[1], 'the log of QoS 1');
  },
  TEST_MS_MAX,
);

test('[DEV-8] a drain tells 5.0 that the server is going, and all come back to their sessions', async () => {
  const { server, url } = await startProcess();
  await using older = await MqttJs.open(url, sessionOf(4, 'older'));
  await using newer = await MqttJs.open(url, sessionOf(5, 'newer'));
  for (const reader of [older, newer]) await reader.subscribe('drained', { qos: 2 });
  await server.publish('drained', 1);
  for (const reader of [older, newer]) expect((await reader.messages.next()).text).toBe('1');
  const ending = server.terminate();
  expect(await newer.disconnects.next()).toMatchObject({ reasonCode: 0x8b });
  await older.closes.next();
  expect(await ending).toBe(0);
  await server.start();
  await server.publish('drained', 2);
  for (const reader of [older, newer]) {
    expect(await reader.connacks.next()).toMatchObject({ sessionPresent: true });
    expect((await reader.messages.next()).text).toBe('2');
  }
});

test.each([4, 5] as const)(
  '[MQTT4-4.3.2-1] [MQTT5-4.3.2-3] mosquitto_sub of version %i comes back by itself, and misses nothing of QoS 1',
  async (version) => {
    const { server, url } = await startProcess();
    const clientId = 'mosquitto';
    const connecting = { url, version, clientId, expirySeconds: 3600 };
    // QoS 2 that is sent again libmosquitto 2.0 counts twice, and sometimes delivers twice.
    await using reader = await mosquitto.read(connecting, { 'crash/#': 1 });
    const [topics, perRound] = [3, 60];
    let published = 0;
    /** By topic, the numbers that came, each where it came first: order counts within a topic. */
    const got = Array.from({ length: topics }, () => new Set<number>());
    const readTo = async (end: number): Promise<void> => {
      while (got.reduce((total, { size }) => total + size, 0) < end) {
        const { topic, payload } = await reader.next();
        got[Number(topic.split('/')[1])]?.add(Number(payload.toString()));
      }
    };
    for (let round = 0; round < 3; round += 1) {
      for (let n = 0; n < perRound; n += 1, published += 1) {
        await server.publish(`crash/${published % topics}`, published);
      }
      // It is in the middle of them.
      await readTo(published - perRound / 2);
      await server.kill();
      await server.start();
    }
    await readTo(published);
    for (const [topic, numbers] of got.entries()) {
      const expected = Array.from({ length: published / topics }, (_, n) => n * topics + topic);
      expect([...numbers]).toEqual(expected);
    }
  },
  TEST_MS_MAX,
);

test('[MQTT-3.1.2-8] wills and retained messages outlive a crash', async () => {
  const { server, url } = await startProcess();
  const device = { url, version: 5, will: { topic: 'state', payload: 'gone', qos: 1 } } as const;
  const on = { topic: 'state', payload: 'on', retain: true };
  await mosquitto.publish({ url, version: 5 }, on);
  await using lost = await mosquitto.read(device, { commands: 1 });
  await server.kill();
  await lost.kill();
  await server.start();
  await expect
    .poll(() => readLog(server.url, 'state'), { timeout: 30_000, interval: 50 })
    .toEqual(['on', 'gone']);
  await using reader = await mosquitto.read({ url, version: 5 }, { state: 1 });
  expect(await reader.next()).toMatchObject({ payload: Buffer.from('on'), retain: true });
});
