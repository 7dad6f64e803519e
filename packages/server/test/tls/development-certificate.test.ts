import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '@trunkline/testkit';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { startListener } from '../http/set-up.ts';
import { DevelopmentCertificate } from '@trunkline/server/internal/tls/development-certificate.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** What a client is shown. */
async function shown(certificate: DevelopmentCertificate): Promise<X509Certificate> {
  await using server = await startListener({}, {}, { tls: certificate });
  const client = connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false });
  await once(client, 'secureConnect');
  const peer = client.getPeerX509Certificate();
  client.destroy();
  if (peer === undefined) throw new Error('expected a certificate');
  return peer;
}

describe('a development certificate', () => {
  test('is for this machine and for the host it listens on', async () => {
    const certificate = new DevelopmentCertificate('dev.example', new ManualClock(), silentLog);
    await certificate.open();
    certificate.close();
    const peer = new X509Certificate((await shown(certificate)).raw);
    for (const host of ['localhost', 'dev.example']) expect(peer.checkHost(host)).toBe(host);
    for (const address of ['127.0.0.1', '::1']) expect(peer.checkIP(address)).toBe(address);
    expect(peer.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(certificate.sha256);
  });

  test.each(['0.0.0.0', '::', '127.0.0.1', '[::1]'])('names no host twice for %s', async (host) => {
    const certificate = new DevelopmentCertificate(host, new ManualClock(), silentLog);
    await certificate.open();
    certificate.close();
    const peer = await shown(certificate);
    const local = 'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1';
    expect(peer.subjectAltName).toBe(local);
  });

  test('is made anew before it ends, until it is closed', async () => {
    const clock = new ManualClock();
    const certificate = new DevelopmentCertificate('localhost', clock, silentLog);
    expect(() => certificate.sha256).toThrow('once it was opened');
    await certificate.open();
    const first = certificate.sha256;
    clock.advance(11 * DAY_MS);
    expect(certificate.sha256).toBe(first);
    clock.advance(1.5 * DAY_MS);
    expect(certificate.sha256).not.toBe(first);
    certificate.close();
    expect(clock.timerCount).toBe(0);
  });
});
