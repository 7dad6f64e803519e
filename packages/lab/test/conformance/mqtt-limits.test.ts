/** What one client may ask of the server over MQTT, and what it is told beyond that. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { API_KEY, JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { connectPacket } from './mqtt-device.ts';
import { acknowledge, connected, deviceAt, KEPT, leave, ping, subscribe } from './mqtt-talk.ts';

const VERSIONS = [4, 5] as const;
let server: LabServer;

beforeAll(async () => {
  server = await startServer({
    mqtt: { port: 'auto', inflightMax: 5_000, sessionsMax: 4, sessionsPerUserMax: 2 },
    link: { subscriptionsMax: 5, commandsPerSecondMax: 50 },
    auth: { jwtSecret: JWT_SECRET, apiKeys: [API_KEY] },
  });
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

function login(user: string) {
  return { userName: user, password: Buffer.from(tokenOf(user)) };
}

const APPLICATION = { password: Buffer.from(API_KEY) };

describe('over MQTT, TCP', () => {
  test('[DEV-40] reads a client on later that sends too much, and refuses it nothing', async () => {
    const device = await connected(server, 'fast', login('fast'));
    const beganMs = performance.now();
    const pings = 150;
    for (let count = 0; count < pings; count += 1) device.send({ kind: 'pingreq' });
    for (let count = 0; count < pings; count += 1) {
      expect(await device.next()).toMatchObject({ kind: 'pingresp' });
    }
    // A hundred at once, and the rest at fifty a second.
    expect(performance.now() - beganMs).toBeGreaterThan(700);
  });

  test.each(VERSIONS)('[DEV-41] stores so many sessions of a user, version %i', async (version) => {
    const user = login(`many ${version}`);
    const kept = { ...user, ...KEPT };
    const options = [kept, kept] as const;
    for (const [index, one] of options.entries()) {
      await leave(await connected(server, `s${index}`, one, version));
    }
    const more = deviceAt(server, version);
    const reason = version === 5 ? 0x97 : 3;
    expect(await more.connect('s2', kept)).toMatchObject({ reason, sessionPresent: false });
    expect(await deviceAt(server, version).connect('s1', kept)).toMatchObject({
      ...{ reason: 0, sessionPresent: true },
    });
    expect(await deviceAt(server, version).connect('s2', user)).toMatchObject({ reason: 0 });
    for (const id of ['s0', 's1']) await leave(await connected(server, id, user, version));
  });

  test('[DEV-42] of many at the same time the last one is let in', async () => {
    const user = login('same');
    const devices = Array.from({ length: 8 }, () => deviceAt(server));
    const ends = devices.map(async (device) => {
      device.send(connectPacket(5, 'same', user));
      const kinds: string[] = [];
      for (;;) {
        const packet = await device.next().catch(() => undefined);
        if (packet === undefined) return kinds.join();
        kinds.push(packet.kind === 'disconnect' ? `disconnect ${packet.reason}` : packet.kind);
        if (packet.kind === 'pingresp') return kinds.join();
      }
    });
    for (const device of devices) device.send({ kind: 'pingreq' });
    const told = await Promise.all(ends);
    const isFitting = (one: string): boolean =>
      ['', 'connack,pingresp', 'connack,disconnect 142', 'disconnect 142'].includes(one);
    expect(told.filter((one) => !isFitting(one))).toEqual([]);
    expect(told).toContain('connack,pingresp');
  });

  test('[DEV-43] has so many subscriptions, and looks at no more filters', async () => {
    const device = await connected(server, 'filters', APPLICATION);
    const filters = Array.from({ length: 8 }, (_, index) => `f/${index}`);
    const { reasons } = await subscribe(device, filters);
    expect(reasons).toEqual([1, 1, 1, 1, 1, 0x97, 0x97, 0x97]);
    const sharing = await connected(server, 'sharing', APPLICATION);
    const share = (length: number): string => `$share/${'n'.repeat(length)}/a`;
    expect((await subscribe(sharing, [share(255), share(256)])).reasons).toEqual([1, 0x8f]);
  });

  test('[DEV-44] a stored session has a thousand messages under way at most', async () => {
    const device = await connected(server, 'under way', { ...APPLICATION, ...KEPT });
    await subscribe(device, 'way');
    const key = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' };
    const body = JSON.stringify(Array.from({ length: 100 }, () => ({ channel: 'way', data: 1 })));
    for (let count = 0; count < 11; count += 1) {
      const answer = await fetch(`${server.url}/v1/publish`, {
        method: 'POST',
        headers: key,
        body,
      });
      expect(answer.status).toBe(200);
    }
    const first = await device.nextOf('publish');
    for (let count = 1; count < 1_000; count += 1) await device.nextOf('publish');
    device.send({ kind: 'pingreq' });
    expect(await device.next()).toMatchObject({ kind: 'pingresp' });
    acknowledge(device, first);
    await ping(device);
  });
});
