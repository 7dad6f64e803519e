import { describe, expect, test } from 'vitest';
import { toHistoryRequest } from '../../../src/protocols/native/history.ts';

const command = { type: 'history', id: 1, channel: 'news' } as const;

describe('toHistoryRequest', () => {
  test.each([
    { given: {}, countMax: 100 },
    { given: { limit: 7 }, countMax: 7 },
    { given: { limit: 1000 }, countMax: 1000 },
    { given: { last: 500 }, last: 500, countMax: 1000 },
    { given: { last: 500, limit: 3 }, last: 500, countMax: 3 },
  ])('reads $given', ({ given, ...request }) => {
    expect(toHistoryRequest({ ...command, ...given })).toEqual({ ...request, sizeMax: 65_536 });
  });

  // [HIST-1]
  test.each([
    { limit: 0 },
    { limit: 1001 },
    { after: '0:0', before: 'e:9' },
    { after: '0:0', last: 1 },
    { before: 'e:9', last: 1 },
  ])('refuses %o', (given) => {
    expect(() => toHistoryRequest({ ...command, ...given })).toThrow(
      expect.objectContaining({ code: 'bad_request' }),
    );
  });
});
