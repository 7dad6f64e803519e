/** Who a device is: by a password, a token, an API key or a client certificate. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerConfigInput } from '@trunkline/server';
import { hashPassword } from '@trunkline/server/internal/auth/password-hash.ts';
import type { Connect } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Authority } from '../../../server/test/tls/authority.ts';
import type { Issued } from '../../../server/test/tls/authority.ts';
import { mqttUrl } from '../mqtt/addresses.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { API_KEY, JWT_SECRET, sign, tokenOf } from '../../src/tokens.ts';
import { connectPacket, MqttDevice } from './mqtt-device.ts';
import { deviceAt, publish, subscribe } from './mqtt-talk.ts';

const VERSIONS = [4, 5] as const;
const PASSWORD = 'correct hörse';
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const authority = new Authority();
const clock = new SkipClock();
let folder: string;
let server: LabServer;
let secured: LabServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-logins-'));
  const users = {
    'sensor-1': {
      password: await hashPassword(PASSWORD, 2 ** 11),
      channels: { 'sensors/1/#': ['publish' as const] },
    },
    'sensor-2': { channels: { 'sensors/2/#': ['publish' as const] } },
  };
  const auth = { jwtSecret: JWT_SECRET, apiKeys: [API_KEY], users };
  // Many passwords are checked in one of the tests.
  const mqtt = { port: 'auto', connectMs: 60_000 } as const;
  server = await startServer({ mqtt, auth }, { clock });
  secured = await startSecured({
    ...{ ...auth, certificates: { channels: { 'devices/%u/#': ['publish'] } } },
  });
});

afterAll(async () => {
  for (const one of [server, secured]) {
    expect(one.faults).toEqual([]);
    await one[Symbol.asyncDispose]();
  }
  rmSync(folder, { recursive: true });
});

/** A server that asks for client certificates of the authority. */
function startSecured(
  auth: NonNullable<ServerConfigInput['auth']>,
  clientCertificate: 'request' | 'require' = 'request',
): Promise<LabServer> {
  const path = join(folder, 'authority.pem');
  writeFileSync(path, authority.cert);
  const tls = { dev: true, clientCa: [path], clientCertificate };
  return startServer({ mqtt: { tlsPort: 'auto' }, tls, auth }, { clock });
}

/** The reason with which these are let in or refused. */
async function reasonFor(login: Partial<Connect>, version: 4 | 5 = 5): Promise<number> {
  return (await deviceAt(server, version).connect('device', login)).reason;
}

function passwordOf(text: string): Pick<Connect, 'password'> {
  return { password: Buffer.from(text) };
}

/** What may be published to. */
async function allowed(device: MqttDevice, ...topics: readonly string[]): Promise<string[]> {
  const got: string[] = [];
  for (const topic of topics) {
    const { reason } = await publish(device, topic, 'x');
    expect([0, 0x87]).toContain(reason);
    if (reason === 0) got.push(topic);
  }
  return got;
}

