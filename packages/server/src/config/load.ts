/**
 * Load: one configuration out of defaults, a file, the environment and flags, each over those
 * before it, with the source of every value remembered.
 */
import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from './config-error.ts';
import { configFaults } from './faults.ts';
import { settingsOf } from './field.ts';
import type { Setting } from './field.ts';
import { nearest } from './nearest.ts';
import { serverConfigSchema } from './schema.ts';
import type { ServerConfig } from './schema.ts';

/** Every setting of a server, in the order of the schema. */
export const SERVER_SETTINGS: readonly Setting[] = settingsOf(serverConfigSchema);

/** Where values may come from, the weakest first. */
export interface ConfigSources {
  readonly file?: { readonly path: string; readonly value: unknown };
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** By setting (`auth.jwtSecret`), as the command line gave them. */
  readonly flags?: ReadonlyMap<string, FlagValue>;
}

/** A flag's value: its text, that it was given, or the texts of a flag that may be repeated. */
export type FlagValue = string | boolean | readonly string[];

/** A configuration and where each value came from. */
export interface LoadedConfig {
  readonly config: ServerConfig;
  /** By setting: `default`, `file …`, `environment …` or `flag …`. */
  readonly sources: ReadonlyMap<string, string>;
  /** What looks like a mistake but may be none, a sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Lays the sources over each other and checks the result. Pure.
 *
 * @throws {ConfigError} with every fault found, and its source.
 */
export function resolveConfig(given: ConfigSources): LoadedConfig {
  const { file, env = {}, flags = new Map<string, FlagValue>() } = given;
  const sources = new Map<string, string>();
  let tree: unknown = {};
  if (file !== undefined) {
    if (!isTree(file.value)) {
      throw new ConfigError([`file ${file.path}: expected an object of settings`]);
    }
    tree = file.value;
  }
  for (const setting of SERVER_SETTINGS) {
    const name = setting.path.join('.');
    const flag = flags.get(name);
    const variable = setting.env === undefined ? undefined : environmentValue(env, setting.env);
    if (flag !== undefined) {
      tree = withPath(tree, setting.path, readValue(setting, flag));
      sources.set(name, `flag ${setting.flag?.split(' ')[0] ?? name}`);
    } else if (variable !== undefined) {
      tree = withPath(tree, setting.path, readValue(setting, variable));
      sources.set(name, `environment ${setting.env}`);
    } else if (file !== undefined && hasPath(tree, setting.path)) {
      sources.set(name, `file ${file.path}`);
    } else {
      sources.set(name, 'default');
    }
  }
  const parsed = serverConfigSchema.safeParse(tree);
  if (!parsed.success) {
    throw new ConfigError(configFaults(parsed.error, tree, sources, file?.path));
  }
  return { config: parsed.data, sources, warnings: unknownVariables(env) };
}

/** Reads one kind of config file. @throws when the text is not of that kind. */
export type ConfigParser = (text: string) => unknown;

/**
 * Reads a config file by its extension: TypeScript and JavaScript by their default export, JSON,
 * and what `parsers` adds (by extension, `.yaml`).
 *
 * @throws {ConfigError} when it can't be read; the message says why.
 */
export async function readConfigFile(
  path: string,
  parsers: Readonly<Record<string, ConfigParser>> = {},
): Promise<unknown> {
  const extension = extname(path).toLowerCase();
  try {
    if (/^\.[cm]?[jt]s$/.test(extension)) {
      const module = (await import(pathToFileURL(resolve(path)).href)) as { default?: unknown };
      if (module.default === undefined) throw new Error('it has no default export');
      return module.default;
    }
    const parser = extension === '.json' ? parseJson : parsers[extension];
    if (parser === undefined) {
      const known = ['.ts', '.js', '.json', ...Object.keys(parsers)];
      throw new Error(`expected one of ${known.join(', ')}, got ${extension || 'no extension'}`);
    }
    return parser(await readFile(path, 'utf8'));
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new ConfigError([`file ${path}: ${firstLine(detail)}`], error);
  }
}

const parseJson: ConfigParser = (text) => JSON.parse(text) as unknown;

function readValue(setting: Setting, given: FlagValue): unknown {
  if (typeof given !== 'string') return given;
  const text = given.trim();
  // Text that is none of its kind stays text: the schema says what was expected.
  if (setting.kind === 'number') return /^-?\d+$/.test(text) ? Number(text) : given;
  if (setting.kind === 'flag') return FLAGS.get(text.toLowerCase()) ?? given;
  if (setting.kind === 'list') return text.split(',').map((part) => part.trim());
  return given;
}

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['yes', true],
  ['on', true],
  ['false', false],
  ['0', false],
  ['no', false],
  ['off', false],
]);

/** A variable's value; an empty one counts as unset, as compose files leave them. */
function environmentValue(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
): string | undefined {
  const value = env[name];
  if (value === undefined || value === '' || isServiceLink(name, value)) return undefined;
  return value;
}

/** Read by the commands that are clients, not by the server. */
const CLIENT_VARIABLES = ['TRUNKLINE_URL', 'TRUNKLINE_TOKEN'];

function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = SERVER_SETTINGS.flatMap((setting) => setting.env ?? []);
  const warnings: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('TRUNKLINE_') || known.includes(name)) continue;
    if (CLIENT_VARIABLES.includes(name) || isServiceLink(name, value ?? '')) continue;
    const likely = nearest(name, known);
    const hint = likely === undefined ? '' : `; did you mean ${likely}?`;
    warnings.push(`environment ${name} is no setting and is ignored${hint}`);
  }
  return warnings;
}

/**
 * True for what Kubernetes sets in every pod beside a service called `trunkline`:
 * `TRUNKLINE_PORT=tcp://10.0.0.1:80`, `TRUNKLINE_SERVICE_HOST` and their like.
 */
function isServiceLink(name: string, value: string): boolean {
  return /^TRUNKLINE_(?:SERVICE_|PORT_\d)/.test(name) || /^(?:tcp|udp|sctp):\/\//.test(value);
}

function isTree(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasPath(tree: unknown, path: readonly string[]): boolean {
  let value = tree;
  for (const key of path) {
    if (!isTree(value) || !Object.hasOwn(value, key)) return false;
    value = value[key];
  }
  return value !== undefined;
}

/** A copy of `tree` with `value` at `path`; what is no object on the way is left to the schema. */
function withPath(tree: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (tree !== undefined && !isTree(tree)) return tree;
  return { ...tree, [key]: withPath(tree?.[key], rest, value) };
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
