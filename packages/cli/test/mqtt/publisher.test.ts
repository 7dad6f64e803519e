/** What the command tells a server of MQTT, and what it prints of the answers. */
import { expect, test } from 'vitest';
import { run } from '../../src/main.ts';
import { fakeIo } from '../support/io.ts';
import { connack, FakeBroker } from '../support/mqtt-broker.ts';

function publish(url: string, stdin: string, ...args: readonly string[]) {
  const io = fakeIo({ stdin });
  return { io, code: run(['publish', 'room/1', '--transport', 'mqtt', '--url', url, ...args], io) };
}

function puback(packetId: number, reason = 0) {
  return { kind: 'puback', packetId, reason, properties: {} } as const;
}

test('[DEV-15] publishes with QoS 1 and waits until it is acknowledged', async () => {
  await using broker = await FakeBroker.start();
  const flags = ['--key', 'k', '--ttl', '1500', '--retain', '--token', 'secret'];
  const { io, code } = publish(broker.url, '', 'hello', ...flags);
  const peer = await broker.accept();
  expect(await peer.next('connect')).toMatchObject({ password: Buffer.from('secret') });
  peer.send(connack(false));
  expect(await peer.next('publish')).toMatchObject({
    ...{ topic: 'room/1', payload: Buffer.from('hello'), qos: 1, retain: true },
    properties: {
      ...{ contentType: 'text/plain', payloadFormatIndicator: 1, messageExpiryInterval: 2 },
      userProperties: [['key', 'k']],
    },
  });
  expect(io.out).toEqual([]);
  peer.send(puback(1));
  await peer.next('disconnect');
  expect(await code).toBe(0);
  expect(io.outText()).toBe('acknowledged\n');
});

test('sends no more than the server takes before it answers, in order', async () => {
  await using broker = await FakeBroker.start();
  const { io, code } = publish(broker.url, '1\n[2]\n3\n4\n', '--json');
  const peer = await broker.accept();
  await peer.next('connect');
  peer.send(connack(false, { receiveMaximum: 2 }));
  const first = await peer.next('publish');
  expect(first.properties.contentType).toBe('application/json');
  // What came from standard input meanwhile goes out together.
  peer.send(puback(1));
  const payloads = [first, await peer.next('publish'), await peer.next('publish')];
  peer.send(puback(3, 0x97), puback(2));
  payloads.push(await peer.next('publish'));
  peer.send(puback(4, 0x10));
  expect(await code).toBe(1);
  expect(payloads.map(({ payload }) => String(payload))).toEqual(['1', '[2]', '3', '4']);
  expect(io.outText()).toBe('acknowledged\n'.repeat(3));
  expect(io.errText()).toContain('trunkline: line 3: rate_limited: ');
});

test('refuses what is larger than the server takes', async () => {
  await using broker = await FakeBroker.start();
  const { io, code } = publish(broker.url, '', 'x'.repeat(100));
  const peer = await broker.accept();
  await peer.next('connect');
  peer.send(connack(false, { maximumPacketSize: 90 }));
  expect(await code).toBe(1);
  expect(io.errText()).toMatch(/too_large: expected a packet of at most 90 bytes, got 1\d\d\n$/);
});

test('says that it may have been stored when the connection breaks', async () => {
  await using broker = await FakeBroker.start();
  const { io, code } = publish(broker.url, '', 'hello');
  const peer = await broker.accept();
  await peer.next('connect');
  peer.send(connack(false));
  await peer.next('publish');
  peer.destroy();
  expect(await code).toBe(1);
  expect(io.errText()).toMatch(/^trunkline: unavailable: .*\(it may have been stored\)\n$/);
});

test('says why it was not let in', async () => {
  await using broker = await FakeBroker.start();
  const { io, code } = publish(broker.url, '', 'hello');
  const peer = await broker.accept();
  await peer.next('connect');
  peer.send({ kind: 'connack', sessionPresent: false, reason: 0x86, properties: {} });
  expect(await code).toBe(1);
  expect(io.errText()).toContain('unauthenticated: ');
});

test.each([
  [['--event', 'e'], 'MQTT has no --event'],
  [['--slot', 's'], 'MQTT has no --slot'],
  [['--transport', 'ws'], '--transport must be http or mqtt, got ws'],
])('refuses %j', async (args, text) => {
  const { io, code } = publish('mqtt://127.0.0.1:1', '', 'hello', ...args);
  expect(await code).toBe(2);
  expect(io.errText()).toContain(text);
});
