/**
 * Payloads held against schemas, at random. Here's how it works:
 *
 * 1. A schema is picked of those that follow a payload far, and a payload is made: JSON, often deep,
 *    sometimes broken, sometimes bytes.
 * 2. It is let through, or refused with `bad_request`, not stored, in a short line: never anything
 *    else, and what is let through is JSON.
 */
import { ok, strictEqual } from 'node:assert';
import type { JsonSchema } from '@trunkline/server/internal/config/json-schema.ts';
import { checkPayload } from '@trunkline/server/internal/hub/payload-schemas.ts';
import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { CodedError, isJsonText } from '@trunkline/wire';

const MESSAGE_LENGTH_MAX = 900;

const SCHEMAS: readonly JsonSchema[] = [
  true,
  false,
  { type: 'array', items: { $ref: '#' } },
  { $dynamicAnchor: 'n', additionalProperties: { $dynamicRef: '#n' }, items: { $ref: '#' } },
  { uniqueItems: true, items: { uniqueItems: true } },
  { type: 'object', additionalProperties: false, patternProperties: { '^[a-z]+$': true } },
  { oneOf: [{ type: 'string' }, { items: { $ref: '#' }, minItems: 1 }, { required: ['a'] }] },
  { unevaluatedProperties: false, properties: { a: { const: { b: [1, 2] } } } },
  { not: { contains: { type: 'number' }, minContains: 2 } },
];
const SCALARS = ['null', 'true', '0', '-0', '1e400', '"a"', '""', '"\\u0000"', '"\\ud800"', '"é"'];
const NAMES = ['"a"', '"b"', '"__proto__"', '"constructor"', '"toJSON"', '""', '"é"'];

/** Makes payloads and holds them against schemas. */
export function fuzzPayloadSchemas(seed: number, rounds: number): void {
  const random = seededRandom(seed);
  for (let round = 0; round < rounds; round += 1) {
    const schema = random.pick(SCHEMAS);
    const payload = makePayload(random);
    const told = `seed ${seed}, round ${round}`;
    try {
      checkPayload({ schema }, 'room/1', { payload });
      ok(isJsonText(payload), told);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      strictEqual(error.code, 'bad_request', told);
      strictEqual(error.stored, false, told);
      ok(error.message.length <= MESSAGE_LENGTH_MAX && error.message.isWellFormed(), told);
    }
  }
}

function makePayload(random: SeededRandom): Uint8Array {
  if (random.chance(0.05)) return random.bytes(random.integer(64));
  const text = makeValue(random, 0);
  return Buffer.from(random.chance(0.1) ? text.slice(random.integer(text.length)) : text);
}

function makeValue(random: SeededRandom, depth: number): string {
  if (random.chance(0.02)) {
    const deep = 1 + random.integer(30_000);
    const [open, close] = random.pick([
      ['[', ']'],
      ['{"a":', '}'],
    ]);
    return open.repeat(deep) + random.pick(SCALARS) + close.repeat(deep);
  }
  if (depth > 4 || random.chance(0.4)) return random.pick(SCALARS);
  const items = Array.from({ length: random.integer(5) }, () => makeValue(random, depth + 1));
  if (random.chance(0.5)) return `[${items.join()}]`;
  const name = (): string => {
    return random.chance(0.02) ? `"${'n🚂'.repeat(random.integer(9_000))}"` : random.pick(NAMES);
  };
  return `{${items.map((item) => `${name()}:${item}`).join()}}`;
}
