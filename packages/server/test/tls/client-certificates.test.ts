import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer as createTlsServer, TLSSocket } from 'node:tls';
import type { ConnectionOptions, TLSSocketOptions } from 'node:tls';
import { ManualClock } from '@trunkline/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError } from '@trunkline/server/internal/config/config-error.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { createClientCertificates } from '@trunkline/server/internal/tls/client-certificates.ts';
import type {
  ClientCertificates,
  ClientVerdict,
} from '@trunkline/server/internal/tls/client-certificates.ts';
import { readKeyPair } from '@trunkline/server/internal/tls/key-pair.ts';
import { createSelfSigned } from '@trunkline/server/internal/tls/self-signed.ts';
import { RELOAD_INTERVAL_MS } from '@trunkline/server/internal/tls/watched-files.ts';
import { until } from '../http/set-up.ts';
import { Authority } from './authority.ts';

const authority = new Authority();
const stranger = new Authority('Another authority');
const serverPair = () => {
  const { cert, key } = createSelfSigned(['localhost'], Date.now());
  return readKeyPair(cert, key);
};

let folder: string;
let clock: ManualClock;
let pair: ReturnType<typeof readKeyPair>;
let clients: ClientCertificates;
const open: { close(): unknown }[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-client-ca-'));
  clock = new ManualClock();
  pair = serverPair();
});

afterEach(() => {
  clients.close();
  for (const one of open.splice(0)) one.close();
  rmSync(folder, { recursive: true });
});

async function ask(clientCertificate: 'request' | 'require', ...texts: string[]): Promise<void> {
  const clientCa = texts.map((text, index) => {
    const path = join(folder, `ca-${index}.pem`);
    writeFileSync(path, text);
    return path;
  });
  const certificate = {
    get context() {
      return pair.context;
    },
    contextFor: (authorities: readonly string[]) => pair.contextFor(authorities),
  };
  const made = createClientCertificates(
    { clientCa, clientCertificate },
    { certificate, clock, log: silentLog },
  );
  if (made === undefined) throw new Error('expected client certificates');
  clients = made;
  await clients.open();
}

/** What a handshake came to, and the session that the client may resume. */
interface Met {
  readonly verdict: ClientVerdict;
  readonly user: string | undefined;
  readonly session: Buffer;
  readonly reused: boolean;
}

/** Shakes hands as the server's listeners do: by a socket made apart. */
async function meet(options: ConnectionOptions): Promise<Met> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  open.push(server);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  open.push({ close: () => client.destroy() });
  const failed = once(client, 'close');
  let session: Buffer | undefined;
  client.on('session', (given) => (session = given));
  client.on('error', () => {});
  const [socket] = await accepted;
  socket.on('error', () => {});
  open.push({ close: () => socket.destroy() });
  const { context, ...terms } = clients.terms;
  const asked: TLSSocketOptions = { isServer: true, secureContext: context, ...terms };
  const secured = new TLSSocket(socket, asked);
  const secure = once(secured, 'secure');
  await Promise.race([
    secure,
    failed.then(() => Promise.reject(new Error('the handshake failed'))),
  ]);
  const verdict = clients.judge(secured);
  // What follows the handshake of TLS 1.3 comes with the first bytes.
  client.resume();
  secured.write('x');
  if (options.session === undefined) await until(() => session !== undefined, 'a session');
  const { CN } = verdict.kind === 'verified' ? verdict.certificate.subject : { CN: undefined };
  return {
    verdict,
    user: CN === undefined ? undefined : String(CN),
    session: session ?? Buffer.alloc(0),
    reused: secured.isSessionReused(),
  };
}

