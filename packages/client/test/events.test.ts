import { describe, expect, test } from 'vitest';
import { parseObject, toGap, toMessage, toOpening } from '../src/events.ts';

describe('what comes from a server', () => {
  test.each([
    [{}],
    [{ channel: 'a', epoch: 'e', offset: '1' }],
    [{ channel: 'a', epoch: 'e', offset: 1.5 }],
    [{ channel: 1, epoch: 'e', offset: 1 }],
    [{ channel: 'a', offset: 1 }],
  ])('is no message: %j', (fields) => {
    expect(toMessage(fields, undefined)).toBeUndefined();
  });

  test('is a message with what is known and of the right type', () => {
    const fields = { channel: 'a', epoch: 'e', offset: 1, time: 'x', event: 5, from: 'me', z: 1 };
    expect(toMessage({ ...fields, data: [1] }, '[1]')).toEqual({
      kind: 'message',
      channel: 'a',
      epoch: 'e',
      offset: 1,
      data: [1],
      source: '[1]',
    });
  });

  test('has no source when it is text', () => {
    const fields = { channel: 'a', epoch: 'e', offset: 1, data: 't', contentType: 'text/plain' };
    expect(toMessage(fields, '"t"')).not.toHaveProperty('source');
  });

  test.each([[undefined], [null], ['trimmed'], [{}], [{ reason: 1 }], [[]]])(
    'is no gap: %j',
    (value) => expect(toGap(value)).toBeUndefined(),
  );

  test.each([[undefined], [''], ['e'], ['~mark'], [5]])('is no opening: %j', (position) => {
    expect(toOpening('a', { position, recovered: true })).toBeUndefined();
  });

  test.each(['', '[]', '1', 'null', '{'])('is no object: %j', (text) => {
    expect(parseObject(text)).toBeUndefined();
  });
});