describe('over MQTT, TCP', () => {
  test.each(VERSIONS)('[AUTH-9] takes a token for a password, version %i', async (version) => {
    const wrong = version === 5 ? 0x86 : 4;
    const password = passwordOf(tokenOf('alice'));
    expect(await reasonFor({ userName: 'alice', ...password }, version)).toBe(0);
    expect(await reasonFor({ userName: '', ...password }, version)).toBe(0);
    expect(await reasonFor({ userName: 'bob', ...password }, version)).toBe(wrong);
    const forged = passwordOf(sign({ sub: 'alice', exp: 9e9, channels: {} }, 'another secret'));
    expect(await reasonFor({ userName: 'alice', ...forged }, version)).toBe(wrong);
  });

  test.each(VERSIONS)('[AUTH-9] takes an API key, under any name, version %i', async (version) => {
    for (const userName of ['', 'sensor-1', 'anybody']) {
      expect(await reasonFor({ userName, ...passwordOf(API_KEY) }, version)).toBe(0);
    }
    const device = deviceAt(server, 5);
    await device.connect('application', passwordOf(API_KEY));
    expect(await allowed(device, 'sensors/1/x', '@alice')).toEqual(['sensors/1/x', '@alice']);
  });

  test('[AUTH-9] a password is UTF-8', async () => {
    const password = Buffer.from(PASSWORD, 'latin1');
    expect(await reasonFor({ userName: 'sensor-1', password })).toBe(0x86);
  });

  test('[AUTH-9] a name without a password says nothing', async () => {
    expect(await reasonFor({ userName: 'sensor-1' })).toBe(0x87);
    expect(await reasonFor({})).toBe(0x87);
    await using open = await startServer({ dev: true, mqtt: { port: 'auto' } });
    const device = deviceAt(open);
    expect(await device.connect('named', { userName: 'sensor-1' })).toMatchObject({ reason: 0 });
    await publish(device, 'a', 'x');
    const { messages } = (await open.get('/v1/history?channel=a&after=start')).json<{
      messages: { from?: { user?: string } }[];
    }>();
    expect(messages[0]?.from).toBeDefined();
    expect(messages[0]?.from?.user).toBeUndefined();
  });

  test('[AUTH-9] HTTP knows no logins', async () => {
    const basic = Buffer.from(`sensor-1:${PASSWORD}`).toString('base64');
    for (const authorization of [`Basic ${basic}`, `Bearer ${basic}`]) {
      const { status } = await server.get('/v1/poll?channel=sensors/1/x', { authorization });
      expect(status).toBe(401);
    }
  });

  test.each(VERSIONS)('[AUTH-10] users have a password and grants, version %i', async (version) => {
    const wrong = version === 5 ? 0x86 : 4;
    const right = { userName: 'sensor-1', ...passwordOf(PASSWORD) };
    expect(await reasonFor(right, version)).toBe(0);
    expect(await reasonFor({ ...right, ...passwordOf('wrong') }, version)).toBe(wrong);
    expect(await reasonFor({ ...right, userName: 'sensor-9' }, version)).toBe(wrong);
    // Who has no password there does not come in by an empty one.
    expect(await reasonFor({ userName: 'sensor-2', ...passwordOf('') }, version)).toBe(wrong);
    const device = deviceAt(server);
    await device.connect('sensor', right);
    expect(await allowed(device, 'sensors/1/x', 'sensors/2/x')).toEqual(['sensors/1/x']);
    expect((await subscribe(device, 'sensors/1/x')).reasons).toEqual([0x87]);
  });

  test('[AUTH-10] what is kept of a password is as RFC 7914 has it', async () => {
    // Its third vector, of "pleaseletmein" and "SodiumChloride".
    const salt = Buffer.from('SodiumChloride').toString('base64url');
    const hash =
      'cCO9yzr9c0hGHAbNgf046_2o-7qQT44-qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw';
    const password = `scrypt$16384$8$1$${salt}$${hash}`;
    const auth = { users: { rfc: { password } } };
    await using own = await startServer({ mqtt: { port: 'auto' }, auth });
    const login = { userName: 'rfc', ...passwordOf('pleaseletmein') };
    expect(await deviceAt(own).connect('rfc', login)).toMatchObject({ reason: 0 });
    const other = { userName: 'rfc', ...passwordOf('pleaseletmeout') };
    expect(await deviceAt(own).connect('rfc', other)).toMatchObject({ reason: 0x86 });
  });

  test('[AUTH-11] [DEV-45] refuses who is one too many, and knows who was right before', async () => {
    const known = { userName: 'sensor-1', ...passwordOf(PASSWORD) };
    expect(await reasonFor(known)).toBe(0);
    const answers = flood(200, (index) => `127.0.1.${1 + (index % 8)}`);
    expect(await reasonFor(known)).toBe(0);
    const told = await Promise.all(answers);
    const busy = told.filter((one) => one === 'busy').length;
    expect(busy).toBeGreaterThan(0);
    expect(busy).toBeLessThanOrEqual(200 - 128 - 1);
    expect(told.filter((one) => one === 'wrong')).toHaveLength(200 - busy);
  });

  test('[AUTH-11] refuses who has too many at one address, and lets others come', async () => {
    const answers = flood(100, () => '127.0.1.1');
    const other = await reasonFor({ userName: 'sensor-1', ...passwordOf('of another') });
    expect(other).toBe(0x86);
    const told = await Promise.all(answers);
    const busy = told.filter((one) => one === 'busy').length;
    expect(busy).toBeGreaterThan(0);
    expect(busy).toBeLessThanOrEqual(100 - 32 - 1);
    expect(told.filter((one) => one === 'wrong')).toHaveLength(100 - busy);
  });
});

/** What so many are told that come at once with wrong passwords, half of them under no one's name. */
function flood(count: number, addressOf: (index: number) => string): Promise<string>[] {
  return Array.from({ length: count }, async (_, index) => {
    const version = index % 3 === 0 ? 4 : 5;
    const device = from(addressOf(index), version);
    const userName = index % 2 === 0 ? 'sensor-1' : 'nobody';
    const login = { userName, ...passwordOf(`wrong ${index} ${addressOf(index)}`) };
    const { reason } = await device.connect(`flood ${index}`, login);
    if (reason === (version === 5 ? 0x89 : 3)) return 'busy';
    return reason === (version === 5 ? 0x86 : 4) ? 'wrong' : `${reason}`;
  });
}

/** A device at an address of its own. */
function from(address: string, version: 4 | 5): MqttDevice {
  const device = MqttDevice.tcp(mqttUrl(server), version, address);
  onTestFinished(() => device[Symbol.dispose]());
  return device;
}

