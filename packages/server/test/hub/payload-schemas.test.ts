import { CodedError } from '@trunkline/wire';
import type { Draft } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { JsonSchema } from '../../src/config/json-schema.ts';
import { checkPayload } from '../../src/hub/payload-schemas.ts';

function draft(payload: string | Uint8Array, contentType?: string): Draft {
  const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  return { payload: bytes, ...(contentType === undefined ? {} : { contentType }) };
}

/** What a publish to `room/1` is refused with; fails the test when it is not. */
function refusal(schema: JsonSchema, given: Draft): CodedError {
  try {
    checkPayload({ schema }, 'room/1', given);
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
  throw new Error('expected a refusal');
}

const CHAT = {
  type: 'object',
  required: ['text'],
  additionalProperties: false,
  properties: { text: { type: 'string', maxLength: 5 }, tags: { items: { type: 'string' } } },
};

describe('the schema of a namespace', () => {
  test('[SCHEMA-1] lets through what satisfies it, and everything where there is none', () => {
    checkPayload({}, 'room/1', draft('no JSON'));
    checkPayload({ schema: CHAT }, 'room/1', draft('{"text":"hi", "tags":["a"]}'));
    checkPayload({ schema: CHAT }, 'room/1', draft('{"text":"hi"}', 'application/json'));
    checkPayload({ schema: true }, 'room/1', draft('12345678901234567890'));
  });

  test('[SCHEMA-1] refuses what does not, and says where and what', () => {
    const error = refusal(CHAT, draft('{"text":"hi","tags":["a",7]}'));
    expect(error).toMatchObject({ code: 'bad_request', stored: false });
    expect(error.message).toBe(
      'the payload does not satisfy the schema of room/1: /tags/1 must be string',
    );
    expect(refusal(CHAT, draft('{}')).message).toMatch(
      /the payload must have required property 'text'$/,
    );
    expect(refusal(CHAT, draft('{"text":"hi","x":1}')).message).toMatch(
      /must NOT have additional properties \(x\)$/,
    );
    expect(refusal(false, draft('1')).message).toMatch(/nothing may be published here$/);
  });

  test('[SCHEMA-2] refuses what is no JSON', () => {
    for (const given of [
      draft('{"text":'),
      draft(''),
      draft('\ufeff{}'),
      draft(Uint8Array.of(0x22, 0xff, 0x22)),
      draft('text', 'text/plain'),
      draft('{"text":"hi"}', 'application/octet-stream'),
    ]) {
      const error = refusal(CHAT, given);
      expect(error).toMatchObject({ code: 'bad_request', stored: false });
      expect(error.message).toMatch(/^room\/1 takes JSON alone: it has a schema/);
    }
  });

  test('tells a few faults and repeats nothing large of the payload', () => {
    const schema = {
      anyOf: Array.from({ length: 9 }, (_, index) => ({ const: index })),
    };
    const several = refusal(schema, draft('"x"')).message;
    expect(several.split(';')).toHaveLength(3);
    const name = 'n'.repeat(60_000);
    const long = refusal(CHAT, draft(`{"text":"a","${name}":1}`)).message;
    expect(long.length).toBeLessThan(400);
    const nested = { additionalProperties: { additionalProperties: { type: 'string' } } };
    expect(refusal(nested, draft(`{"${name}":{"${name}":1}}`)).message.length).toBeLessThan(400);
  });

  test.each<[string, JsonSchema]>([
    ['items of itself', { type: 'array', items: { $ref: '#' } }],
    [
      'anything of itself',
      { anyOf: [{ $ref: '#/$defs/list' }], $defs: { list: { items: { $ref: '#' } } } },
    ],
    ['a dynamic reference', { $dynamicAnchor: 'n', items: { $dynamicRef: '#n' } }],
    ['unique items', { uniqueItems: true }],
    ['a constant', { const: JSON.parse(`${'['.repeat(30_000)}${']'.repeat(30_000)}`) as unknown }],
  ])('survives a payload of 50,000 brackets: %s', (_name, schema) => {
    const deep = `${'['.repeat(25_000)}1${']'.repeat(25_000)}`;
    const payload = JSON.stringify(schema).includes('unique') ? `[${deep},${deep}]` : deep;
    // Either verdict is right where the schema does not follow the payload all the way down.
    const error = refusal(schema, draft(payload));
    expect(error).toMatchObject({ code: 'bad_request', stored: false });
    expect(() => refusal(schema, draft('['.repeat(50_000)))).not.toThrow();
  });
});
