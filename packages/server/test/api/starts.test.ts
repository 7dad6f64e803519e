import { Query } from '@trunkline/server/internal/api/query.ts';
import { startsOf } from '@trunkline/server/internal/api/starts.ts';
import { describe, expect, test } from 'vitest';
import { headOf } from './requests.ts';

const startOf = (search: string, lastEventId?: string) => {
  const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
  const query = new Query(search);
  return Object.fromEntries(startsOf(query, headOf({ headers }), query.channels()));
};
const at = (offset: number) => ({ after: { kind: 'position', position: { epoch: 'e', offset } } });

describe('startsOf', () => {
  test('begins now where nothing is said', () => {
    expect(startOf('channel=a&channel=b')).toEqual({ a: {}, b: {} });
  });

  test('lets Last-Event-ID win over after, and after over last', () => {
    expect(startOf('channel=a&after=e:1&last=5', 'e:2')).toEqual({ a: at(2) });
    expect(startOf('channel=a&after=e:1&last=5')).toEqual({ a: at(1) });
    expect(startOf('channel=a&after=e:1', '')).toEqual({ a: at(1) });
    expect(startOf('channel=a&last=5', '')).toEqual({ a: { last: 5 } });
    expect(startOf('channel=a&last=5', 'e:2')).toEqual({ a: at(2) });
  });

  test('lets a channel that the list does not name begin by last', () => {
    const after = encodeURIComponent('a=e:1');
    expect(startOf(`channel=a&channel=b&after=${after}&last=2`)).toEqual({
      a: at(1),
      b: { last: 2 },
    });
  });

  test('asks for what is left of a trimmed range', () => {
    expect(startOf('channel=a&after=e:1&partial=1')).toEqual({ a: { ...at(1), partial: true } });
    expect(startOf('channel=a&partial=0')).toEqual({ a: {} });
  });
});
