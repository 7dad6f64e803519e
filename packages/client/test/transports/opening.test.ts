import { describe, expect, test } from 'vitest';
import { openingOf } from '../../src/transports/opening.ts';

describe('an opening', () => {
  test('of a channel has a position, of a pattern a mark where there is one', () => {
    const fields = { recovered: { a: true } };
    expect(openingOf('a', fields, 'e:1', '~1')).toEqual({
      ...{ kind: 'open', channel: 'a', position: 'e:1', recovered: true },
    });
    expect(openingOf('#', {}, 'e:1', '~2')).toEqual({ kind: 'open', channel: '#', mark: '~2' });
    for (const mark of ['start', undefined, 7]) {
      expect(openingOf('#', {}, 'e:1', mark)).toEqual({ kind: 'open', channel: '#' });
    }
    expect(() => openingOf('a', {}, undefined, '~1')).toThrow(/position/);
  });
});
