/** Print: the effective configuration, a line a setting, with the source of each value. */
import { SERVER_SETTINGS } from './load.ts';
import type { LoadedConfig } from './load.ts';

/** One setting as it is printed. */
export interface ConfigLine {
  readonly name: string;
  /** A secret shows only that it is set. */
  readonly value: unknown;
  readonly source: string;
  readonly unit?: string;
}

/** Lists every setting with its value, in the order of the schema. Secrets are hidden. */
export function configLines(loaded: LoadedConfig): ConfigLine[] {
  return SERVER_SETTINGS.map((setting) => {
    const name = setting.path.join('.');
    let value: unknown = loaded.config;
    for (const key of setting.path) value = (value as Readonly<Record<string, unknown>>)[key];
    return {
      name,
      value: setting.secret === true ? hidden(value) : value,
      source: loaded.sources.get(name) ?? 'default',
      ...(setting.unit === undefined ? {} : { unit: setting.unit }),
    };
  });
}

/** Writes the lines in three columns. */
export function printConfig(lines: readonly ConfigLine[]): string {
  const rows = lines.map((line) => {
    const value = line.value === undefined ? '(unset)' : JSON.stringify(line.value);
    const unit = line.unit === undefined || line.value === undefined ? '' : ` ${line.unit}`;
    return [line.name, `${value}${unit}`, line.source] as const;
  });
  const nameWidth = Math.max(0, ...rows.map(([name]) => name.length));
  // One long value must not push every source off the screen.
  const valueWidth = Math.min(32, Math.max(0, ...rows.map(([, value]) => value.length)));
  return rows
    .map(
      ([name, value, source]) =>
        `${name.padEnd(nameWidth)}  ${value.padEnd(valueWidth)}  ${source}\n`,
    )
    .join('');
}

function hidden(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(() => '(hidden)');
  // By a name for each: the names are no secret.
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.keys(value).map((name) => [name, '(hidden)']));
  }
  return value === undefined ? undefined : '(hidden)';
}
