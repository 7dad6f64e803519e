/** What MQTT has beside messages as they come: wills, retained messages, topics of the server. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  Connect,
  Publish,
  Version,
  Will,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { MqttDevice } from './mqtt-device.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { JWT_SECRET, tokenOf } from '../../src/tokens.ts';

const clock = new SkipClock();
let open: LabServer;
let closed: LabServer;

beforeAll(async () => {
  open = await startServer({ mqtt: { port: 'auto', sysIntervalMs: 60_000 } }, { clock });
  closed = await startServer({ mqtt: { port: 'auto' }, auth: { jwtSecret: JWT_SECRET } });
});

afterAll(async () => {
  for (const server of [open, closed]) {
    expect(server.faults).toEqual([]);
    await server[Symbol.asyncDispose]();
  }
});

function deviceOf({ urls }: LabServer, version: Version = 5): MqttDevice {
  const url = urls.find((one) => one.startsWith('mqtt:'));
  if (url === undefined) throw new Error(`expected mqtt, got ${urls.join(' ')}`);
  return MqttDevice.tcp(url, version);
}

async function listen(
  server: LabServer,
  filter: string,
  version: Version = 5,
): Promise<MqttDevice> {
  const device = deviceOf(server, version);
  await device.connect(`listener of ${filter} ${version}`);
  await device.subscribe(filter);
  return device;
}

function willOf(topic: string, delay?: number): Will {
  const properties = delay === undefined ? {} : { willDelayInterval: delay };
  return { topic, payload: Buffer.from(`${topic} is gone`), qos: 1, retain: false, properties };
}

/** For a session that is kept an hour. */
function kept(more: Partial<Connect> = {}): Partial<Connect> {
  return { cleanStart: false, properties: { sessionExpiryInterval: 3600 }, ...more };
}

function publication(topic: string, text: string, more: Partial<Publish> = {}): Publish {
  const usual = { qos: 1, retain: false, dup: false, packetId: 9, properties: {} } as const;
  return { kind: 'publish', topic, payload: Buffer.from(text), ...usual, ...more };
}

async function nextText(device: MqttDevice): Promise<string> {
  return Buffer.from((await device.nextOf('publish')).payload).toString();
}

/** Waits until nothing of what was sent before is under way. */
async function ping(device: MqttDevice): Promise<void> {
  device.send({ kind: 'pingreq' });
  await device.nextOf('pingresp');
}

