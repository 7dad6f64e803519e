/** Faults: what the schema found wrong, as lines that say where, what, and what to do. */
import { z } from 'zod';
import { settingsOf, unwrap } from './field.ts';
import { nearest } from './nearest.ts';
import { serverConfigSchema } from './schema.ts';

/** Faults told at once; a wrong file format would give hundreds. */
const FAULT_COUNT_MAX = 20;

/**
 * Turns the schema's issues into lines.
 *
 * @param sources by setting, where its value came from.
 * @param file the config file, for what is no setting of its own.
 */
export function configFaults(
  error: z.ZodError,
  tree: unknown,
  sources: ReadonlyMap<string, string>,
  file: string | undefined,
): string[] {
  const lines = error.issues.flatMap((issue) => {
    const path = issue.path.map(String);
    const place = source(path, sources) ?? `file ${file ?? ''}`;
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => `${place}: ${unknownKey(path, key)}`);
    }
    const message =
      issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
    const got = isSecret(path) ? '' : `, got ${show(valueAt(tree, path, issue.code))}`;
    return [`${place}: ${path.join('.')}: ${message}${got}`];
  });
  const rest = lines.length - FAULT_COUNT_MAX;
  return rest > 0 ? [...lines.slice(0, FAULT_COUNT_MAX), `and ${rest} more`] : lines;
}

function unknownKey(path: readonly string[], key: string): string {
  const name = [...path, key].join('.');
  const siblings = keysAt(path);
  const likely = nearest(key, siblings);
  if (likely !== undefined) {
    return `unknown key ${name}; did you mean ${[...path, likely].join('.')}?`;
  }
  // The right word in the wrong group: apiKeys at the root, memory under link.
  const elsewhere = settingsOf(serverConfigSchema).find((setting) => setting.path.at(-1) === key);
  if (elsewhere !== undefined) {
    return `unknown key ${name}; did you mean ${elsewhere.path.join('.')}?`;
  }
  return `unknown key ${name}; known here: ${siblings.join(', ')}`;
}

/** The keys that the schema knows inside the object at `path`. */
function keysAt(path: readonly string[]): readonly string[] {
  let schema: z.ZodType = serverConfigSchema;
  for (const key of path) {
    const { inner } = unwrap(schema);
    if (inner instanceof z.ZodObject) schema = (inner.shape[key] as z.ZodType | undefined) ?? inner;
    else if (inner instanceof z.ZodRecord) schema = inner.valueType as z.ZodType;
    else return [];
  }
  const { inner } = unwrap(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

/** The source of the setting at `path` or the one that holds it. */
function source(path: readonly string[], sources: ReadonlyMap<string, string>): string | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const known = sources.get(path.slice(0, length).join('.'));
    if (known !== undefined && known !== 'default') return known;
  }
  return undefined;
}

function isSecret(path: readonly string[]): boolean {
  return settingsOf(serverConfigSchema).some(
    (setting) => setting.secret === true && setting.path.every((key, index) => path[index] === key),
  );
}

function valueAt(tree: unknown, path: readonly string[], code: string): unknown {
  // The fault of a key is the key itself, not the value under it.
  if (code === 'invalid_key') return path.at(-1);
  let value = tree;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
