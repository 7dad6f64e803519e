import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../src/main.ts';
import { fakeIo } from './support/io.ts';

const SECRET = ['--jwt-secret', 's'];

describe('the command line', () => {
  test.each<[string, number, RegExp]>([
    ['', 2, /Usage: trunkline/],
    ['nonsense', 2, /unknown command 'nonsense'/],
    ['serv', 2, /unknown command 'serv'.*serve/],
    ['--nonsense', 2, /unknown option '--nonsense'/],
    ['doctor', 2, /doctor is not available yet/],
    ['bench', 2, /bench is not available yet/],
    ['serve extra', 2, /too many arguments/],
    ['serve --prot 1', 2, /unknown option '--prot'.*--port/],
    ['serve --port', 2, /argument missing/],
    ['serve --port x', 2, /flag --port: port: .*number.*"x"/],
    ['serve --port 70000', 2, /65535/],
    ['serve --host 0.0.0.0', 2, /not loopback.*--insecure/],
    ['serve --host 0.0.0.0 --dev --api-key k', 2, /development mode.*--insecure/],
    ['serve --config nowhere.json', 2, /nowhere\.json.*ENOENT/],
    ['serve --redis redis://x', 2, /--redis is not available yet/],
    ['serve --nats nats://x', 2, /--nats is not available yet/],
    ['serve --mqtt-port no', 2, /flag --mqtt-port: mqtt\.port: .*0 for none, or auto, got "no"/],
    ['serve --mqtts-port 8883', 2, /flag --mqtts-port: mqtt\.tlsPort: needs a certificate/],
    ['serve --tls-cert a', 2, /tls\.key: must be given too/],
    ['serve --tls-dev --tls-cert a --tls-key b', 2, /exclude each other/],
    ['subscribe', 2, /missing required argument 'channels'/],
    ['subscribe a/b#', 2, /# must be the whole last segment/],
    ['subscribe $a', 2, /channel must not begin with \$/],
    ['subscribe a --transport wt', 2, /wt is not available yet/],
    ['subscribe a --transport pigeon', 2, /one of ws, sse, poll, mqtt, got pigeon/],
    ['subscribe a --wait 5', 2, /--wait goes with --transport poll/],
    ['subscribe a --transport poll --wait 61', 2, /--wait must be 0 to 60, got 61/],
    ['subscribe a --last -1', 2, /--last must be 0 to/],
    ['subscribe a --last 1 --after start', 2, /--after or --last, not both/],
    ['subscribe a --url nonsense', 1, /url must be like http/],
    ['publish', 2, /missing required argument 'channel'/],
    ['publish a+ x', 2, /channel must not contain \+/],
    ['publish a x --event open', 2, /--event must not be open/],
    ['publish a {x --json', 2, /not JSON/],
    ['publish a x --url nonsense', 1, /url must be like http/],
    ['token', 2, /required option '--user/],
    ['token --user a', 2, /--jwt-secret or TRUNKLINE_JWT_SECRET is needed/],
    ['config', 2, /check/],
    ['config print --port x', 2, /flag --port/],
  ])('`trunkline %s` ends with %i', async (line, code, message) => {
    const io = fakeIo();
    expect(await run(line.split(' ').filter(Boolean), io)).toBe(code);
    expect(io.errText()).toMatch(message);
    expect(io.outText()).toBe('');
    // Help is long; a fault is one line.
    if (!message.source.includes('Usage') && line !== 'config') {
      expect(io.errText().trimEnd().split('\n')).toHaveLength(1);
    }
  });

  test.each(['--help', 'help', 'serve --help', 'help serve', 'subscribe -h', 'config --help'])(
    '`trunkline %s` helps and ends with 0',
    async (line) => {
      const io = fakeIo();
      expect(await run(line.split(' '), io)).toBe(0);
      expect(io.outText()).toContain('Usage: trunkline');
      expect(io.errText()).toBe('');
    },
  );

  test('help names every flag of the contract, and not those of later', async () => {
    const io = fakeIo();
    await run(['help', 'serve'], io);
    const flags = ['host', 'port', 'mqtt-port', 'mqtts-port', 'data', 'memory', 'node', 'secret'];
    for (const flag of [
      ...flags,
      'config',
      'dev',
      'echo',
      'api-key',
      'jwt-secret',
      'origin',
      'insecure',
    ]) {
      expect(io.outText()).toContain(`--${flag}`);
    }
    expect(io.outText()).not.toContain('--redis');
  });
});

describe('trunkline token', () => {
  const claims = (io: { outText(): string }) =>
    JSON.parse(Buffer.from(io.outText().split('.')[1] ?? '', 'base64url').toString()) as {
      readonly [name: string]: unknown;
      readonly exp: number;
      readonly iat: number;
    };

  test('mints for a user, for an hour', async () => {
    const io = fakeIo({ env: { TRUNKLINE_JWT_SECRET: 's' } });
    expect(await run(['token', '--user', 'alice'], io)).toBe(0);
    const { sub, exp, iat, channels } = claims(io);
    expect(sub).toBe('alice');
    expect(channels).toBeUndefined();
    expect(exp - iat).toBeGreaterThanOrEqual(3600);
    expect(exp - iat).toBeLessThanOrEqual(3601);
  });

  test('grants what it is told to', async () => {
    const io = fakeIo();
    const channels = '{"room/+":["subscribe","publish"]}';
    const said = ['--channels', channels, '--info', '{"name":"Bob"}', '--ttl', '60'];
    const args = ['token', '--user', 'bob', ...said, ...SECRET];
    expect(await run(args, io)).toBe(0);
    expect(claims(io)).toMatchObject({
      info: { name: 'Bob' },
      channels: { 'room/+': ['subscribe', 'publish'] },
    });
  });

  test.each([
    [['--info', '{'], /--info: /],
    [['--info', `"${'x'.repeat(2000)}"`], /--info must have at most 1024 bytes/],
    [['--channels', '{'], /--channels: /],
    [['--channels', '[]'], /map patterns/],
    [['--channels', '{"a":["fly"]}'], /fly/],
    [['--channels', '{"a#":["publish"]}'], /#/],
    [['--ttl', '0'], /--ttl must be 1 to/],
    [['--ttl', '1h'], /got 1h/],
    [['--user', ''], /--user must not be empty/],
  ])('refuses %j', async (args, message) => {
    const io = fakeIo();
    expect(await run(['token', '--user', 'a', ...SECRET, ...args], io)).toBe(2);
    expect(io.errText()).toMatch(message);
  });
});

describe('trunkline config', () => {
  async function withFile(name: string, text: string) {
    const folder = await mkdtemp(join(tmpdir(), 'trunkline-cli-'));
    const path = join(folder, name);
    await writeFile(path, text);
    return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
  }

  test('prints each value with its source, from a YAML file too', async () => {
    await using file = await withFile(
      'a.yaml',
      'port: 81\nnamespaces:\n  "chat/+": {durable: false}\n',
    );
    const io = fakeIo({ env: { TRUNKLINE_NODE: 'n1', TRUNKLINE_CONFIG: file.path } });
    expect(await run(['config', 'print', '--host', 'localhost'], io)).toBe(0);
    expect(io.outText()).toMatch(/^host +"localhost" +flag --host$/m);
    expect(io.outText()).toMatch(/^port +81 +file .*a\.yaml$/m);
    expect(io.outText()).toMatch(/^node +"n1" +environment TRUNKLINE_NODE$/m);
    expect(io.outText()).toMatch(/^namespaces +\{"chat\/\+":\{"durable":false\}\} +file/m);
  });

  test('prints JSON lines, with lists as often as their flag was given', async () => {
    const io = fakeIo();
    const args = ['config', 'print', '--json', '--origin', 'https://a', '--origin', 'https://b'];
    expect(await run(args, io)).toBe(0);
    const lines = io.outText().trim().split('\n');
    const origins = lines
      .map((line) => JSON.parse(line) as { name: string })
      .find(({ name }) => name === 'auth.origins');
    expect(origins).toEqual({
      name: 'auth.origins',
      value: ['https://a', 'https://b'],
      source: 'flag --origin',
    });
  });

  test('checks, and warns of what may be a slip', async () => {
    const io = fakeIo({ env: { TRUNKLINE_PROT: '1' } });
    expect(await run(['config', 'check'], io)).toBe(0);
    expect(io.outText()).toMatch(/^config is well: 0 of \d+ settings set$/m);
    expect(io.errText()).toContain('did you mean TRUNKLINE_PORT?');
  });

  test('tells every fault of a file, a line each', async () => {
    await using file = await withFile('a.json', '{"prot":1,"link":{"pongMs":"x"}}');
    const io = fakeIo();
    expect(await run(['config', 'check', '--config', file.path], io)).toBe(2);
    expect(io.errText()).toMatch(/did you mean port\?/);
    expect(io.errText()).toMatch(/link\.pongMs: /);
  });
});