describe('over MQTT, TCP', () => {
  test.each([4, 5] as const)(
    '[DEV-21] publishes the will of who is cut off, version %i',
    async (version) => {
      const topic = `wills/cut/${version}`;
      using listener = await listen(open, topic, version);
      const device = deviceOf(open, version);
      await device.connect(topic, { will: willOf(topic) });
      device[Symbol.dispose]();
      expect(await nextText(listener)).toBe(`${topic} is gone`);
    },
  );

  test('[DEV-21] publishes no will after DISCONNECT, but one after 0x04', async () => {
    const topic = 'wills/left';
    using listener = await listen(open, topic);
    for (const reason of [0x00, 0x04]) {
      using device = deviceOf(open);
      const will = { ...willOf(topic), payload: Buffer.from(`left with ${reason}`) };
      await device.connect(topic, { will });
      device.send({ kind: 'disconnect', reason, properties: {} });
      await device.closed;
    }
    expect(await nextText(listener)).toBe('left with 4');
  });

  test('[DEV-21] a will waits for its delay, and is dropped when the session goes on', async () => {
    using listener = await listen(open, 'wills/delayed/#');
    for (const name of ['back', 'gone']) {
      using device = deviceOf(open);
      await device.connect(name, kept({ will: willOf(`wills/delayed/${name}`, 30) }));
      device.send({ kind: 'disconnect', reason: 0x04, properties: {} });
      await device.closed;
    }
    using back = deviceOf(open);
    expect(await back.connect('back', kept())).toMatchObject({ sessionPresent: true });
    clock.skip(31_000);
    expect(await nextText(listener)).toBe('wills/delayed/gone is gone');
  });

  test('[DEV-20] refuses who may not publish its will', async () => {
    const password = Buffer.from(tokenOf('alice', { channels: { 'mine/#': ['publish'] } }));
    const reasonFor = async (version: Version, topic: string): Promise<number> => {
      using device = deviceOf(closed, version);
      const login = { userName: 'alice', password };
      return (await device.connect('w', { ...login, will: willOf(topic) })).reason;
    };
    expect(await reasonFor(5, 'yours')).toBe(0x87);
    expect(await reasonFor(4, 'yours')).toBe(5);
    expect(await reasonFor(5, 'mine/1')).toBe(0);
    expect(await reasonFor(5, '$SYS/broker/version')).toBe(0x90);
  });

  test('[DEV-22] publishes what an earlier run of the server left', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'trunkline-wills-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const config = { mqtt: { port: 'auto' }, store: { directory, memory: false } } as const;
    const later = new SkipClock();
    const before = await startServer(config, { clock: later });
    using device = deviceOf(before);
    await device.connect('w', kept({ will: willOf('wills/later', 60) }));
    await before.server.close();
    await using server = await startServer(config, { clock: later });
    using listener = await listen(server, 'wills/later');
    later.skip(61_000);
    expect(await nextText(listener)).toBe('wills/later is gone');
  });

  test('[DEV-24] a will is from its session', async () => {
    using listener = await listen(open, 'wills/from');
    const device = deviceOf(open);
    await device.connect('from', { will: willOf('wills/from') });
    device.send(publication('wills/from', 'alive'));
    await device.nextOf('puback');
    device[Symbol.dispose]();
    expect([await nextText(listener), await nextText(listener)]).toEqual([
      'alive',
      'wills/from is gone',
    ]);
    const { messages } = (await open.get('/v1/history?channel=wills/from&after=start')).json<{
      messages: { from?: unknown }[];
    }>();
    expect(messages[0]?.from).toBeDefined();
    expect(messages[0]?.from).toEqual(messages[1]?.from);
  });

  test('[DEV-25] sends what is retained in a channel, whoever published it', async () => {
    await open.publishAll([{ channel: 'kept/1', data: 'by HTTP', retain: true }]);
    using device = await listen(open, 'kept/+');
    expect(await device.nextOf('publish')).toMatchObject({
      ...{ topic: 'kept/1', qos: 1, retain: true },
      payload: Buffer.from('"by HTTP"'),
    });
  });

  test('[DEV-26] sends again as retained what was not acknowledged', async () => {
    await open.publishAll([{ channel: 'kept/again', data: 1, retain: true }]);
    const first = deviceOf(open);
    await first.connect('again', kept());
    await first.subscribe('kept/again');
    await first.nextOf('publish');
    first[Symbol.dispose]();
    using second = deviceOf(open);
    await second.connect('again', kept());
    expect(await second.nextOf('publish')).toMatchObject({ retain: true, dup: true });
  });

  test.each([4, 5] as const)('[DEV-27] tells of the server, version %i', async (version) => {
    using device = await listen(open, '$SYS/broker/version', version);
    expect(await nextText(device)).toMatch(/^trunkline \d/);
  });

  test('[DEV-28] tells at once, then what changes, and to no other wildcards', async () => {
    using device = await listen(open, '$SYS/broker/uptime');
    using other = await listen(open, '+/broker/uptime');
    expect(await device.nextOf('publish')).toMatchObject({ qos: 0, retain: true });
    clock.skip(60_001);
    expect(await device.nextOf('publish')).toMatchObject({ qos: 0, retain: false });
    device.send(publication('$SYS/broker/uptime', 'mine'));
    expect(await device.nextOf('puback')).toMatchObject({ reason: 0x90 });
    await ping(other);
  });

  test('[DEV-29] is read by who is granted it', async () => {
    const reasonFor = async (pattern: string): Promise<number | undefined> => {
      using device = deviceOf(closed);
      const token = tokenOf('alice', { channels: { [pattern]: ['subscribe'] } });
      await device.connect('s', { userName: 'alice', password: Buffer.from(token) });
      const options = { qos: 0, noLocal: false, retainAsPublished: false } as const;
      device.send({
        kind: 'subscribe',
        packetId: 1,
        subscriptions: [{ filter: '$SYS/#', ...options, retainHandling: 0 }],
        properties: {},
      });
      return (await device.nextOf('suback')).reasons[0];
    };
    expect(await reasonFor('#')).toBe(0x87);
    expect(await reasonFor('$SYS/#')).toBe(0);
  });
});
