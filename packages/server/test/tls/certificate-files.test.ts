import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '@trunkline/testkit';
import { ConfigError } from '@trunkline/server/internal/config/config-error.ts';
import type { Log } from '@trunkline/server/internal/observe/log.ts';
import { CertificateFiles } from '@trunkline/server/internal/tls/certificate-files.ts';
import { createSelfSigned } from '@trunkline/server/internal/tls/self-signed.ts';
import type { SelfSigned } from '@trunkline/server/internal/tls/self-signed.ts';
import { RELOAD_INTERVAL_MS } from '@trunkline/server/internal/tls/watched-files.ts';
import { until } from '../http/set-up.ts';

const HOUR_MS = 60 * 60 * 1000;
const clock = new ManualClock();
const make = (): SelfSigned => createSelfSigned(['localhost'], clock.unixMs());

let folder: string;
let lines: { level: string; message: string }[];
let certificate: CertificateFiles;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-tls-'));
  lines = [];
  certificate = open(join(folder, 'cert.pem'), join(folder, 'key.pem'));
});

afterEach(() => {
  certificate.close();
  rmSync(folder, { recursive: true });
});

/** Counts the looks at the files that are over. */
let looks = 0;

function open(cert: string, key: string): CertificateFiles {
  const line = (level: string) => (_fields: object, message: string) => {
    lines.push({ level, message });
  };
  const log: Log = {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
  };
  const counted = {
    monotonicMs: () => clock.monotonicMs(),
    unixMs: () => clock.unixMs(),
    defer: (task: () => void) => clock.defer(task),
    after(delayMs: number, task: () => void) {
      looks += 1;
      return clock.after(delayMs, task);
    },
  };
  return new CertificateFiles({ cert, key, clock: counted, log });
}

async function write({ cert, key }: Pick<SelfSigned, 'cert' | 'key'>): Promise<void> {
  await writeFile(join(folder, 'cert.pem'), cert);
  await writeFile(join(folder, 'key.pem'), key);
}

/** Lets the time for the next look come, and the look be over. */
async function look(): Promise<void> {
  const before = looks;
  clock.advance(RELOAD_INTERVAL_MS);
  await until(() => looks > before, 'a look at the files');
}

describe('a certificate from files', () => {
  test('is served as it is at the start, and anew when it has changed', async () => {
    const [first, second] = [make(), make()];
    await write(first);
    await certificate.open();
    expect(certificate.sha256).toBe(first.sha256);
    const { context } = certificate;
    await look();
    expect(certificate.context).toBe(context);
    await write(second);
    await look();
    expect(certificate.sha256).toBe(second.sha256);
    expect(certificate.context).not.toBe(context);
    expect(lines).toEqual([{ level: 'info', message: 'serving a new certificate' }]);
  });

  test('stays while its files do not fit each other, and is told of once', async () => {
    const [first, second] = [make(), make()];
    await write(first);
    await certificate.open();
    await write({ cert: second.cert, key: first.key });
    for (let count = 0; count < 3; count += 1) await look();
    expect(certificate.sha256).toBe(first.sha256);
    expect(lines).toMatchObject([{ level: 'warn' }]);
    expect(lines[0]?.message).toContain('the old one still is: the key is not the one');
    await write(second);
    await look();
    expect(certificate.sha256).toBe(second.sha256);
    await write({ cert: 'nonsense', key: second.key });
    await look();
    expect(certificate.sha256).toBe(second.sha256);
    expect(lines.map(({ level }) => level)).toEqual(['warn', 'info', 'warn']);
  });

  test('is followed through links that are swapped, as Kubernetes swaps them', async () => {
    const [first, second] = [make(), make()];
    for (const [name, pair] of [
      ['1', first],
      ['2', second],
    ] as const) {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, 'cert.pem'), pair.cert);
      await writeFile(join(folder, name, 'key.pem'), pair.key);
    }
    await symlink('1', join(folder, 'data'));
    await symlink('data/cert.pem', join(folder, 'cert.pem'));
    await symlink('data/key.pem', join(folder, 'key.pem'));
    await certificate.open();
    await symlink('2', join(folder, 'data-new'));
    await rename(join(folder, 'data-new'), join(folder, 'data'));
    await look();
    expect(certificate.sha256).toBe(second.sha256);
  });

  test('stays while its files are missing', async () => {
    const first = make();
    await write(first);
    await certificate.open();
    rmSync(join(folder, 'cert.pem'));
    await look();
    expect(certificate.sha256).toBe(first.sha256);
    expect(lines).toMatchObject([{ level: 'warn' }]);
    await write(first);
    await look();
    const second = make();
    await write(second);
    await look();
    expect(certificate.sha256).toBe(second.sha256);
  });

  test('is not replaced by one whose time is over, but served when there is no other', async () => {
    const past = createSelfSigned(['localhost'], clock.unixMs() - 30 * 24 * 60 * 60 * 1000);
    const first = make();
    await write(first);
    await certificate.open();
    await write(past);
    await look();
    expect(certificate.sha256).toBe(first.sha256);
    expect(lines[0]?.message).toContain('not valid any more');
    const old = open(join(folder, 'cert.pem'), join(folder, 'key.pem'));
    await old.open();
    old.close();
    expect(lines[1]).toMatchObject({ level: 'warn' });
  });

  test('is not replaced by one whose time comes later until it has come', async () => {
    const [first, later] = [make(), createSelfSigned(['localhost'], clock.unixMs() + 2 * HOUR_MS)];
    await write(first);
    await certificate.open();
    await write(later);
    await look();
    expect(certificate.sha256).toBe(first.sha256);
    expect(lines[0]?.message).toContain('not valid yet');
    clock.advance(HOUR_MS);
    await look();
    expect(certificate.sha256).toBe(later.sha256);
  });

  test('that can not be read at the start is a fault of the configuration', async () => {
    await expect(certificate.open()).rejects.toThrow(ConfigError);
    await expect(certificate.open()).rejects.toThrow('cert.pem');
    const [first, second] = [make(), make()];
    await write({ cert: first.cert, key: second.key });
    await expect(certificate.open()).rejects.toThrow('the key is not the one');
    expect(() => certificate.context).toThrow('once it was opened');
  });

  test('is looked at no more once it is closed', async () => {
    await write(make());
    await certificate.open();
    certificate.close();
    expect(clock.timerCount).toBe(0);
  });
});
