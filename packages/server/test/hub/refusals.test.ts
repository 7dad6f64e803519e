import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import { refusal, unavailable } from '../../src/hub/refusals.ts';

describe('a refusal', () => {
  test('is what a client was to be told anyway', () => {
    const error = new CodedError('forbidden', 'no');
    expect(refusal(error)).toBe(error);
  });

  test('says what a broker that is away has stored, and when to come back [PUB-4]', () => {
    const away = new BrokerError('unavailable', 'the disk is full', { stored: 'unknown' });
    expect(refusal(away)).toMatchObject({
      code: 'unavailable',
      stored: 'unknown',
      retryAfter: 1000,
    });
    expect(refusal(new BrokerError('closed', 'closing'))).toMatchObject({ stored: false });
  });

  test('of a key that was used for something else is a conflict [PUB-3]', () => {
    const conflict = new BrokerError('conflict', 'the key was used');
    expect(refusal(conflict)).toMatchObject({ code: 'conflict', stored: false });
  });

  test('tells nothing of what broke inside', () => {
    const error = refusal(new Error('secret detail'));
    expect([error.code, error.message]).toEqual(['internal', 'internal error']);
  });

  test('of the moment can be tried again soon', () => {
    expect(unavailable('not now')).toMatchObject({ code: 'unavailable', retryAfter: 1000 });
  });
});
