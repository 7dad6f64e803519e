import { describe, expect, it } from 'vitest';
import { formOf } from '../../../../src/protocols/mqtt/messages/form.ts';
import type { FilterOptions } from '../../../../src/protocols/mqtt/messages/form.ts';

const TERMS = { version: 5, positions: false } as const;

function options(more: Partial<FilterOptions>): FilterOptions {
  return { filter: 'a', qos: 0, noLocal: false, retainAsPublished: false, ...more };
}

describe('formOf', () => {
  it('takes the highest QoS of what matches, and all identifiers in rising order', () => {
    const matching = [options({ qos: 1, id: 12 }), options({ qos: 2 }), options({ id: 3 })];
    expect(formOf(TERMS, matching)).toMatchObject({ qos: 2, ids: [3, 12] });
  });

  it('keeps RETAIN where one of them asks for it', () => {
    const form = formOf(TERMS, [options({}), options({ retainAsPublished: true })]);
    expect(form.retainAsPublished).toBe(true);
  });

  it('grants QoS 0 and nothing else to what no filter matches any more', () => {
    expect(formOf({ version: 4, positions: true }, [])).toEqual({
      ...{ version: 4, qos: 0, retainAsPublished: false, ids: [], positions: true },
    });
  });
});
