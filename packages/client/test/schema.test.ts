import { expect, test } from 'vitest';
import { InvalidError, validate } from '../src/schema.ts';
import type { Schema } from '../src/schema.ts';

const received = { kind: 'message', channel: 'a', epoch: 'e', offset: 7, data: '5' } as const;

function schemaOf(validateValue: Schema<number>['~standard']['validate']): Schema<number> {
  return { '~standard': { version: 1, vendor: 'test', validate: validateValue } };
}

test('without a schema a message stays as it is', () => {
  expect(validate(undefined, received)).toBe(received);
});

test('the payload is what the schema makes of it', () => {
  const schema = schemaOf((value) => ({ value: Number(value) }));
  expect(validate(schema, received)).toEqual({ ...received, data: 5 });
});

test('a schema may take its time', async () => {
  const schema = schemaOf((value) => Promise.resolve({ value: Number(value) }));
  expect(await validate(schema, received)).toEqual({ ...received, data: 5 });
});

test('a refused payload is told with its place and all that is wrong', () => {
  const schema = schemaOf(() => ({ issues: [{ message: 'too short' }, { message: 'too odd' }] }));
  expect(() => validate(schema, received)).toThrow(
    new InvalidError(received, [{ message: 'too short' }, { message: 'too odd' }]),
  );
  expect(() => validate(schema, received)).toThrow('a at e:7: too short, too odd');
  const { epoch: _, ...volatile } = received;
  expect(() => validate(schema, volatile)).toThrow(/^a: too short/);
});
