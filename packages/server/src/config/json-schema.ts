/**
 * JSON Schema: what an operator wrote of payloads, compiled once and refused early.
 *
 * Schemas are draft 2020-12. What this server would not check is an error when the configuration is
 * read and never a silent "anything goes": unknown keywords, unknown formats, references that lead
 * nowhere.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ErrorObject } from 'ajv/dist/2020.js';

/** A JSON Schema of draft 2020-12, as a config file has it. */
export type JsonSchema = boolean | Readonly<Record<string, unknown>>;

/** What is wrong with a value, the first fault and what led to it; `undefined` when nothing is. */
export type SchemaCheck = (value: unknown) => readonly ErrorObject[] | undefined;

const DIALECT = /^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/;
const FAULT_LENGTH_MAX = 300;

/** By schema object: the same rules are looked up with every publish. */
const compiled = new WeakMap<object, SchemaCheck>();

/**
 * Makes the check of a schema; for the same object it is made once.
 *
 * @throws {Error} when it is no schema that can be checked; {@link schemaFault} says it in words.
 */
export function compileSchema(schema: JsonSchema): SchemaCheck {
  if (typeof schema === 'boolean') return schema ? acceptAll : refuseAll;
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const check = compile(schema);
  compiled.set(schema, check);
  return check;
}

/** Why a schema can't be used, or `undefined` when it can. */
export function schemaFault(schema: JsonSchema): string | undefined {
  try {
    compileSchema(schema);
    return undefined;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return `is no JSON Schema (2020-12) that can be checked: ${explain(text).slice(0, FAULT_LENGTH_MAX)}`;
  }
}

function compile(schema: Readonly<Record<string, unknown>>): SchemaCheck {
  const dialect = schema['$schema'];
  if (dialect !== undefined && (typeof dialect !== 'string' || !DIALECT.test(dialect))) {
    throw new Error('$schema must be https://json-schema.org/draft/2020-12/schema, or left out');
  }
  // One for each schema, so that the `$id`s of two namespaces never meet.
  const ajv = new Ajv2020({
    // A misspelt keyword would check nothing.
    strictSchema: true,
    strictNumbers: true,
    // These refuse schemas that mean what they say.
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    // The first fault ends it: a payload must not be able to ask for thousands of them.
    allErrors: false,
    logger: false,
  });
  // Ajv's own compares each pair: 16,000 items in 64 KB would hold the server for a second.
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    validate: (wanted: boolean, items: readonly unknown[]) => !wanted || areUnique(items),
    error: { message: 'must NOT have duplicate items' },
  });
  const validate = ajv.compile(schema);
  if ('$async' in validate) throw new Error('$async is no keyword of JSON Schema');
  return (value) => (validate(value) ? undefined : (validate.errors ?? []));
}

/** What helps the operator more than what Ajv says. */
function explain(text: string): string {
  const format = /^unknown format "([^"]*)" ignored in schema at path "([^"]*)"/.exec(text);
  if (format === null) return text;
  return `format "${format[1]}" at ${format[2]} is not checked here: use pattern, or leave it out`;
}

function areUnique(items: readonly unknown[]): boolean {
  return new Set(items.map((item) => JSON.stringify(item, sortKeys))).size === items.length;
}

/** Objects are equal whatever the order of their members, and never equal to an array. */
function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return { members: Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)) };
}

const acceptAll: SchemaCheck = () => undefined;

const refuseAll: SchemaCheck = () => [
  {
    instancePath: '',
    schemaPath: '#/false schema',
    keyword: 'false schema',
    params: {},
    message: 'nothing may be published here',
  },
];
