import { CodedError } from '@trunkline/wire';
import { expect, test } from 'vitest';
import { LostError, publishRefused, refusedBy } from '../../src/mqtt/errors.ts';

test.each([
  [0x86, 'unauthenticated', 'the server answered bad user name or password'],
  [0x87, 'forbidden', 'the server answered not authorized'],
  [0x8e, 'replaced', 'the server answered session taken over'],
  [0x8f, 'bad_request', 'the server answered topic filter invalid'],
])('%i is final', (reason, code, message) => {
  expect(refusedBy(reason, undefined)).toMatchObject({ code, message });
  expect(refusedBy(reason, 'in its own words')).toMatchObject({
    code,
    message: 'in its own words',
  });
});

test.each([0x00, 0x80, 0x88, 0x8b, 0x97])('after %i another try may work', (reason) => {
  expect(refusedBy(reason, undefined)).toBeInstanceOf(LostError);
});

test('a reason that nobody knows is told as it is', () => {
  expect(refusedBy(0xff, undefined).message).toBe('the server answered 0xff');
  expect(refusedBy(0, undefined).message).toBe('the server ended the connection');
});

test('a refused publish has a code always', () => {
  const codes = [0x87, 0x97, 0x80].map((reason) => publishRefused(reason, 'no').code);
  expect(codes).toEqual(['forbidden', 'rate_limited', 'internal']);
  expect(publishRefused(0x80, 'no')).toBeInstanceOf(CodedError);
});
