/** How clients of other makes say who they are, and over what: passwords, tokens, TLS and certificates. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { hashPassword } from '@trunkline/server/internal/auth/password-hash.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Authority } from '../../../server/test/tls/authority.ts';
import type { Make } from '../../src/mqtt-clients/client.ts';
import { mosquitto } from '../../src/mqtt-clients/mosquitto.ts';
import { mqttJs, paho } from '../../src/mqtt-clients/programs.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { JWT_SECRET, sign, inSeconds } from '../../src/tokens.ts';
import { mqttUrl } from './addresses.ts';

const MAKES: readonly Make[] = [mosquitto, mqttJs, paho];
const CASES = MAKES.flatMap((make) =>
  ([4, 5] as const).map((version) => ({ name: make.name, make, version })),
);

/** Each make says it in its own words. */
const REFUSED = /not authori[sz]ed|bad user ?name|refused/i;
const UNTRUSTED = /certificate|tls error/i;

const PASSWORD = 'correct horse';

let folder: string;
let server: LabServer;
/** Files of the server's certificate, and of a device's. */
let files: { readonly ca: string; readonly cert: string; readonly key: string };

function keep(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** The certificate that a server shows, which its clients are to trust. */
async function shownBy(url: string): Promise<string> {
  const socket = connectTls({ port: Number(new URL(url).port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return new X509Certificate(raw).toString();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-access-'));
  const authority = new Authority();
  const device = authority.issue({ names: ['sensor-2'] });
  server = await startServer({
    mqtt: { port: 'auto', tlsPort: 'auto' },
    tls: {
      dev: true,
      clientCa: [keep('authority.pem', authority.cert)],
      clientCertificate: 'request',
    },
    auth: {
      jwtSecret: JWT_SECRET,
      users: {
        'sensor-1': {
          password: await hashPassword(PASSWORD),
          channels: { 'sensors/sensor-1/#': ['publish', 'subscribe'] },
        },
      },
      certificates: { channels: { 'sensors/%u/#': ['publish', 'subscribe'] } },
    },
  });
  files = {
    ca: keep('server.pem', await shownBy(mqttUrl(server, 'mqtts'))),
    cert: keep('device.pem', device.cert),
    key: keep('device.key', device.key),
  };
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe.each(CASES)('over MQTT, $name in version $version', ({ name, make, version }) => {
  /** One goes in, and gets what it publishes itself. */
  async function expectWelcome(
    connecting: Omit<Parameters<Make['read']>[0], 'version'>,
    user: string,
  ): Promise<void> {
    const topic = `sensors/${user}/${name}/${version}`;
    await using reader = await make.read({ ...connecting, version }, { [topic]: 1 });
    await make.publish({ ...connecting, version }, { topic, payload: user });
    expect((await reader.next()).payload.toString()).toBe(user);
  }

  test('[AUTH-9] logs in by a user name and its password, and by no other one', async () => {
    const url = mqttUrl(server);
    await expectWelcome({ url, user: 'sensor-1', password: PASSWORD }, 'sensor-1');
    const wrong = { url, version, user: 'sensor-1', password: 'wrong horse' };
    await expect(make.read(wrong, { 'sensors/sensor-1/x': 0 })).rejects.toThrow(REFUSED);
    await expect(make.read({ url, version }, { 'sensors/x': 0 })).rejects.toThrow(REFUSED);
  });

  test('[AUTH-9] logs in by a token for a password', async () => {
    const channels = { 'sensors/ann/#': ['publish', 'subscribe'] };
    const password = sign({ sub: 'ann', exp: inSeconds(3600), channels });
    await expectWelcome({ url: mqttUrl(server), user: 'ann', password }, 'ann');
    const other = { url: mqttUrl(server), version, user: 'bob', password };
    await expect(make.read(other, { 'sensors/ann/x': 0 })).rejects.toThrow(REFUSED);
  });

  test('[DEV-3] trusts the certificate of the server, and no other one', async () => {
    const url = mqttUrl(server, 'mqtts');
    const login = { user: 'sensor-1', password: PASSWORD };
    await expectWelcome({ url, ca: files.ca, ...login }, 'sensor-1');
    const strange = { url, version, ca: files.cert, ...login };
    await expect(make.read(strange, { 'sensors/sensor-1/x': 0 })).rejects.toThrow(UNTRUSTED);
  });

  test('[AUTH-12] is whom its certificate names', async () => {
    await expectWelcome({ url: mqttUrl(server, 'mqtts'), ...files }, 'sensor-2');
  });
});
