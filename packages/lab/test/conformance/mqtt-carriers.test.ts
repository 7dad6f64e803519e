/** What carries MQTT: the same server behind TCP, TLS and WebSocket. */
import { encode } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import type { Publish, Version } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectPacket, MqttDevice } from './mqtt-device.ts';
import { within } from '../../src/queue.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { OPCODE, WebSocketPeer } from '../../src/web-socket.ts';

let plain: LabServer;
let secured: LabServer;

beforeAll(async () => {
  plain = await startServer({ mqtt: { port: 'auto' } });
  secured = await startServer({ tls: { dev: true }, mqtt: { tlsPort: 'auto' } });
});

afterAll(async () => {
  for (const server of [plain, secured]) {
    expect(server.faults).toEqual([]);
    await server[Symbol.asyncDispose]();
  }
});

/** The address with this scheme. */
function urlOf({ urls }: LabServer, scheme: string): string {
  const found = urls.find((url) => url.startsWith(`${scheme}:`));
  if (found === undefined) throw new Error(`expected ${scheme}, got ${urls.join(' ')}`);
  return found;
}

const CARRIERS: readonly [string, (version: Version) => MqttDevice | Promise<MqttDevice>][] = [
  ['TCP', (version) => MqttDevice.tcp(urlOf(plain, 'mqtt'), version)],
  ['TLS', (version) => MqttDevice.tls(urlOf(secured, 'mqtts'), version)],
  ['WebSocket', (version) => MqttDevice.webSocket(`${plain.url}/v1/ws`, version)],
  ['HTTP/2', (version) => MqttDevice.http2(`${plain.url}/v1/ws`, version)],
];

function publication(topic: string, text: string): Publish {
  const usual = { qos: 1, retain: false, dup: false, packetId: 1, properties: {} } as const;
  return { kind: 'publish', topic, payload: Buffer.from(text), ...usual };
}

describe.each(CARRIERS)('over MQTT, %s', (name, open) => {
  test.each([4, 5] as const)('[DEV-1] [MQTT4-7.1.1-1] speaks version %i', async (version) => {
    using device = await open(version);
    const topic = `carried/${name}/${version}`;
    expect(await device.connect(topic)).toMatchObject({ reason: 0 });
    await device.subscribe(topic);
    device.send(publication(topic, 'hello'));
    const { payload } = await device.nextOf('publish');
    expect(Buffer.from(payload).toString()).toBe('hello');
  });

  test('[DEV-4] [MQTT-6.0.0-2] reads packets however they are cut and joined', async () => {
    using device = await open(5);
    const topic = `cut/${name}`;
    const connect = encode(connectPacket(5, topic), 5);
    for (const byte of connect) device.send(Uint8Array.of(byte));
    await device.nextOf('connack');
    const messages = ['one', 'two', 'three'].map((text) => encode(publication(topic, text), 5));
    device.send(Buffer.concat(messages));
    for (let count = 0; count < messages.length; count += 1) {
      expect(await device.nextOf('puback')).toMatchObject({ reason: 0 });
    }
  });
});

describe.each(CARRIERS)('over MQTT, %s', (name, open) => {
  test.each([4, 5] as const)(
    '[DEV-1] [MQTT-4.2.0-1] carries all bytes in their order, both ways, version %i',
    async (version) => {
      using device = await open(version);
      const topic = `all/${name}/${version}`;
      await device.connect(topic);
      await device.subscribe(topic);
      const texts = Array.from({ length: 50 }, (_, at) => `${at} `.repeat(at * 200));
      for (const text of texts) device.send({ ...publication(topic, text), qos: 0 });
      for (const text of texts) {
        const { payload } = await device.nextOf('publish');
        expect(Buffer.from(payload).equals(Buffer.from(text))).toBe(true);
      }
    },
  );
});

