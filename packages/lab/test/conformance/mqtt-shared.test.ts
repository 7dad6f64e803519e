/** What MQTT has for workers: shared subscriptions. */
import type {
  Connect,
  Publish,
  Qos,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import type { Version } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { MqttDevice } from './mqtt-device.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { ask } from '../../src/http.ts';
import { API_KEY, JWT_SECRET, tokenOf } from '../../src/tokens.ts';

let server: LabServer;
let closed: LabServer;

beforeAll(async () => {
  server = await startServer({ mqtt: { port: 'auto', inflightMax: 2_000 } });
  const auth = { jwtSecret: JWT_SECRET, apiKeys: [API_KEY] };
  closed = await startServer({ mqtt: { port: 'auto' }, auth });
});

afterAll(async () => {
  for (const one of [server, closed]) {
    expect(one.faults).toEqual([]);
    await one[Symbol.asyncDispose]();
  }
});

/** For a session that is kept an hour. */
const KEPT: Partial<Connect> = { cleanStart: false, properties: { sessionExpiryInterval: 3600 } };

function device(version: Version = 5, { urls }: LabServer = server): MqttDevice {
  const url = urls.find((one) => one.startsWith('mqtt:'));
  if (url === undefined) throw new Error(`expected mqtt, got ${urls.join(' ')}`);
  const made = MqttDevice.tcp(url, version);
  onTestFinished(() => made[Symbol.dispose]());
  return made;
}

/** Who shows a token. */
function aliceWith(channels: Record<string, readonly string[]>): Partial<Connect> {
  return { userName: 'alice', password: Buffer.from(tokenOf('alice', { channels })) };
}

async function member(
  id: string,
  filter: string,
  more: Partial<Connect> = {},
  version: Version = 5,
) {
  const made = device(version);
  await made.connect(id, more);
  await made.subscribe(filter);
  return made;
}

async function publish(topic: string, payloads: readonly string[], qos: Qos = 1): Promise<void> {
  const writer = device();
  await writer.connect(`writer of ${topic}`);
  for (const [index, payload] of payloads.entries()) {
    const told = { dup: false, retain: false, properties: {}, packetId: index + 1 };
    writer.send({ kind: 'publish', topic, payload: Buffer.from(payload), qos, ...told });
    await writer.nextOf('puback');
  }
}

/** The next messages, acknowledged as they come. */
async function texts(reader: MqttDevice, count: number): Promise<string[]> {
  const got: string[] = [];
  while (got.length < count) got.push(textOf(acknowledged(reader, await reader.nextOf('publish'))));
  return got;
}

function acknowledged(reader: MqttDevice, message: Publish): Publish {
  const { packetId } = message;
  reader.send({ kind: 'puback', packetId, reason: 0, properties: {} });
  return message;
}

function textOf({ payload }: Publish): string {
  return Buffer.from(payload).toString();
}

describe('shared subscriptions', () => {
  test.each([4, 5] as const)('[DEV-33] give each message to one, version %i', async (version) => {
    const topic = `shared/${version}`;
    const filter = `$share/g/shared/${version}`;
    const one = await member(`one ${version}`, filter, {}, version);
    const two = await member(`two ${version}`, filter);
    await publish(topic, ['1', '2', '3', '4']);
    expect(await texts(one, 2)).toEqual(['1', '3']);
    expect(await texts(two, 2)).toEqual(['2', '4']);
  });

  test('[DEV-33] are for whom the filter is granted to', async () => {
    const one = device(5, closed);
    await one.connect('one', aliceWith({ 'a/#': ['subscribe'] }));
    const options = {
      qos: 1,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
    } as const;
    const filters = ['$share/g/a/#', '$share/g/b/#'];
    const subscriptions = filters.map((filter) => ({ filter, ...options }));
    one.send({ kind: 'subscribe', packetId: 1, subscriptions, properties: {} });
    expect(await one.nextOf('suback')).toMatchObject({ reasons: [1, 0x87] });
  });

  test('[DEV-34] give to another member what one leaves', async () => {
    const gone = await member('gone', '$share/g/left');
    const stays = await member('stays', '$share/g/left');
    await publish('left', ['1', '2', '3']);
    expect(textOf(await gone.nextOf('publish'))).toBe('1');
    expect(await texts(stays, 1)).toEqual(['2']);
    gone[Symbol.dispose]();
    expect((await texts(stays, 2)).toSorted()).toEqual(['1', '3']);
  });

  test('[DEV-35] stand where they are while nobody is connected', async () => {
    const before = await member('worker', '$share/g/kept', KEPT);
    await publish('kept', ['1']);
    expect(await texts(before, 1)).toEqual(['1']);
    before.send({ kind: 'disconnect', reason: 0, properties: {} });
    await before.closed;
    await publish('kept', ['2', '3']);
    const after = device();
    await after.connect('worker', KEPT);
    expect(await texts(after, 2)).toEqual(['2', '3']);
  });

  test('[DEV-36] tell of what is lost to them', async () => {
    const reader: Partial<Connect> = { ...KEPT, ...aliceWith({ '#': ['subscribe', 'publish'] }) };
    const headers = { authorization: `Bearer ${API_KEY}` };
    const publishOne = { method: 'POST', headers, body: '{"channel":"purged","data":1}' };
    const before = device(5, closed);
    await before.connect('reader', reader);
    await before.subscribe('$share/g/purged');
    expect((await ask(`${closed.url}/v1/publish`, publishOne)).status).toBe(200);
    expect(await texts(before, 1)).toEqual(['1']);
    before.send({ kind: 'disconnect', reason: 0, properties: {} });
    await before.closed;
    const url = `${closed.url}/v1/channels?channel=purged`;
    expect((await ask(url, { method: 'DELETE', headers })).status).toBe(204);
    expect((await ask(`${closed.url}/v1/publish`, publishOne)).status).toBe(200);
    const { sessionPresent, properties } = await device(5, closed).connect('reader', reader);
    expect(sessionPresent).toBe(true);
    expect(properties.userProperties?.map(([name]) => name)).toEqual(['trunkline.gap']);
  });

  test('[DEV-37] have at most a thousand messages that nobody has acknowledged', async () => {
    const more: Partial<Connect> = { properties: { receiveMaximum: 65_535 } };
    const reader = await member('reader', '$share/g/much', more);
    const values = Array.from({ length: 1_001 }, (_, index) => ({ channel: 'much', data: index }));
    for (let at = 0; at < values.length; at += 100) {
      await server.publishAll(values.slice(at, at + 100));
    }
    const first = await reader.nextOf('publish');
    for (let count = 1; count < 1_000; count += 1) await reader.nextOf('publish');
    reader.send({ kind: 'pingreq' });
    expect((await reader.next()).kind).toBe('pingresp');
    acknowledged(reader, first);
    expect(await texts(reader, 1)).toEqual(['1000']);
  });
});
