import { describe, expect, test } from 'vitest';
import { asCoded, asFields, channelOrPattern, optional, parseJson, show } from '../src/fields.ts';

describe('fields', () => {
  test('an error that is no answer for a peer goes on', () => {
    expect(() => asCoded(new TypeError('a fault of ours'))).toThrow(TypeError);
  });

  test.each([null, [], 'a', 1, true])('%j is no object', (value) => {
    expect(() => asFields(value)).toThrow('expected a JSON object');
  });

  test('a message about bad JSON is short', () => {
    expect(() => parseJson(`{"a":${'x'.repeat(10_000)}`)).toThrow(/^not valid JSON: .{1,120}$/s);
  });

  test('a wildcard makes a channel a pattern', () => {
    expect(channelOrPattern('a/#')).toBe('a/#');
    expect(() => channelOrPattern('a#')).toThrow('# must be the whole last segment');
  });

  test('a member without value is no member', () => {
    expect(optional('a', undefined)).toEqual({});
    expect(optional('a', 0)).toEqual({ a: 0 });
  });

  test.each([
    [undefined, 'nothing'],
    [null, 'null'],
    [-1.5, '-1.5'],
    ['a"b', '"a\\"b"'],
    [['x'], 'an array'],
    [{ x: 1 }, 'an object'],
  ])('shows %j as %s', (value, shown) => {
    expect(show(value)).toBe(shown);
  });
});
