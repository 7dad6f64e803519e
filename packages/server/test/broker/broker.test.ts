import { describe, expect, test } from 'vitest';
import { BrokerError } from '@trunkline/server/internal/broker/broker.ts';

describe('BrokerError', () => {
  test('says that nothing was stored unless it is told otherwise', () => {
    expect(new BrokerError('unavailable', 'full')).toMatchObject({
      name: 'BrokerError',
      kind: 'unavailable',
      message: 'full',
      stored: false,
    });
  });

  test('keeps its cause and its doubt', () => {
    const cause = new Error('the disk');
    const error = new BrokerError('unavailable', 'lost', { stored: 'unknown', cause });
    expect(error).toMatchObject({ stored: 'unknown', cause });
  });

  test('has no cause when there is none', () => {
    expect('cause' in new BrokerError('closed', 'closed')).toBe(false);
  });
});