describe('over MQTT, TLS', () => {
  function certified({ cert, key }: Issued, at: LabServer = secured): MqttDevice {
    const device = MqttDevice.tls(mqttUrl(at, 'mqtts'), 5, { cert, key });
    onTestFinished(() => device[Symbol.dispose]());
    return device;
  }

  test('[AUTH-12] a certificate names its user, with the grants of that name or of all', async () => {
    const known = certified(authority.issue({ names: ['sensor-2'] }));
    expect(await known.connect('known')).toMatchObject({ reason: 0 });
    const topics = ['sensors/2/x', 'devices/sensor-2/x', 'devices/d-7/x', 'devices/%u/x'];
    expect(await allowed(known, ...topics)).toEqual(['sensors/2/x']);
    const other = certified(authority.issue({ names: ['d-7'] }));
    expect(await other.connect('other')).toMatchObject({ reason: 0 });
    expect(await allowed(other, ...topics)).toEqual(['devices/d-7/x']);
  });

  test('[AUTH-12] is not asked where CONNECT has a password', async () => {
    const certificate = authority.issue({ names: ['d-7'] });
    const device = certified(certificate);
    const login = { userName: 'sensor-1', ...passwordOf(PASSWORD) };
    expect(await device.connect('both', login)).toMatchObject({ reason: 0 });
    expect(await allowed(device, 'sensors/1/x', 'devices/d-7/x')).toEqual(['sensors/1/x']);
    const wrong = certified(certificate);
    const refused = await wrong.connect('both', { ...login, ...passwordOf('wrong') });
    expect(refused.reason).toBe(0x86);
  });

  test.each(['a/b', '+', '#', ''])('[AUTH-12] refuses a user named "%s"', async (name) => {
    const device = certified(authority.issue({ names: name === '' ? [] : [name] }));
    device.send(connectPacket(5, 'odd'));
    await expect(device.next()).rejects.toThrow('the server closed');
  });

  test('[AUTH-12] refuses a certificate that does not hold, though none is needed', async () => {
    const stranger = new Authority('Authority of a test');
    const issued = [
      stranger.issue({ names: ['sensor-2'] }),
      authority.issue({ names: ['sensor-2'], days: -1 }),
      authority.issue({ names: ['sensor-2'], purpose: 'serverAuth' }),
    ];
    for (const certificate of issued) {
      const device = certified(certificate);
      device.send(connectPacket(5, 'forged'));
      await expect(device.next()).rejects.toThrow('the server closed');
    }
    const none = MqttDevice.tls(mqttUrl(secured, 'mqtts'));
    onTestFinished(() => none[Symbol.dispose]());
    const login = { userName: 'sensor-1', ...passwordOf(PASSWORD) };
    expect(await none.connect('none', login)).toMatchObject({ reason: 0 });
  });

  test('[AUTH-12] may be named by its alternative names, and be required', async () => {
    const certificates = { name: 'dns' as const, channels: { '%u/#': ['publish' as const] } };
    await using strict = await startSecured({ jwtSecret: JWT_SECRET, certificates }, 'require');
    const named = certified(
      authority.issue({ names: ['not-me'], alternatives: [['dns', 'd-7.example']] }),
      strict,
    );
    expect(await named.connect('named')).toMatchObject({ reason: 0 });
    expect(await allowed(named, 'd-7.example/x', 'not-me/x')).toEqual(['d-7.example/x']);
    const two = certified(
      authority.issue({
        alternatives: [
          ['dns', 'one'],
          ['dns', 'two'],
        ],
      }),
      strict,
    );
    two.send(connectPacket(5, 'two'));
    await expect(two.next()).rejects.toThrow('the server closed');
    const none = MqttDevice.tls(mqttUrl(strict, 'mqtts'));
    onTestFinished(() => none[Symbol.dispose]());
    none.send(connectPacket(5, 'none', passwordOf(tokenOf('alice'))));
    await expect(none.next()).rejects.toThrow('the server closed');
  });

  test('[AUTH-12] ends with its certificate', async () => {
    await using own = await startSecured({
      certificates: { channels: { 'devices/%u/#': ['publish'] } },
    });
    const certificate = authority.issue({ names: ['d-7'], days: HOUR / DAY });
    const device = certified(certificate, own);
    expect(await device.connect('ending')).toMatchObject({ reason: 0 });
    // The rest passes by itself: what is said at the end is not skipped, too.
    clock.skip(HOUR - 2_500);
    expect(await allowed(device, 'devices/d-7/x')).toEqual(['devices/d-7/x']);
    expect(await device.next()).toMatchObject({ kind: 'disconnect', reason: 0x87 });
    await device.closed;
  });
});
