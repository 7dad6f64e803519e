/** What tests say over MQTT again and again, and how they wait for what comes. */
import type {
  Connect,
  Publish,
  Qos,
  Suback,
  Subscription,
  Version,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import type { PropertiesOf } from '@trunkline/server/internal/protocols/mqtt/codec/property-table.ts';
import { onTestFinished } from 'vitest';
import { mqttUrl } from '../mqtt/addresses.ts';
import type { LabServer } from '../../src/server.ts';
import { MqttDevice } from './mqtt-device.ts';
import type { PacketOf } from './mqtt-device.ts';

/** For a session that is kept an hour. */
export const KEPT: Partial<Connect> = {
  cleanStart: false,
  properties: { sessionExpiryInterval: 3600 },
};

/** A PUBLISH as a test writes it: of QoS 1, unless it says more. */
export interface Publication extends Partial<Pick<Publish, 'qos' | 'retain' | 'dup' | 'packetId'>> {
  readonly properties?: PropertiesOf<'publish'>;
}

/** A device over TCP, whose connection ends with the test. */
export function deviceAt(server: LabServer, version: Version = 5): MqttDevice {
  const device = MqttDevice.tcp(mqttUrl(server), version);
  onTestFinished(() => device[Symbol.dispose]());
  return device;
}

/** A device that is connected. */
export async function connected(
  server: LabServer,
  clientId: string,
  more: Partial<Connect> = {},
  version: Version = 5,
): Promise<MqttDevice> {
  const device = deviceAt(server, version);
  const { reason } = await device.connect(clientId, more);
  if (reason !== 0) throw new Error(`expected to be let in, got ${reason}`);
  return device;
}

/** Subscribes, each filter with this QoS, and gives back the answer. */
export async function subscribe(
  device: MqttDevice,
  filters: string | readonly string[],
  more: Partial<Omit<Subscription, 'filter'>> = {},
): Promise<Suback> {
  const usual = { qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  const list = typeof filters === 'string' ? [filters] : filters;
  const subscriptions = list.map((filter) => ({ filter, ...usual, ...more }));
  device.send({ kind: 'subscribe', packetId: 1, subscriptions, properties: {} });
  return device.nextOf('suback');
}

/** A PUBLISH. */
export function publication(
  topic: string,
  payload: string | Uint8Array,
  more: Publication = {},
): Publish {
  const { qos = 1, retain = false, dup = false, packetId = 9, properties = {} } = more;
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return { kind: 'publish', topic, payload: bytes, qos, retain, dup, packetId, properties };
}

/** Publishes with QoS 1 and gives back the answer. */
export async function publish(
  device: MqttDevice,
  topic: string,
  payload: string | Uint8Array,
  more: Omit<Publication, 'qos'> = {},
): Promise<PacketOf<'puback'>> {
  device.send(publication(topic, payload, { ...more, qos: 1 }));
  return device.nextOf('puback');
}

/** What a message says, as text. */
export function textOf({ payload }: Pick<Publish, 'payload'>): string {
  return Buffer.from(payload).toString();
}

/** Answers a message of QoS 1. */
export function acknowledge(device: MqttDevice, { packetId }: Publish): void {
  device.send({ kind: 'puback', packetId, reason: 0, properties: {} });
}

/** The next messages, acknowledged as they come, as `QoS text`. */
export async function told(device: MqttDevice, count: number): Promise<string[]> {
  const got: string[] = [];
  while (got.length < count) {
    const message = await device.nextOf('publish');
    if (message.qos === 1) acknowledge(device, message);
    got.push(`${message.qos} ${textOf(message)}`);
  }
  return got;
}

/** Waits until the server has read all that was sent; what comes before is passed over. */
export async function ping(device: MqttDevice): Promise<void> {
  device.send({ kind: 'pingreq' });
  await device.nextOf('pingresp');
}

/** The connection is gone, and the server knows it. */
export async function leave(device: MqttDevice): Promise<void> {
  device.send({ kind: 'disconnect', reason: 0, properties: {} });
  await device.closed;
}

/** All QoS there are. */
export const EVERY_QOS: readonly Qos[] = [0, 1, 2];
