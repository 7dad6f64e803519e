/** MQTT clients in trouble: frozen, silent, or away for longer than the log remembers. */
import { expect, test } from 'vitest';
import type { Version } from '../../src/mqtt-clients/client.ts';
import { mosquitto } from '../../src/mqtt-clients/mosquitto.ts';
import { MqttJs } from '../../src/mqtt-clients/mqtt-js.ts';
import { usedBytes } from '../../src/memory.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { mqttUrl } from './addresses.ts';

const MB = 1024 * 1024;

/** Publishes a number as text of this length. */
async function publishTexts(
  server: LabServer,
  channel: string,
  numbers: readonly number[],
  length = 1,
): Promise<void> {
  const elements = numbers.map((n) => {
    return { channel, data: `${n} `.padEnd(length, 'x'), contentType: 'text/plain' };
  });
  await server.publishAll(elements);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

test('frozen readers of QoS 0 and 1 hold nobody up, cost little, and read on when they thaw', async () => {
  const [rounds, perRound, length] = [80, 10, 50_000];
  // The log keeps 2 MB of the 40 MB that are published.
  const namespaces = { '#': { history: { sizeMax: 2 * MB } } };
  await using server = await startServer({ dev: true, mqtt: { port: 'auto' }, namespaces });
  const url = mqttUrl(server);
  await using healthy = await MqttJs.open(url);
  await healthy.subscribe('frozen', { qos: 1 });
  await using once = await mosquitto.read({ url, version: 4 }, { frozen: 0 });
  await using atLeastOnce = await mosquitto.read({ url, version: 5 }, { frozen: 1 });
  for (const reader of [once, atLeastOnce]) reader.freeze();

  const before = usedBytes();
  let grown = 0;
  for (let round = 0; round < rounds; round += 1) {
    const numbers = range(round * perRound + 1, (round + 1) * perRound);
    await publishTexts(server, 'frozen', numbers, length);
    for (const n of numbers) {
      expect(Number.parseInt((await healthy.messages.next()).text, 10)).toBe(n);
    }
    if (round % 20 === 19) grown = Math.max(grown, usedBytes() - before);
  }
  // The log in memory, and a high-water mark and a batch for each who is frozen.
  expect(grown).toBeLessThan(20 * MB);

  for (const reader of [once, atLeastOnce]) reader.thaw();
  const last = rounds * perRound;
  for (const reader of [once, atLeastOnce]) {
    let reached = 0;
    while (reached < last) {
      const n = Number.parseInt((await reader.next()).payload.toString(), 10);
      expect(n).toBeGreaterThan(reached);
      reached = n;
    }
  }
  expect(server.faults).toEqual([]);
});

test.each([4, 5] as const)(
  '[MQTT4-3.1.2-24] [MQTT5-3.1.2-22] a silent client of version %i is given up, and its will is spoken',
  async (version) => {
    const clock = new SkipClock();
    await using server = await startServer({ dev: true, mqtt: { port: 'auto' } }, { clock });
    const url = mqttUrl(server);
    await using witness = await MqttJs.open(url, { keepalive: 0 });
    await witness.subscribe('wills', { qos: 1 });
    const will = { topic: 'wills', payload: 'silent' };
    await using silent = await mosquitto.read({ url, version, will }, { any: 0 });
    // The kernel keeps its connection open.
    silent.freeze();
    clock.skip(80_000);
    await witness.publish('wills', 'not yet');
    expect((await witness.messages.next()).text).toBe('not yet');
    clock.skip(20_000);
    expect((await witness.messages.next()).text).toBe('silent');
  },
);

/** A session that was away while retention removed most of what came. */
async function sleptTooLong(url: string, server: LabServer, version: Version): Promise<MqttJs> {
  const session = {
    protocolVersion: version,
    clientId: `sleeper-${version}`,
    clean: false,
    ...(version === 5 && { properties: { sessionExpiryInterval: 3600 } }),
  };
  {
    await using awake = await MqttJs.open(url, session);
    for (const filter of ['trimmed', 'kept']) await awake.subscribe(filter, { qos: 1 });
    await awake.leave();
  }
  await publishTexts(server, 'trimmed', range(1, 30));
  await publishTexts(server, 'kept', range(1, 30));
  return MqttJs.begin(url, session);
}

const TRIMMED = { trimmed: { history: { countMax: 10 } } };

test('a session of 5.0 is told what retention removed while it was away, and goes on behind it', async () => {
  const config = { dev: true, mqtt: { port: 'auto' }, namespaces: TRIMMED } as const;
  await using server = await startServer(config);
  await using sleeper = await sleptTooLong(mqttUrl(server), server, 5);
  const connack = await sleeper.connacks.next();
  expect(connack.sessionPresent).toBe(true);
  const told = String(connack.properties?.userProperties?.['trunkline.gap']);
  expect(JSON.parse(told)).toEqual({ channel: 'trimmed', reason: 'trimmed', from: 1, to: 20 });
  const got: Record<string, number[]> = { trimmed: [], kept: [] };
  for (let count = 0; count < 40; count += 1) {
    const { topic, text } = await sleeper.messages.next();
    got[topic]?.push(Number(text));
  }
  expect(got).toEqual({ trimmed: range(21, 30), kept: range(1, 30) });
});

test('a session of 3.1.1 that lost something begins anew, as its client is told', async () => {
  const config = { dev: true, mqtt: { port: 'auto' }, namespaces: TRIMMED } as const;
  await using server = await startServer(config);
  await using sleeper = await sleptTooLong(mqttUrl(server), server, 4);
  expect((await sleeper.connacks.next()).sessionPresent).toBe(false);
  await sleeper.subscribe('trimmed', { qos: 1 });
  await publishTexts(server, 'trimmed', [31]);
  expect(Number((await sleeper.messages.next()).text)).toBe(31);
});
