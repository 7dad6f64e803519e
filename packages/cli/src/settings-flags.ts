/**
 * Settings flags: the server's settings as flags of a command, made from the schema, and the
 * configuration that results from file, environment and flags.
 */
import { Option } from 'commander';
import type { Command } from 'commander';
import { readConfigFile, resolveConfig, SERVER_SETTINGS } from '@trunkline/server';
import type { FlagValue, LoadedConfig, Setting } from '@trunkline/server';
import { parse } from 'yaml';
import type { Io } from './io.ts';
import { UsageError } from './usage-error.ts';

/** Flags with a place in the contract that this version does not have. */
const LATER: readonly string[] = ['--redis <url>', '--nats <url>'];

/** Adds every setting that has a flag, and `--config`. */
export function addSettingsFlags(command: Command): Command {
  for (const setting of SERVER_SETTINGS) {
    if (setting.flag !== undefined) command.addOption(optionOf(setting, setting.flag));
  }
  command.option('--config <file>', 'TypeScript, JSON or YAML file (env: TRUNKLINE_CONFIG)');
  for (const flag of LATER) command.addOption(new Option(flag).hideHelp());
  return command;
}

/**
 * Reads file, environment and flags.
 *
 * @throws {ConfigError} or {@link UsageError}.
 */
export async function loadConfig(command: Command, io: Io): Promise<LoadedConfig> {
  const given = command.opts<Record<string, FlagValue | undefined>>();
  refuseLater(given);
  const flags = new Map<string, FlagValue>();
  for (const setting of SERVER_SETTINGS) {
    if (setting.flag === undefined) continue;
    const value = given[optionOf(setting, setting.flag).attributeName()];
    if (value !== undefined) flags.set(setting.path.join('.'), value);
  }
  const path = given['config'] ?? io.env['TRUNKLINE_CONFIG'];
  if (typeof path !== 'string' || path === '') return resolveConfig({ env: io.env, flags });
  const yaml = (text: string): unknown => parse(text);
  const value = await readConfigFile(path, { '.yaml': yaml, '.yml': yaml });
  return resolveConfig({ file: { path, value }, env: io.env, flags });
}

function optionOf(setting: Setting, flag: string): Option {
  const told = [
    setting.env === undefined ? '' : `env: ${setting.env}`,
    isWorthTelling(setting.fallback) ? `default: ${String(setting.fallback)}` : '',
  ].filter((part) => part !== '');
  const description = `${setting.description.replace(/\.$/, '')} (${told.join(', ')})`;
  const option = new Option(flag, description);
  if (setting.kind !== 'list') return option;
  return option.argParser((value: string, before: readonly string[] | undefined) => [
    ...(before ?? []),
    value,
  ]);
}

function isWorthTelling(fallback: unknown): boolean {
  return fallback !== undefined && fallback !== false && !Array.isArray(fallback);
}

function refuseLater(given: Readonly<Record<string, FlagValue | undefined>>): void {
  for (const flag of LATER) {
    if (given[new Option(flag).attributeName()] === undefined) continue;
    throw new UsageError(`${flag.split(' ')[0]} is not available yet`);
  }
}
