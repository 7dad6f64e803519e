import { findCredential } from '@trunkline/server/internal/auth/credentials.ts';
import { describe, expect, test } from 'vitest';
import { headOf } from '../api/requests.ts';

const bearer = (authorization: string): ReturnType<typeof findCredential> =>
  findCredential(headOf({ headers: { authorization } }));
const cookie = (text: string): ReturnType<typeof findCredential> =>
  findCredential(headOf({ headers: { cookie: text } }));

describe('findCredential', () => {
  test('finds nothing where there is nothing', () => {
    expect(findCredential(headOf())).toBeUndefined();
    expect(findCredential(headOf({ url: '/v1/poll?channel=access_token' }))).toBeUndefined();
    expect(findCredential(headOf({ url: '/v1/poll?my_access_token=x' }))).toBeUndefined();
    expect(cookie('other=x; trunkline_tokens=y; nothing; trunkline_token=')).toBeUndefined();
  });

  test('reads the bearer, its scheme in any case', () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      expect(bearer(`${scheme} a.b.c`)).toEqual({ place: 'header', token: 'a.b.c' });
    }
    expect(bearer('  Bearer   a.b.c  ')).toEqual({ place: 'header', token: 'a.b.c' });
  });

  test('leaves other schemes to whoever they are for', () => {
    for (const other of ['Basic YTpi', 'Bearerx y', 'Digest username="x"', '']) {
      expect(bearer(other)).toBeUndefined();
    }
  });

  test('reads the query', () => {
    const url = '/v1/ws?x=1&access_token=a.b%2Dc';
    expect(findCredential(headOf({ url }))).toEqual({ place: 'query', token: 'a.b-c' });
  });

  test('reads the first cookie of the name, with or without quotes', () => {
    expect(cookie('a=b; trunkline_token=x.y.z; c=d')).toEqual({ place: 'cookie', token: 'x.y.z' });
    expect(cookie('trunkline_token="x=y"')).toEqual({ place: 'cookie', token: 'x=y' });
    expect(cookie('trunkline_token=one; trunkline_token=two')?.token).toBe('one');
  });

  test('takes the header before the query, and both before the cookie', () => {
    const headers = { authorization: 'Bearer h', cookie: 'trunkline_token=c' };
    const url = '/?access_token=q';
    expect(findCredential(headOf({ url, headers }))?.place).toBe('header');
    expect(findCredential(headOf({ url, headers: { cookie: headers.cookie } }))?.place).toBe(
      'query',
    );
    // A proxy's own scheme hides nothing.
    const proxied = { ...headers, authorization: 'Basic YTpi' };
    expect(findCredential(headOf({ headers: proxied }))?.place).toBe('cookie');
  });

  test('refuses a place that is used and empty, or used twice', () => {
    const unauthenticated = expect.objectContaining({ code: 'unauthenticated' });
    expect(() => bearer('Bearer')).toThrow(unauthenticated);
    expect(() => bearer('Bearer ')).toThrow(unauthenticated);
    expect(() => findCredential(headOf({ url: '/?access_token=' }))).toThrow(unauthenticated);
    const twice = headOf({ url: '/?access_token=a&access_token=b' });
    expect(() => findCredential(twice)).toThrow(unauthenticated);
  });
});