describe('client certificates', () => {
  test('are not asked for unless that is configured', async () => {
    const parts = { certificate: pair, clock, log: silentLog };
    const none = { clientCa: [], clientCertificate: 'none' as const };
    expect(createClientCertificates(none, parts)).toBeUndefined();
    await ask('request', authority.cert);
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '[AUTH-12] count when the configured authority signed them, over %s',
    async (version) => {
      await ask('require', authority.cert);
      const options = { ...authority.issue({ names: ['sensor-1'] }), maxVersion: version };
      const { verdict, user } = await meet(options);
      expect(verdict.kind).toBe('verified');
      expect(user).toBe('sensor-1');
    },
  );

  test('count when any of several authorities signed them, in one file or more', async () => {
    const third = new Authority('Third authority');
    await ask('require', `${authority.cert}\n${stranger.cert}`, third.cert);
    for (const one of [authority, stranger, third]) {
      expect((await meet(one.issue({ names: ['a'] }))).user).toBe('a');
    }
  });

  const BAD = [
    ['of another authority', () => stranger.issue({ names: ['a'] }), 'UNABLE_TO_'],
    [
      'of another authority that has the same name',
      () => new Authority().issue({ names: ['a'] }),
      'CERT_SIGNATURE_FAILURE',
    ],
    ['that are over', () => authority.issue({ names: ['a'], days: -1 }), 'CERT_HAS_EXPIRED'],
    [
      'of a server',
      () => authority.issue({ names: ['a'], purpose: 'serverAuth' }),
      'INVALID_PURPOSE',
    ],
    ['that nobody signed', () => createSelfSigned(['a'], Date.now()), 'does not hold: '],
  ] as const;

  // By the judgement: a socket made apart does not reject anybody itself.
  test.each(BAD)('[AUTH-12] %s are refused, required or not', async (_what, make, reason) => {
    for (const mode of ['request', 'require'] as const) {
      await ask(mode, authority.cert);
      const { verdict } = await meet(make());
      expect(verdict).toEqual({ kind: 'refused', reason: expect.stringContaining(reason) });
      clients.close();
    }
  });

  test('may be missing where they are only asked for', async () => {
    await ask('request', authority.cert);
    expect((await meet({})).verdict).toEqual({ kind: 'none' });
  });

  test('must not be missing where they are required', async () => {
    await ask('require', authority.cert);
    await expect(meet({ maxVersion: 'TLSv1.2' })).rejects.toThrow();
    await expect(meet({})).rejects.toThrow();
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'count in sessions resumed over %s',
    async (version) => {
      await ask('require', authority.cert);
      const options = { ...authority.issue({ names: ['sensor-1'] }), maxVersion: version };
      const { session } = await meet(options);
      const again = await meet({ ...options, session });
      expect(again.reused).toBe(true);
      expect(again.user).toBe('sensor-1');
    },
  );

  test('[AUTH-12] are not made up when a session in which none was shown is resumed', async () => {
    await ask('request', authority.cert);
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { session } = await meet({ maxVersion });
      const again = await meet({ maxVersion, session });
      expect(again.reused).toBe(true);
      expect(again.verdict).toEqual({ kind: 'none' });
    }
  });

  test('stay bad when the session in which they were shown is resumed', async () => {
    await ask('request', authority.cert);
    const options = stranger.issue({ names: ['a'] });
    const { session } = await meet(options);
    const again = await meet({ ...options, session });
    expect(again.reused).toBe(true);
    expect(again.verdict.kind).toBe('refused');
  });

  test('are held against new authorities when the files change, in resumed sessions too', async () => {
    await ask('require', authority.cert);
    const old = authority.issue({ names: ['old'] });
    const { session } = await meet(old);
    const before = clients.terms.context;
    writeFileSync(join(folder, 'ca-0.pem'), stranger.cert);
    clock.advance(RELOAD_INTERVAL_MS);
    await until(() => clients.terms.context !== before, 'the new authority');
    expect((await meet(stranger.issue({ names: ['new'] }))).user).toBe('new');
    const again = await meet({ ...old, session });
    expect(again.reused).toBe(false);
    expect(again.verdict.kind).toBe('refused');
  });

  test('are asked for with the server’s new certificate once it has one', async () => {
    await ask('request', authority.cert);
    const { context } = clients.terms;
    expect(clients.terms.context).toBe(context);
    pair = serverPair();
    expect(clients.terms.context).not.toBe(context);
    expect((await meet(authority.issue({ names: ['a'] }))).user).toBe('a');
  });

  test('count for servers of node:tls too', async () => {
    await ask('request', authority.cert);
    const { cert, key } = createSelfSigned(['localhost'], Date.now());
    const options = { cert, key, ca: authority.cert, requestCert: true, rejectUnauthorized: false };
    const server = createTlsServer(options).listen(0, '127.0.0.1');
    open.push(server);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    for (const [issuer, kind] of [
      [authority, 'verified'],
      [stranger, 'refused'],
    ] as const) {
      const shown = issuer.issue({ names: ['a'] });
      const connected = once(server, 'secureConnection') as Promise<[TLSSocket]>;
      const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...shown });
      client.on('error', () => {});
      const [secured] = await connected;
      expect(clients.judge(secured).kind).toBe(kind);
      client.destroy();
      secured.destroy();
    }
  });

  test.each([
    ['nothing', '', 'expected a certificate in PEM, got none'],
    ['a key', createSelfSigned(['a'], Date.now()).key, 'expected a certificate in PEM, got none'],
    [
      'a certificate that is broken',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      'one of the certificates can not be read',
    ],
  ])('an authority of %s is a fault of the configuration', async (_what, text, message) => {
    await expect(ask('request', authority.cert, text)).rejects.toThrow(message);
    await expect(ask('request', text)).rejects.toThrow(ConfigError);
    expect(() => clients.terms).toThrow('once opened');
  });

  test('keep their authorities while the files are broken', async () => {
    await ask('require', authority.cert);
    const { context } = clients.terms;
    writeFileSync(join(folder, 'ca-0.pem'), 'nonsense');
    clock.advance(RELOAD_INTERVAL_MS);
    await until(() => clock.timerCount === 1, 'a look at the files');
    expect(clients.terms.context).toBe(context);
  });
});
