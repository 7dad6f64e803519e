import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { JsonSource, toMembers } from '../../src/publishing/outgoing.ts';
import type { PublishOptions } from '../../src/publishing/outgoing.ts';

/** A cycle. */
const round: { self?: unknown } = {};
round.self = round;

describe('the members of a publish', () => {
  test.each<[string, unknown, PublishOptions, string]>([
    ['an object', { x: 1 }, {}, '"channel":"a","data":{"x":1}'],
    ['null', null, {}, '"channel":"a","data":null'],
    ['a string', 'x\ny', {}, '"channel":"a","data":"x\\ny"'],
    [
      'an object that looks like source',
      { source: '1' },
      {},
      '"channel":"a","data":{"source":"1"}',
    ],
    ['JSON as written', new JsonSource('[1.0, 2e400]'), {}, '"channel":"a","data":[1.0, 2e400]'],
    ['JSON on several lines', new JsonSource('[1,\r\n2]\n'), {}, '"channel":"a","data":[1,  2] '],
    ['bytes', new Uint8Array([0, 1]), {}, '"channel":"a","bytes":"AAE="'],
    ['a part of bytes', new Uint8Array([9, 0, 1]).subarray(1), {}, '"channel":"a","bytes":"AAE="'],
    ['another view', new DataView(new ArrayBuffer(2)), {}, '"channel":"a","bytes":"AAA="'],
    ['a buffer', new ArrayBuffer(2), {}, '"channel":"a","bytes":"AAA="'],
    ['an object with nothing in it', Object.create(null), {}, '"channel":"a","data":{}'],
    ['a date', new Date(0), {}, '"channel":"a","data":"1970-01-01T00:00:00.000Z"'],
    [
      'bytes of a type',
      new Uint8Array([0]),
      { contentType: 'image/png' },
      '"channel":"a","contentType":"image/png","bytes":"AA=="',
    ],
    [
      'text',
      'x',
      { contentType: 'text/plain' },
      '"channel":"a","contentType":"text/plain","data":"x"',
    ],
    [
      'JSON by name',
      [1],
      { contentType: 'Application/JSON; charset=utf-8' },
      '"channel":"a","contentType":"Application/JSON; charset=utf-8","data":[1]',
    ],
    [
      'everything but the key',
      1,
      { event: 'said', key: 'k', retain: true, slot: 's', ttl: 5 },
      '"channel":"a","event":"said","retain":true,"slot":"s","ttl":5,"data":1',
    ],
  ])('hold %s [PUB-1]', (_, data, options, members) => {
    expect(toMembers('a', data, options)).toBe(members);
  });

  test('escape the name of the channel', () => {
    expect(toMembers('a"\n', 1)).toBe('"channel":"a\\"\\n","data":1');
  });

  test.each<[string, unknown, PublishOptions, string]>([
    ['undefined', undefined, {}, 'publish JSON or bytes, not a value of type undefined'],
    ['a function', () => 1, {}, 'publish JSON or bytes, not a value of type function'],
    ['a symbol', Symbol('s'), {}, 'publish JSON or bytes, not a value of type symbol'],
    ['what was not waited for', Promise.resolve(1), {}, 'not a value of type Promise'],
    ['a file that was not read', new Blob(['x']), {}, 'not a value of type Blob'],
    ['a map', new Map([[1, 2]]), {}, 'not a value of type Map'],
    ['a BigInt', { n: 1n }, {}, 'BigInt'],
    ['a cycle', round, {}, 'circular'],
    ['what becomes nothing', { toJSON: () => undefined }, {}, 'of type object'],
    ['source that is no JSON', new JsonSource('1},"channel":"b"'), {}, 'JSON'],
    ['source of two texts', new JsonSource('1 2'), {}, 'JSON'],
    [
      'an object as text',
      { x: 1 },
      { contentType: 'text/plain' },
      'publish a string as text/plain or bytes, not a value of type object',
    ],
    ['source as text', new JsonSource('"x"'), { contentType: 'text/plain' }, 'a string as'],
  ])('are refused for %s, which is certainly not stored', (_, data, options, message) => {
    expect(() => toMembers('a', data, options)).toThrow(
      expect.objectContaining({
        code: 'bad_request',
        stored: false,
        message: expect.stringContaining(message) as string,
      }),
    );
    expect(() => toMembers('a', data, options)).toThrow(CodedError);
  });
});