describe('over MQTT, TCP', () => {
  test('[DEV-2] says nothing before CONNECT, and does not wait for it for ever', async () => {
    const clock = new SkipClock();
    const mqtt = { port: 'auto', connectMs: 7_000 } as const;
    await using server = await startServer({ mqtt }, { clock });
    using silent = MqttDevice.tcp(urlOf(server, 'mqtt'));
    using slow = MqttDevice.tcp(urlOf(server, 'mqtt'));
    using prompt = MqttDevice.tcp(urlOf(server, 'mqtt'));
    slow.send(encode(connectPacket(5, 'slow'), 5).subarray(0, 9));
    await prompt.connect('prompt');
    clock.skip(8_000);
    await Promise.all([silent.closed, slow.closed]);
    await expect(silent.next()).rejects.toThrow('the server closed');
    prompt.send({ kind: 'pingreq' });
    await prompt.nextOf('pingresp');
  });

  test('[DEV-6] closes without a word where there is no room', async () => {
    await using server = await startServer({ mqtt: { port: 'auto' }, connectionsMax: 1 });
    using first = MqttDevice.tcp(urlOf(server, 'mqtt'));
    await first.connect('first');
    using second = MqttDevice.tcp(urlOf(server, 'mqtt'));
    await second.closed;
    await expect(second.next()).rejects.toThrow('the server closed');
  });

  test('[DEV-6] [DEV-8] a drain ends each in the words of its version, and lets nobody in', async () => {
    const drain = { windowMs: 300, deadlineMs: 5_000 };
    await using server = await startServer({ mqtt: { port: 'auto' }, drain });
    using newer = MqttDevice.tcp(urlOf(server, 'mqtt'), 5);
    using older = MqttDevice.tcp(urlOf(server, 'mqtt'), 4);
    using web = await MqttDevice.webSocket(`${server.url}/v1/ws`);
    await newer.connect('newer');
    await older.connect('older');
    await web.connect('web');
    const over = within(server.server.drain(), 'the end of a drain');
    expect(await newer.next()).toMatchObject({ kind: 'disconnect', reason: 0x8b });
    expect(await web.next()).toMatchObject({ kind: 'disconnect', reason: 0x8b });
    await expect(older.next()).rejects.toThrow('the server closed');
    expect(await web.closed).toBe(1001);
    await over;
    using late = MqttDevice.tcp(urlOf(server, 'mqtt'));
    await late.closed;
  });

  test('[DEV-7] serves this machine in development mode', async () => {
    await using server = await startServer({ dev: true, mqtt: { port: 'auto' } });
    using device = MqttDevice.tcp(urlOf(server, 'mqtt'));
    expect(await device.connect('near')).toMatchObject({ reason: 0 });
  });
});

describe('over MQTT, TLS', () => {
  test('[DEV-3] speaks with who names mqtt, or no protocol at all', async () => {
    const url = urlOf(secured, 'mqtts');
    using named = MqttDevice.tls(url, 5, { ALPNProtocols: ['x-mqtt', 'mqtt'] });
    expect(await named.connect('named')).toMatchObject({ reason: 0 });
    using other = MqttDevice.tls(url, 5, { ALPNProtocols: ['http/1.1'] });
    await other.closed;
  });
});

describe('over MQTT, WebSocket', () => {
  test('[DEV-4] [MQTT-6.0.0-1] [MQTT-6.0.0-4] is answered with its name, and takes no text', async () => {
    using peer = await WebSocketPeer.open(plain.port, { subprotocol: 'mqtt' });
    expect(peer.answer.headers['sec-websocket-protocol']).toBe('mqtt');
    peer.sendFrame(OPCODE.text, encode(connectPacket(5, 'text'), 5));
    expect(await peer.closed).toMatchObject({ code: 1003 });
  });

  test('[DEV-4] lets no page of a foreign origin in', async () => {
    const headers = { origin: 'https://evil.example' };
    const refusal = await WebSocketPeer.refused(plain.port, { subprotocol: 'mqtt', headers });
    expect(refusal.status).toBe(403);
  });

  test('[DEV-5] takes the token of the handshake for who shows no password', async () => {
    await using server = await startServer({ auth: { jwtSecret: JWT_SECRET } });
    const path = `${server.url}/v1/ws`;
    using known = await MqttDevice.webSocket(`${path}?access_token=${tokenOf('alice')}`);
    expect(await known.connect('known')).toMatchObject({ reason: 0 });
    using stranger = await MqttDevice.webSocket(path);
    expect(await stranger.connect('stranger')).toMatchObject({ reason: 0x87 });
    using late = await MqttDevice.webSocket(path);
    const password = Buffer.from(tokenOf('alice'));
    expect(await late.connect('late', { password })).toMatchObject({ reason: 0 });
  });
});
