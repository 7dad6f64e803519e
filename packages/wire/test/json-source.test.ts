import { describe, expect, test } from 'vitest';
import { elementSources, memberSource } from '../src/json-source.ts';

describe('memberSource', () => {
  test.each([
    { json: '{}', name: 'a', source: undefined },
    { json: '{"a":1}', name: 'a', source: '1' },
    { json: '{"a":1}', name: 'b', source: undefined },
    { json: ' { "a" : 1 , "b" : 2 } ', name: 'a', source: '1' },
    { json: ' { "a" : 1 , "b" : 2 } ', name: 'b', source: '2' },
    { json: '{"b":{"a":1},"a":2}', name: 'a', source: '2' },
    { json: '{"b":[{"a":1}]}', name: 'a', source: undefined },
    { json: '{"b":"\\"a\\":1","a":"}"}', name: 'a', source: '"}"' },
    { json: '{"a":"\\\\","b":1}', name: 'b', source: '1' },
    { json: '{"a":1,"a":[2]}', name: 'a', source: '[2]' },
    { json: '{"\\u0061":1}', name: 'a', source: '1' },
    { json: '{"a\\"":1}', name: 'a', source: undefined },
    { json: '{"":1}', name: '', source: '1' },
    { json: '{"__proto__":1}', name: '__proto__', source: '1' },
    { json: '{"a":[ ]}', name: 'a', source: '[ ]' },
    { json: '{"a":-1.5e+3\n}', name: 'a', source: '-1.5e+3' },
  ])('$name of $json', ({ json, name, source }) => {
    expect(memberSource(json, name)).toBe(source);
  });
});

describe('elementSources', () => {
  test.each([
    { json: '[]', sources: [] },
    { json: ' [ ] ', sources: [] },
    { json: '[1,2]', sources: ['1', '2'] },
    {
      json: ' [ 1 , "," , [ 2 , 3 ] , {"a":[]} ] ',
      sources: ['1', '","', '[ 2 , 3 ]', '{"a":[]}'],
    },
    { json: '["]","\\"]"]', sources: ['"]"', '"\\"]"'] },
  ])('of $json', ({ json, sources }) => {
    expect(elementSources(json)).toEqual(sources);
  });
});
