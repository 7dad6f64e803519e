import { expect, test } from 'vitest';
import { MqttConnection, parseMqttUrl } from '../../src/mqtt/connection.ts';
import { LostError } from '../../src/mqtt/errors.ts';
import { connack, FakeBroker } from '../support/mqtt-broker.ts';
import type { FakePeer } from '../support/mqtt-broker.ts';

test.each([
  ['mqtt://127.0.0.1:1234', { host: '127.0.0.1', port: 1234, isSecure: false }],
  ['mqtt://device.example', { host: 'device.example', port: 1883, isSecure: false }],
  ['mqtts://device.example/', { host: 'device.example', port: 8883, isSecure: true }],
  ['mqtt://[::1]:1883', { host: '::1', port: 1883, isSecure: false }],
])('%s is an address', (url, address) => {
  expect(parseMqttUrl(url)).toEqual(address);
});

test.each(['http://a:1', 'a:1883', 'mqtt://', 'mqtt://a/b', 'mqtt://me@a', 'mqtt://a?b=c', ''])(
  '%j is none',
  (url) => {
    expect(() => parseMqttUrl(url)).toThrow(/--url must be like mqtt:\/\/127\.0\.0\.1:1883/);
  },
);

const GOODBYE = { kind: 'disconnect', reason: 0x8b, properties: {} } as const;
const HELLO = { clientId: 'c', cleanStart: true, expirySeconds: 7 };

async function connected(broker: FakeBroker) {
  const connection = new MqttConnection(parseMqttUrl(broker.url));
  const peer = await broker.accept();
  return { connection, peer };
}

test('introduces itself with its token as the password', async () => {
  await using broker = await FakeBroker.start();
  const { connection, peer } = await connected(broker);
  const opening = connection.open({ ...HELLO, token: 'secret' });
  expect(await peer.next('connect')).toMatchObject({
    ...{ version: 5, clientId: 'c', cleanStart: true },
    password: Buffer.from('secret'),
    properties: { sessionExpiryInterval: 7 },
  });
  peer.send(connack(true));
  expect(await opening).toMatchObject({ sessionPresent: true });
  connection.leave();
  expect(await peer.next('disconnect')).toMatchObject({ properties: { sessionExpiryInterval: 0 } });
});

test.each([
  ['says why', (peer: FakePeer) => peer.send(GOODBYE), 'the server answered server shutting down'],
  ['breaks', (peer: FakePeer) => peer.destroy(), 'the connection broke'],
  ['is no server', (peer: FakePeer) => peer.send({ kind: 'pingreq' }), /§2\.1\.2/],
])('hears of its end when the other one %s', async (_, end, expected) => {
  await using broker = await FakeBroker.start();
  const { connection, peer } = await connected(broker);
  const opening = connection.open(HELLO);
  await peer.next('connect');
  peer.send(connack(false));
  await opening;
  end(peer);
  const next = connection.next();
  await expect(next).rejects.toThrow(LostError);
  await expect(next).rejects.toThrow(expected);
  connection.destroy();
});

test('refuses an answer that is none', async () => {
  await using broker = await FakeBroker.start();
  const { connection, peer } = await connected(broker);
  const opening = connection.open(HELLO);
  await peer.next('connect');
  peer.send({ kind: 'suback', packetId: 1, reasons: [0], properties: {} });
  await expect(opening).rejects.toThrow('expected CONNACK, got suback');
  connection.destroy();
});
