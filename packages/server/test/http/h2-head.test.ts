import { describe, expect, test } from 'vitest';
import { readHttp2Head } from '@trunkline/server/internal/http/h2-head.ts';
import { fuzzHttp2Head } from '../fuzz/http2.fuzz.ts';

const PEER = { remoteAddress: '192.0.2.7', secure: true };
const LIMITS = { headersMax: 8 };

function read(...fields: readonly (readonly [string, string])[]) {
  return readHttp2Head(fields.flat(), PEER, LIMITS);
}

const GET = [
  [':method', 'GET'],
  [':scheme', 'https'],
] as const;
const AUTHORITY = [':authority', 'a.example'] as const;

describe('readHttp2Head', () => {
  test('reads a request', () => {
    const { head, asksForWebSocket, refusal } = read(
      ...GET,
      AUTHORITY,
      [':path', '/v1/a%20b?x=1?'],
      ['x-a', '1'],
      ['x-a', '2'],
      ['cookie', 'a=1'],
      ['cookie', 'b=2'],
    );
    expect(refusal).toBeUndefined();
    expect(asksForWebSocket).toBe(false);
    expect(head).toMatchObject({
      method: 'GET',
      path: '/v1/a%20b',
      search: 'x=1?',
      remoteAddress: '192.0.2.7',
      secure: true,
      version: '2',
    });
    expect({ ...head.headers }).toEqual({ host: 'a.example', 'x-a': '1, 2', cookie: 'a=1; b=2' });
  });

  test('takes the host from :authority, or from Host where that is all there is', () => {
    expect(read(...GET, AUTHORITY, [':path', '/']).head.headers['host']).toBe('a.example');
    expect(read(...GET, ['host', 'b'], [':path', '/']).head.headers['host']).toBe('b');
    const same = read(...GET, AUTHORITY, ['host', 'A.example'], [':path', '/']);
    expect(same.refusal).toBeUndefined();
  });

  test('[H2-4] knows an extended CONNECT for a WebSocket', () => {
    const connect = [
      [':method', 'CONNECT'],
      [':scheme', 'https'],
    ] as const;
    const { head, asksForWebSocket, refusal } = read(
      ...connect,
      [':protocol', 'websocket'],
      AUTHORITY,
      [':path', '/v1/ws?a=1'],
    );
    expect(refusal).toBeUndefined();
    expect(asksForWebSocket).toBe(true);
    expect(head).toMatchObject({ method: 'CONNECT', path: '/v1/ws', search: 'a=1' });
  });

  test.each([
    ['no host', [...GET, [':path', '/']], 400],
    ['two hosts', [...GET, AUTHORITY, ['host', 'b'], [':path', '/']], 400],
    ['two Host fields', [...GET, ['host', 'b'], ['host', 'b'], [':path', '/']], 400],
    ['a bad host', [...GET, [':authority', 'a/b'], [':path', '/']], 400],
    ['user information', [...GET, [':authority', 'u@a'], [':path', '/']], 400],
    ['a relative path', [...GET, AUTHORITY, [':path', 'a']], 400],
    ['an empty path', [...GET, AUTHORITY, [':path', '']], 400],
    ['a fragment', [...GET, AUTHORITY, [':path', '/#a']], 400],
    ['a path with blanks', [...GET, AUTHORITY, [':path', '/a b']], 400],
    ['* for GET', [...GET, AUTHORITY, [':path', '*']], 400],
    ['CONNECT to elsewhere', [[':method', 'CONNECT'], AUTHORITY], 501],
    [
      'CONNECT for something else',
      [[':method', 'CONNECT'], [':protocol', 'webtransport'], AUTHORITY, [':path', '/']],
      501,
    ],
    [
      'too many fields',
      [...GET, AUTHORITY, [':path', '/'], ...Array.from({ length: 5 }, () => ['x', 'y'] as const)],
      431,
    ],
  ] as const)('refuses %s', (_what, fields, status) => {
    expect(read(...fields).refusal?.status).toBe(status);
  });

  test('has no field that a prototype would bring along', () => {
    const { head } = read(...GET, AUTHORITY, [':path', '/'], ['__proto__', 'x']);
    expect(head.headers['constructor']).toBeUndefined();
    expect(head.headers['__proto__']).toBe('x');
  });

  test('reads OPTIONS *', () => {
    const { head, refusal } = read([':method', 'OPTIONS'], AUTHORITY, [':path', '*']);
    expect(refusal).toBeUndefined();
    expect(head.path).toBe('*');
  });
});

test('random fields are a request of which every part is good, or refused', () => {
  fuzzHttp2Head(1, 2000);
});
