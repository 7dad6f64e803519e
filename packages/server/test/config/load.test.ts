import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '@trunkline/server/internal/config/config-error.ts';
import { readConfigFile, resolveConfig } from '@trunkline/server/internal/config/load.ts';
import type { ConfigSources } from '@trunkline/server/internal/config/load.ts';

function faults(given: ConfigSources): readonly string[] {
  try {
    resolveConfig(given);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}
const file = (value: unknown) => ({ file: { path: 'trunkline.json', value } });

describe('resolveConfig', () => {
  test('lays file over defaults, environment over file, flags over environment', () => {
    const loaded = resolveConfig({
      ...file({ port: 1, host: '127.0.0.2', link: { helloMs: 5 }, node: 'a' }),
      env: { TRUNKLINE_PORT: '2', TRUNKLINE_NODE: 'b' },
      flags: new Map([['port', '3']]),
    });
    expect(loaded.config).toMatchObject({ port: 3, host: '127.0.0.2', node: 'b' });
    expect(loaded.config.link).toMatchObject({ helloMs: 5, pongMs: 10_000 });
    expect(Object.fromEntries(loaded.sources)).toMatchObject({
      port: 'flag --port',
      node: 'environment TRUNKLINE_NODE',
      host: 'file trunkline.json',
      'link.helloMs': 'file trunkline.json',
      'link.pongMs': 'default',
    });
  });

  test('does not change the value a file gave', () => {
    const value = Object.freeze({ link: Object.freeze({ helloMs: 5 }) });
    resolveConfig({ ...file(value), env: { TRUNKLINE_PONG_MS: '200' } });
    expect(value).toEqual({ link: { helloMs: 5 } });
  });

  test.each([
    ['TRUNKLINE_MEMORY', 'TRUE', { store: { memory: true } }],
    ['TRUNKLINE_FSYNC', 'off', { store: { fsync: false } }],
    [
      'TRUNKLINE_ORIGIN',
      'https://a.example, https://b.example',
      { auth: { origins: ['https://a.example', 'https://b.example'] } },
    ],
    ['TRUNKLINE_PORT', ' 81 ', { port: 81 }],
    ['TRUNKLINE_PORT', '', { port: 8080 }],
    ['TRUNKLINE_PORT', 'tcp://10.0.0.1:8080', { port: 8080 }],
  ])('reads %s=%s', (name, text, expected) => {
    expect(resolveConfig({ env: { [name]: text } }).config).toMatchObject(expected);
  });

  test.each<[string, ConfigSources, RegExp]>([
    [
      'an unknown key',
      file({ prot: 1 }),
      /^file trunkline\.json: unknown key prot; did you mean port\?$/,
    ],
    ['a key in the wrong group', file({ apiKeys: [] }), /did you mean auth\.apiKeys\?/],
    [
      'a deep unknown key',
      file({ link: { pingIntervall: 1 } }),
      /did you mean link\.pingIntervalMs\?/,
    ],
    [
      'an unknown rule',
      file({ namespaces: { 'a/b': { durabel: true } } }),
      /did you mean namespaces\.a\/b\.durable\?/,
    ],
    ['a key like nothing', file({ zzzzzzzz: 1 }), /unknown key zzzzzzzz; known here: host, port/],
    ['a wrong type', file({ port: 'x' }), /^file trunkline\.json: port: .*number.*, got "x"$/],
    ['a wrong group', file({ link: 5 }), /link: .*object.*, got 5/],
    [
      'a variable that is no number',
      { env: { TRUNKLINE_PORT: '80a' } },
      /^environment TRUNKLINE_PORT: port: .*, got "80a"$/,
    ],
    [
      'a variable that is no flag',
      { env: { TRUNKLINE_DEV: 'maybe' } },
      /^environment TRUNKLINE_DEV: dev: .*, got "maybe"$/,
    ],
    [
      'a flag out of bounds',
      { flags: new Map([['port', '70000']]) },
      /^flag --port: port: .*65535.*, got 70000$/,
    ],
    [
      'a bad pattern',
      file({ namespaces: { 'a#': {} } }),
      /pattern # must be the whole last segment, got "a#"/,
    ],
    ['no object', file([]), /expected an object of settings/],
  ])('refuses %s and says where', (_, given, line) => {
    expect(faults(given)).toEqual([expect.stringMatching(line)]);
  });

  test('tells all faults at once, up to a limit', () => {
    const value = Object.fromEntries(
      Array.from({ length: 50 }, (_, index) => [`qqqqqqqq${index}`, 1]),
    );
    const told = faults(file(value));
    expect(told).toHaveLength(21);
    expect(told.at(-1)).toBe('and 30 more');
  });

  test('never shows a secret in a fault', () => {
    const told = faults(file({ secret: { hunter2: 1 }, auth: { apiKeys: [{ key: 'hunter2' }] } }));
    expect(told).toHaveLength(2);
    expect(told.join()).not.toContain('hunter2');
  });

  test('warns of variables that look like settings and are none', () => {
    const { warnings } = resolveConfig({
      env: {
        TRUNKLINE_PROT: '1',
        TRUNKLINE_TOKEN: 'for clients',
        TRUNKLINE_SERVICE_HOST: '10.0.0.1',
        TRUNKLINE_PORT_8080_TCP_ADDR: '10.0.0.1',
        HOME: '/',
      },
    });
    expect(warnings).toEqual([
      'environment TRUNKLINE_PROT is no setting and is ignored; did you mean TRUNKLINE_PORT?',
    ]);
  });

  test('keeps keys of the prototype out', () => {
    const value: unknown = JSON.parse('{"__proto__": {"port": 1}, "constructor": 1}');
    expect(faults(file(value)).length).toBeGreaterThan(0);
    expect(resolveConfig({}).config.port).toBe(8080);
  });
});

describe('readConfigFile', () => {
  async function folder() {
    const path = await mkdtemp(join(tmpdir(), 'trunkline-config-'));
    return {
      path,
      [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
    };
  }

  test.each([
    ['a.json', '{"port":1}', { port: 1 }],
    ['a.mjs', 'export default { port: 2 };', { port: 2 }],
    ['a.conf', 'port 3', { port: 3 }],
  ])('reads %s', async (name, text, expected) => {
    await using at = await folder();
    const path = join(at.path, name);
    await writeFile(path, text);
    const parse = (source: string) => ({ port: Number(source.slice(5)) });
    expect(await readConfigFile(path, { '.conf': parse })).toEqual(expected);
  });

  test.each([
    ['missing.json', undefined, /ENOENT/],
    ['broken.json', '{', /file .*broken\.json: /],
    ['none.mjs', 'export const port = 1;', /no default export/],
    ['a.toml', '', /expected one of \.ts, \.js, \.json, got \.toml/],
  ])('says why %s can not be read', async (name, text, message) => {
    await using at = await folder();
    const path = join(at.path, name);
    if (text !== undefined) await writeFile(path, text);
    await expect(readConfigFile(path)).rejects.toThrow(ConfigError);
    await expect(readConfigFile(path)).rejects.toThrow(message);
  });
});
