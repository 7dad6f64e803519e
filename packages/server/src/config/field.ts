/**
 * Field: one configuration value together with all that is said of it, so that types, checks,
 * environment, flags, `config print` and the reference page come from one place.
 */
import { z } from 'zod';

/** What a field says beside its type, default and description. */
export interface FieldNotes {
  readonly unit?: 'ms' | 's' | 'bytes' | 'messages' | 'commands/s' | 'keys';
  /** The environment variable that sets it. */
  readonly env?: string;
  /** The long flag of `trunkline serve` that sets it, with its value's name. */
  readonly flag?: string;
  /** Never printed. */
  readonly secret?: true;
}

const notes = z.registry<FieldNotes>();

/**
 * Attaches a description, one sentence, and notes to a schema. Called last: zod makes a new schema
 * with every method, and notes belong to one.
 */
export function field<T extends z.ZodType>(
  schema: T,
  description: string,
  more: FieldNotes = {},
): T {
  const described = schema.describe(description);
  notes.add(described, more);
  return described;
}

/** A whole number of at least `min`; `0` often means "off" or "no limit" and says so. */
export function whole(min: number): z.ZodNumber {
  return z.number().int().min(min);
}

/** How the text of an environment variable or flag becomes a value. */
export type SettingKind = 'text' | 'number' | 'flag' | 'list' | 'choice' | 'map';

/** One leaf of the configuration, as the loader, the printer and the command line see it. */
export interface Setting extends FieldNotes {
  /** Keys from the root. */
  readonly path: readonly string[];
  readonly kind: SettingKind;
  readonly description: string;
  /** Set for `choice`, and for a `number` in whose place words may stand. */
  readonly choices?: readonly string[];
  /** Absent when the field has none. */
  readonly fallback?: unknown;
}

/** Lists the leaves of an object schema, in the order written. */
export function settingsOf(root: z.ZodObject, path: readonly string[] = []): Setting[] {
  const settings: Setting[] = [];
  for (const [key, member] of Object.entries(root.shape) as [string, z.ZodType][]) {
    const { inner, fallback } = unwrap(member);
    const here = [...path, key];
    if (inner instanceof z.ZodObject) {
      settings.push(...settingsOf(inner, here));
      continue;
    }
    settings.push({
      path: here,
      kind: kindOf(inner),
      description: member.description ?? '',
      ...choicesOf(inner),
      ...(fallback === undefined ? {} : { fallback }),
      ...notes.get(member),
    });
  }
  return settings;
}

/** The schema below defaults and optionality, and the default if there is one. */
export function unwrap(schema: z.ZodType): { inner: z.ZodType; fallback?: unknown } {
  if (schema instanceof z.ZodDefault) {
    return { inner: unwrap(schema.unwrap() as z.ZodType).inner, fallback: schema.parse(undefined) };
  }
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodExactOptional) {
    return unwrap(schema.unwrap() as z.ZodType);
  }
  return { inner: schema };
}

/** The words of a field that has some. */
function choicesOf(schema: z.ZodType): { choices?: readonly string[] } {
  if (schema instanceof z.ZodEnum) return { choices: schema.options.map(String) };
  if (!(schema instanceof z.ZodUnion)) return {};
  const words = schema.options.filter((option) => option instanceof z.ZodLiteral);
  return { choices: words.flatMap(({ values }) => [...values].map(String)) };
}

function kindOf(schema: z.ZodType): SettingKind {
  // A number, or a word in its place.
  if (schema instanceof z.ZodUnion) return 'number';
  if (schema instanceof z.ZodNumber) return 'number';
  if (schema instanceof z.ZodBoolean) return 'flag';
  if (schema instanceof z.ZodArray) return 'list';
  if (schema instanceof z.ZodEnum) return 'choice';
  if (schema instanceof z.ZodRecord) return 'map';
  return 'text';
}
