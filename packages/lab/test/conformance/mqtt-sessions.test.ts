/** What MQTT says of sessions: whose they are, what they keep, and what is told of losses. */
import type { Auth, Connect } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { ask } from '../../src/http.ts';
import { freePort, NodeProcess } from '../../src/node-process.ts';
import { API_KEY, inSeconds, JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { MqttDevice } from './mqtt-device.ts';
import { acknowledge, connected, deviceAt, KEPT, leave, ping, publication } from './mqtt-talk.ts';
import { publish, subscribe, textOf, told } from './mqtt-talk.ts';

const VERSIONS = [4, 5] as const;
const PUBREL = { kind: 'pubrel', reason: 0, properties: {} } as const;
let server: LabServer;
let closed: LabServer;

beforeAll(async () => {
  const namespaces = { 'few/#': { history: { countMax: 2 } } };
  server = await startServer({ mqtt: { port: 'auto', inflightMax: 2 }, namespaces });
  const auth = { jwtSecret: JWT_SECRET, apiKeys: [API_KEY] };
  closed = await startServer({ mqtt: { port: 'auto' }, auth });
});

afterAll(async () => {
  for (const one of [server, closed]) {
    expect(one.faults).toEqual([]);
    await one[Symbol.asyncDispose]();
  }
});

/** A user who shows a token. */
function login(user: string, claims: Record<string, unknown> = {}): Partial<Connect> {
  return { userName: user, password: Buffer.from(tokenOf(user, claims)) };
}

/** More than memory keeps of what the log has no more. */
const MANY = 2_000;

async function publishMany(channel: string): Promise<void> {
  const batch = Array.from({ length: 100 }, () => ({ channel, data: 'x'.repeat(1_000) }));
  for (let count = 0; count < MANY; count += batch.length) await server.publishAll(batch);
}

/** Grants to subscribe to these, and to publish everywhere. */
function granted(...patterns: readonly string[]): { channels: Record<string, string[]> } {
  const channels = Object.fromEntries(patterns.map((pattern) => [pattern, ['subscribe']]));
  return { channels: { '#': ['publish'], ...channels } };
}

describe('over MQTT, TCP', () => {
  test('[DEV-16] another user with the same identifier has another session', async () => {
    const alice = await connected(closed, 'same', { ...login('alice'), ...KEPT });
    await subscribe(alice, 'news');
    const bob = deviceAt(closed);
    expect(await bob.connect('same', { ...login('bob'), ...KEPT })).toMatchObject({
      ...{ reason: 0, sessionPresent: false },
    });
    await publish(bob, 'news', 'for alice alone');
    expect(await told(alice, 1)).toEqual(['1 for alice alone']);
    await ping(bob);
    const again = deviceAt(closed);
    const own = await again.connect('same', { ...login('alice'), ...KEPT });
    expect(own.sessionPresent).toBe(true);
    expect(await alice.next()).toMatchObject({ kind: 'disconnect', reason: 0x8e });
    await ping(bob);
  });

  test.each(VERSIONS)(
    '[DEV-17] goes on with what was not acknowledged, then what came since, version %i',
    async (version) => {
      const base = `goes-on/${version}`;
      const before = await connected(server, base, KEPT, version);
      await subscribe(before, `${base}/+`);
      await subscribe(before, `zero/${version}`, { qos: 0 });
      const writer = await connected(server, `writer of ${base}`);
      await publish(writer, `${base}/a`, '1');
      await publish(writer, `${base}/a`, '2');
      const first = await before.nextOf('publish');
      const second = await before.nextOf('publish');
      acknowledge(before, first);
      await ping(before);
      await leave(before);
      await publish(writer, `${base}/a`, '3');
      await publish(writer, `${base}/born`, '4');
      await publish(writer, `zero/${version}`, 'nobody is there');
      const after = deviceAt(server, version);
      expect((await after.connect(base, KEPT)).sessionPresent).toBe(true);
      const { packetId, topic, payload } = second;
      expect(await after.next()).toMatchObject({ packetId, topic, payload, dup: true });
      acknowledge(after, second);
      const rest = [await after.nextOf('publish'), await after.nextOf('publish')];
      expect(rest.map((one) => `${textOf(one)} ${one.dup}`).toSorted()).toEqual([
        '3 false',
        '4 false',
      ]);
      for (const one of rest) acknowledge(after, one);
      await publish(writer, `zero/${version}`, 'now');
      expect(await told(after, 1)).toEqual(['0 now']);
    },
  );

  test('[DEV-31] tells positions to who asks, and they are good elsewhere', async () => {
    const userProperties = [['trunkline.positions', '1']] as const;
    const asking = await connected(server, 'asking', { properties: { userProperties } });
    const other = await connected(server, 'other');
    await subscribe(asking, 'placed');
    await subscribe(other, 'placed');
    const stored = await server.publish('placed', 1, 2, 3);
    const [, second] = [await asking.nextOf('publish'), await asking.nextOf('publish')];
    const [[name, position] = ['', '']] = second.properties.userProperties ?? [];
    expect(name).toBe('trunkline.position');
    expect(position).toBe(stored[1]?.position);
    expect((await other.nextOf('publish')).properties.userProperties).toBeUndefined();
    const search = `channel=placed&after=${encodeURIComponent(position)}`;
    const { messages } = (await server.get(`/v1/poll?${search}`)).json<{
      messages: { data: unknown }[];
    }>();
    expect(messages.map(({ data }) => data)).toEqual([3]);
  });

  test('[DEV-32] tells 5.0 on CONNACK what was lost meanwhile', async () => {
    const before = await connected(server, 'lost', KEPT);
    await subscribe(before, 'few/lost');
    await leave(before);
    await server.publish('few/lost', 1, 2, 3, 4);
    const after = deviceAt(server);
    const { sessionPresent, properties } = await after.connect('lost', KEPT);
    expect(sessionPresent).toBe(true);
    expect(gapIn(properties.userProperties)).toMatchObject({
      ...{ channel: 'few/lost', reason: 'trimmed', from: 1, to: 2 },
    });
    expect(await told(after, 2)).toEqual(['1 3', '1 4']);
  });

  test('[DEV-32] tells 5.0 with the next message what is lost while it is connected', async () => {
    const device = await connected(server, 'slow', { properties: { receiveMaximum: 1 } });
    await subscribe(device, 'few/slow');
    await server.publish('few/slow', 'first');
    const first = await device.nextOf('publish');
    await publishMany('few/slow');
    expect(first.properties.userProperties).toBeUndefined();
    acknowledge(device, first);
    const second = await device.nextOf('publish');
    expect(gapIn(second.properties.userProperties)).toMatchObject({
      ...{ channel: 'few/slow', reason: 'trimmed', from: 2, to: MANY - 1 },
    });
    acknowledge(device, second);
    expect((await device.nextOf('publish')).properties.userProperties).toBeUndefined();
  });

  test('[DEV-39] tells a loss again until it was heard of', async () => {
    const before = await connected(server, 'unheard', KEPT);
    await subscribe(before, 'few/unheard');
    await leave(before);
    await server.publish('few/unheard', 1, 2, 3, 4);
    const lossesOf = async (isHeard: boolean): Promise<number> => {
      const device = deviceAt(server);
      const { properties } = await device.connect('unheard', KEPT);
      if (isHeard) await ping(device);
      // It says goodbye, which says nothing of what it heard.
      await leave(device);
      return (properties.userProperties ?? []).length;
    };
    expect(await lossesOf(false)).toBe(1);
    expect(await lossesOf(true)).toBe(1);
    expect(await lossesOf(false)).toBe(0);
  });

  test('[DEV-39] tells 3.1.1 again that there is no session', async () => {
    const before = await connected(server, 'unheard-4', KEPT, 4);
    await subscribe(before, 'few/unheard-4');
    await leave(before);
    await server.publish('few/unheard-4', 1, 2, 3, 4);
    for (const [isHeard, sessionPresent] of [
      [false, false],
      [true, false],
      [true, true],
    ]) {
      const device = deviceAt(server, 4);
      expect(await device.connect('unheard-4', KEPT)).toMatchObject({ sessionPresent });
      if (isHeard === true) await ping(device);
      await leave(device);
    }
  });

  test('[DEV-39] tells what a PUBLISH told until that is acknowledged', async () => {
    const receiveMaximum = { properties: { sessionExpiryInterval: 3600, receiveMaximum: 1 } };
    const options = { ...KEPT, ...receiveMaximum };
    const device = await connected(server, 'unacknowledged', options);
    await subscribe(device, 'few/unacknowledged');
    await server.publish('few/unacknowledged', 'first');
    const first = await device.nextOf('publish');
    await publishMany('few/unacknowledged');
    acknowledge(device, first);
    const second = await device.nextOf('publish');
    const gap = gapIn(second.properties.userProperties);
    await leave(device);
    const next = deviceAt(server);
    const { properties } = await next.connect('unacknowledged', options);
    const again = await next.nextOf('publish');
    const both = [properties, again.properties].flatMap((one) => one.userProperties ?? []);
    expect(gapIn(both)).toEqual(gap);
    acknowledge(next, again);
    await ping(next);
    await leave(next);
    const last = await deviceAt(server).connect('unacknowledged', options);
    expect(last.properties.userProperties).toBeUndefined();
  });

  test('[DEV-32] a purge is a loss too', async () => {
    const reader = { ...login('alice'), ...KEPT };
    const before = await connected(closed, 'purged', reader);
    await subscribe(before, 'purged');
    await publish(before, 'purged', 'before');
    await leave(before);
    const headers = { authorization: `Bearer ${API_KEY}` };
    const url = `${closed.url}/v1/channels?channel=purged`;
    expect((await ask(url, { method: 'DELETE', headers })).status).toBe(204);
    const { properties } = await deviceAt(closed).connect('purged', reader);
    expect(gapIn(properties.userProperties)).toMatchObject({ channel: 'purged' });
  });

  test('[DEV-32] has one word for it in 3.1.1: the session begins anew', async () => {
    const before = await connected(server, 'older', KEPT, 4);
    await subscribe(before, 'few/older');
    await leave(before);
    await server.publish('few/older', 1, 2, 3, 4);
    const after = deviceAt(server, 4);
    expect(await after.connect('older', KEPT)).toMatchObject({ reason: 0, sessionPresent: false });
    after.send({ kind: 'pingreq' });
    // Nothing is left of it, its subscription neither.
    expect(await after.next()).toMatchObject({ kind: 'pingresp' });
  });

  test('[DEV-32] ends 3.1.1 that is connected before that', async () => {
    const device = await connected(server, 'slow-4', KEPT, 4);
    await subscribe(device, 'few/slow-4');
    await server.publish('few/slow-4', 'first');
    const first = await device.nextOf('publish');
    await server.publish('few/slow-4', 'second');
    const second = await device.nextOf('publish');
    await publishMany('few/slow-4');
    for (const message of [first, second]) acknowledge(device, message);
    await device.closed;
    expect(await deviceAt(server, 4).connect('slow-4', KEPT)).toMatchObject({
      ...{ reason: 0, sessionPresent: false },
    });
  });
});

describe('over MQTT, TCP, with grants', () => {
  test('[DEV-30] a subscription needs one grant that contains it whole', async () => {
    const device = await connected(closed, 'grants', login('ann', granted('a/#', 'b/+', 'c')));
    const filters = ['a/#', 'a/x', 'b/+', 'b/x/y', 'b/#', 'c', '#'];
    const { reasons } = await subscribe(device, filters);
    expect(reasons).toEqual([1, 1, 1, 0x87, 0x87, 1, 0x87]);
    const older = await connected(closed, 'grants-4', login('ann', granted('a/#')), 4);
    expect((await subscribe(older, filters)).reasons).toEqual([1, 1, ...Array(5).fill(0x80)]);
  });

  test.each(VERSIONS)(
    '[DEV-30] what is not allowed when the session goes on is given up, version %i',
    async (version) => {
      const id = `regrant ${version}`;
      const [a, b] = [`a/${version}`, `b/${version}`];
      const wide = { ...login('ann', granted('a/#', 'b/#')), ...KEPT };
      const before = await connected(closed, id, wide, version);
      await subscribe(before, [a, b]);
      await leave(before);
      const narrow = deviceAt(closed, version);
      const options = { ...login('ann', granted('a/#')), ...KEPT };
      expect((await narrow.connect(id, options)).sessionPresent).toBe(true);
      const writer = await connected(closed, `writer of ${id}`, login('bob'));
      await publish(writer, b, 'secret');
      await publish(writer, a, 'open');
      expect(await told(narrow, 1)).toEqual(['1 open']);
      await leave(narrow);
      await publish(writer, b, 'secret');
      await publish(writer, a, 'open still');
      const again = deviceAt(closed, version);
      expect((await again.connect(id, wide)).sessionPresent).toBe(true);
      await publish(writer, b, 'not subscribed to any more');
      expect(await told(again, 1)).toEqual(['1 open still']);
      again.send({ kind: 'pingreq' });
      expect(await again.next()).toMatchObject({ kind: 'pingresp' });
    },
  );

  test('[DEV-30] takes a new token of the same user that allows all, and no other one', async () => {
    const cases = [
      [tokenOf('ann', granted('a/#')), 'auth'],
      [tokenOf('ann', granted('b/#')), 'disconnect'],
      [tokenOf('bob', granted('a/#')), 'disconnect'],
      ['no token', 'disconnect'],
    ] as const;
    for (const [token, answer] of cases) {
      const method = { authenticationMethod: 'token' };
      const data = (text: string) => ({ ...method, authenticationData: Buffer.from(text) });
      const device = await connected(closed, 'renewing', {
        ...{ properties: data(tokenOf('ann', granted('a/#'))) },
      });
      await subscribe(device, 'a/x');
      const renewal: Auth = { kind: 'auth', reason: 0x19, properties: data(token) };
      device.send(renewal);
      const reason = answer === 'auth' ? 0 : 0x87;
      expect(await device.next(), token).toMatchObject({ kind: answer, reason });
    }
  });

  test('[DEV-30] ends with its token', async () => {
    const device = await connected(closed, 'ending', login('ann', { exp: inSeconds(1.5) }));
    expect(await device.next()).toMatchObject({ kind: 'disconnect', reason: 0x87 });
    await device.closed;
  });
});

describe('over MQTT, TCP, where the server is killed', () => {
  /** A server of its own process, whose port for MQTT stays the same. */
  async function startProcess() {
    const port = await freePort();
    const node = await NodeProcess.start('--dev', '--mqtt-port', String(port));
    onTestFinished(() => node[Symbol.asyncDispose]());
    const open = async (sessionPresent: boolean): Promise<MqttDevice> => {
      const device = MqttDevice.tcp(`mqtt://127.0.0.1:${port}`);
      onTestFinished(() => device[Symbol.dispose]());
      expect(await device.connect('kept', KEPT)).toMatchObject({ reason: 0, sessionPresent });
      return device;
    };
    const crash = async (): Promise<void> => {
      await node.kill();
      await node.start();
    };
    return { node, open, crash };
  }

  test('[DEV-18] a PUBLISH of QoS 2 has its identifier, and what is said of it, still', async () => {
    const { node, open, crash } = await startProcess();
    const first = await open(false);
    await subscribe(first, 'a', { qos: 2 });
    await node.publish('a', 'once');
    const { packetId, payload } = await first.nextOf('publish');
    await crash();
    const second = await open(true);
    expect(await second.next()).toMatchObject({ kind: 'publish', packetId, payload, dup: true });
    second.send({ kind: 'pubrec', packetId, reason: 0, properties: {} });
    expect(await second.next()).toMatchObject({ kind: 'pubrel', packetId });
    await crash();
    const third = await open(true);
    expect(await third.next()).toMatchObject({ kind: 'pubrel', packetId });
    third.send({ kind: 'pubcomp', packetId, reason: 0, properties: {} });
    third.send({ kind: 'pingreq' });
    expect(await third.next()).toMatchObject({ kind: 'pingresp' });
  });

  test('[DEV-18] one that came is in the log once, however often it is sent', async () => {
    const { node, open, crash } = await startProcess();
    const once = publication('a', '"once"', { qos: 2, packetId: 7 });
    const first = await open(false);
    first.send(once);
    await first.nextOf('pubrec');
    await crash();
    const second = await open(true);
    second.send({ ...once, dup: true });
    expect(await second.next()).toMatchObject({ kind: 'pubrec', packetId: 7, reason: 0 });
    second.send({ ...PUBREL, packetId: 7 });
    expect(await second.next()).toMatchObject({ kind: 'pubcomp', packetId: 7, reason: 0 });
    // From here on it is another message.
    second.send({ ...once, payload: Buffer.from('"twice"') });
    await second.nextOf('pubrec');
    const { messages } = (await ask(`${node.url}/v1/history?channel=a&after=start`)).json<{
      messages: { data: unknown }[];
    }>();
    expect(messages.map(({ data }) => data)).toEqual(['once', 'twice']);
  });

  test('[DEV-38] nothing of QoS 0 comes twice', async () => {
    const { node, open, crash } = await startProcess();
    const first = await open(false);
    await subscribe(first, ['name', 'pattern/+'], { qos: 0 });
    await node.publish('name', 1);
    await node.publish('pattern/x', 2);
    expect((await told(first, 2)).toSorted()).toEqual(['0 1', '0 2']);
    await crash();
    const second = await open(true);
    await node.publish('name', 3);
    await node.publish('pattern/x', 4);
    expect((await told(second, 2)).toSorted()).toEqual(['0 3', '0 4']);
    second.send({ kind: 'pingreq' });
    expect(await second.next()).toMatchObject({ kind: 'pingresp' });
  });

  test('[DEV-19] SUBACK and UNSUBACK say what is stored', async () => {
    const { node, open, crash } = await startProcess();
    const first = await open(false);
    await subscribe(first, ['stays', 'goes']);
    await crash();
    await node.publish('stays', 1);
    await node.publish('goes', 2);
    const second = await open(true);
    expect((await told(second, 2)).toSorted()).toEqual(['1 1', '1 2']);
    second.send({ kind: 'unsubscribe', packetId: 5, filters: ['goes'], properties: {} });
    await second.nextOf('unsuback');
    await crash();
    await node.publish('goes', 3);
    await node.publish('stays', 4);
    const third = await open(true);
    const texts: string[] = [];
    while (!texts.includes('4')) texts.push(textOf(await third.nextOf('publish')));
    expect(texts).not.toContain('3');
  });
});

/** The gap that is told, of which there is one. */
function gapIn(userProperties: readonly (readonly [string, string])[] = []): object {
  expect(userProperties.map(([name]) => name)).toEqual(['trunkline.gap']);
  return JSON.parse(userProperties[0]?.[1] ?? '') as object;
}
