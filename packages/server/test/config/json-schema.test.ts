import { compileSchema, schemaFault } from '@trunkline/server/internal/config/json-schema.ts';
import type { JsonSchema } from '@trunkline/server/internal/config/json-schema.ts';
import { serverConfigSchema } from '@trunkline/server/internal/config/schema.ts';
import { resolveConfig } from '@trunkline/server/internal/config/load.ts';
import { describe, expect, test } from 'vitest';

describe('a JSON Schema of the configuration', () => {
  test('is compiled once for one object', () => {
    const schema = { type: 'string' };
    expect(compileSchema(schema)).toBe(compileSchema(schema));
    expect(compileSchema(schema)('text')).toBeUndefined();
    expect(compileSchema(schema)(1)).toMatchObject([{ message: 'must be string' }]);
  });

  test('may be true or false', () => {
    expect(compileSchema(true)({})).toBeUndefined();
    expect(compileSchema(false)({})).toHaveLength(1);
  });

  test('may have the same $id in two namespaces', () => {
    expect(schemaFault({ $id: 'https://a.example/s', type: 'string' })).toBeUndefined();
    expect(schemaFault({ $id: 'https://a.example/s', type: 'number' })).toBeUndefined();
  });

  test.each<[JsonSchema, string]>([
    [{ typ: 'string' }, 'unknown keyword: "typ"'],
    [{ type: 'strin' }, 'data/type must be equal to one of'],
    [{ allOf: [{ format: 'uri' }] }, 'format "uri" at #/allOf/0 is not checked here: use pattern'],
    [{ $ref: 'https://elsewhere.example/s' }, "can't resolve reference"],
    [{ $ref: '#/$defs/none' }, "can't resolve reference #/$defs/none"],
    [{ properties: { a: { pattern: '(' } } }, 'Invalid regular expression'],
    [{ $async: true }, '$async is no keyword'],
    [{ $schema: 'http://json-schema.org/draft-07/schema#' }, '$schema must be https://json-schema'],
    [{ items: [{}] }, 'data/items must be object,boolean'],
  ])('is refused for what would not be checked: %j', (schema, expected) => {
    expect(schemaFault(schema)).toContain(expected);
    expect(schemaFault(schema)).toMatch(/^is no JSON Schema \(2020-12\) that can be checked: /);
  });

  test('is refused when it holds itself', () => {
    const schema: Record<string, unknown> = { type: 'array' };
    schema['items'] = schema;
    expect(schemaFault(schema)).toMatch(/call stack|circular/i);
  });

  test('is a fault of the configuration that says where it stands', () => {
    const file = {
      path: 'trunkline.json',
      value: { namespaces: { 'room/#': { schema: { format: 'email' } } } },
    };
    expect(() => resolveConfig({ file })).toThrow(
      /^file trunkline\.json: namespaces\.room\/#\.schema: is no JSON Schema .*format "email" at #/,
    );
    expect(serverConfigSchema.safeParse({ namespaces: { a: { schema: false } } }).success).toBe(
      true,
    );
  });

  test('finds duplicates in the time of one look at each item', () => {
    const check = compileSchema({ uniqueItems: true });
    const items = Array.from({ length: 30_000 }, (_, index) => [index]);
    expect(check(items)).toBeUndefined();
    expect(check([...items, [0]])).toMatchObject([{ message: 'must NOT have duplicate items' }]);
    expect(
      check([
        { a: 1, b: { c: 2, d: 3 } },
        { b: { d: 3, c: 2 }, a: 1 },
      ]),
    ).toHaveLength(1);
    expect(
      check([{ a: 1 }, [['a', 1]], { members: [['a', 1]] }, '1', 1, null, 'null']),
    ).toBeUndefined();
    expect(compileSchema({ uniqueItems: false })([1, 1])).toBeUndefined();
  });
});
