import type { RequestHead } from '@trunkline/server/internal/http/request.ts';
import {
  acceptKey,
  parseSubprotocols,
  readHandshake,
} from '@trunkline/server/internal/transports/websocket/handshake.ts';
import { describe, expect, test } from 'vitest';

const HEADERS = {
  host: 'server.example.com',
  upgrade: 'websocket',
  connection: 'Upgrade',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
};

function head(
  headers: Record<string, string | undefined> = {},
  rest: Partial<RequestHead> = {},
): RequestHead {
  return {
    method: 'GET',
    path: '/v1/ws',
    search: '',
    headers: { ...HEADERS, ...headers },
    remoteAddress: '127.0.0.1',
    secure: false,
    version: '1.1',
    ...rest,
  };
}

describe('readHandshake', () => {
  // RFC 6455 §1.3.
  test('answers the key of the RFC with its accept value', () => {
    expect(readHandshake(head())).toEqual({
      kind: 'valid',
      accept: 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      subprotocols: [],
    });
    expect(acceptKey('dGhlIHNhbXBsZSBub25jZQ==')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });

  test.each([
    { upgrade: 'WebSocket' },
    { upgrade: 'h2c, websocket' },
    { connection: 'keep-alive, Upgrade' },
    { connection: 'UPGRADE' },
    { connection: 'keep-alive,,upgrade ,' },
  ])('accepts %o', (headers) => {
    expect(readHandshake(head(headers)).kind).toBe('valid');
  });

  test('keeps the subprotocols in the order of preference', () => {
    const handshake = readHandshake(head({ 'sec-websocket-protocol': 'mqtt, trunkline.v1.json' }));
    expect(handshake).toMatchObject({ subprotocols: ['mqtt', 'trunkline.v1.json'] });
  });

  test.each([
    { headers: { upgrade: undefined }, status: 426 },
    { headers: { upgrade: 'h2c' }, status: 426 },
    { headers: { connection: undefined }, status: 426 },
    { headers: { connection: 'keep-alive' }, status: 426 },
    { headers: { connection: 'upgrades' }, status: 426 },
    { headers: { 'sec-websocket-version': undefined }, status: 426 },
    { headers: { 'sec-websocket-version': '8' }, status: 426 },
    { headers: { 'sec-websocket-version': '13, 8' }, status: 426 },
    { headers: { 'sec-websocket-key': undefined }, status: 400 },
    { headers: { 'sec-websocket-key': '' }, status: 400 },
    { headers: { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ' }, status: 400 },
    { headers: { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZXh4' }, status: 400 },
    { headers: { 'sec-websocket-key': 'dGhl=HNhbXBsZSBub25jZQ==' }, status: 400 },
    { headers: { 'sec-websocket-key': `${HEADERS['sec-websocket-key']}, x` }, status: 400 },
    { headers: { 'sec-websocket-protocol': '' }, status: 400 },
    { headers: { 'sec-websocket-protocol': 'a b' }, status: 400 },
    { headers: { 'sec-websocket-protocol': 'a, a' }, status: 400 },
  ])('refuses $headers with $status', ({ headers, status }) => {
    expect(readHandshake(head(headers))).toMatchObject({ kind: 'invalid', status });
  });

  // RFC 6455 §4.4.
  test('tells the version it speaks to those who speak another', () => {
    expect(readHandshake(head({ 'sec-websocket-version': '25' }))).toMatchObject({
      status: 426,
      headers: { 'sec-websocket-version': '13' },
    });
  });

  test('refuses other methods and HTTP/1.0', () => {
    expect(readHandshake(head({}, { method: 'POST' }))).toMatchObject({ status: 405 });
    expect(readHandshake(head({}, { version: '1.0' }))).toMatchObject({ status: 400 });
  });
});

describe('parseSubprotocols', () => {
  test('reads no header as an empty list', () => {
    expect(parseSubprotocols(undefined)).toEqual([]);
  });

  test.each(['', ',', 'a,a', 'a b', 'ä', 'a;b', Array(33).fill('x').join(','), '"a"'])(
    'refuses %j',
    (value) => {
      expect(parseSubprotocols(value)).toBeUndefined();
    },
  );

  test('refuses more names than anyone needs', () => {
    const names = Array.from({ length: 33 }, (_, index) => `p${index}`);
    expect(parseSubprotocols(names.join(','))).toBeUndefined();
    expect(parseSubprotocols(names.slice(1).join(','))).toHaveLength(32);
  });
});

describe('an extended CONNECT', () => {
  const CONNECT: RequestHead = {
    method: 'CONNECT',
    path: '/v1/ws',
    search: '',
    headers: { host: 'a.example', 'sec-websocket-version': '13' },
    remoteAddress: '192.0.2.7',
    secure: true,
    version: '2',
  };
  const withHeaders = (headers: RequestHead['headers']): RequestHead => ({
    ...CONNECT,
    headers: { ...CONNECT.headers, ...headers },
  });

  test('[H2-4] needs no key, and gets no proof', () => {
    expect(readHandshake(CONNECT)).toEqual({ kind: 'valid', subprotocols: [] });
    const offering = withHeaders({ 'sec-websocket-protocol': 'a, b' });
    expect(readHandshake(offering)).toEqual({ kind: 'valid', subprotocols: ['a', 'b'] });
    expect(readHandshake({ ...CONNECT, version: '3' }).kind).toBe('valid');
    // RFC 6455 §1.3; a key that is none is nothing to prove.
    const keyed = withHeaders({ 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' });
    expect(readHandshake(keyed)).toMatchObject({ accept: 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' });
    expect(readHandshake(withHeaders({ 'sec-websocket-key': 'x' }))).not.toHaveProperty('accept');
  });

  test.each([
    ['another version', { 'sec-websocket-version': '8' }],
    ['no version', { 'sec-websocket-version': undefined }],
    ['subprotocols that are none', { 'sec-websocket-protocol': 'a,a' }],
  ])('is refused with %s, and without fields of a connection', (_what, headers) => {
    const handshake = readHandshake(withHeaders(headers));
    expect(handshake).toMatchObject({ kind: 'invalid', status: 400 });
    if (handshake.kind === 'invalid') expect(handshake.headers).not.toHaveProperty('upgrade');
  });
});
