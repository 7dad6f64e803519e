import { describe, expect, test } from 'vitest';
import {
  asksForWebSocket,
  createFields,
  type Head,
  parseHead,
} from '@trunkline/server/internal/http/head.ts';
import { fuzzHttpHead } from '../fuzz/http-head.fuzz.ts';
import { readByNode } from './node-parser.ts';

const LIMITS = { headSizeMax: 1024, headersMax: 8 };

const UPGRADE =
  'GET /v1/ws?access_token=t HTTP/1.1\r\nHost: a.example:8080\r\nUpgrade: WebSocket\r\n' +
  'Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

/** Heads that are ours, with what they say. */
const GOOD: readonly { readonly head: string; readonly says: Omit<Head, 'size'> }[] = [
  {
    head: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    says: { path: '/', search: '', headers: { host: 'a' } },
  },
  {
    head: UPGRADE,
    says: {
      path: '/v1/ws',
      search: 'access_token=t',
      headers: {
        host: 'a.example:8080',
        upgrade: 'WebSocket',
        connection: 'keep-alive, Upgrade',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
    },
  },
  {
    head: 'GET /a%20b??x HTTP/1.1\r\nHOST:[::1]:80\r\nCookie: a=1\r\nX:\t v \t\r\nCookie: b=2\r\nx: \r\n\r\n',
    says: {
      path: '/a%20b',
      search: '?x',
      headers: { host: '[::1]:80', cookie: 'a=1; b=2', x: 'v, ' },
    },
  },
  {
    head: 'GET //h/x HTTP/1.1\r\nHost: a\r\n__proto__: x\r\nName: caf\xe9\xa0\r\n\r\n',
    says: {
      path: '//h/x',
      search: '',
      headers: fields([
        ['host', 'a'],
        ['__proto__', 'x'],
        ['name', 'caf\xe9\xa0'],
      ]),
    },
  },
];

/** Heads that node:http is to decide about, with why. */
const FOREIGN: readonly (readonly [why: string, head: string])[] = [
  ['another method', 'POST / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a longer method', 'GETS / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a method in lower case', 'get / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an empty line first', '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\n\r\n'],
  ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n'],
  ['HTTP/0.9', 'GET /\r\n\r\n'],
  ['HTTP in lower case', 'GET / http/1.1\r\nHost: a\r\n\r\n'],
  ['two spaces', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a tab for a space', 'GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a space at the end of the line', 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n'],
  ['absolute-form', 'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['asterisk-form', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a fragment', 'GET /#x HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a byte over 0x7f in the target', 'GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
  ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n'],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n'],
  ['a Host with a user', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n'],
  ['a Host with a list', 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n'],
  ['a Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'],
  ['Content-Length', 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'],
  ['Transfer-Encoding', 'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['Expect', 'GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n'],
  ['obs-fold', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n'],
  ['obs-fold by a tab', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n'],
  ['a blank before the first field', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n'],
  ['a blank before the colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
  ['no colon', 'GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n'],
  ['no name', 'GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n'],
  ['a name that is no token', 'GET / HTTP/1.1\r\nHost: a\r\nX(: x\r\n\r\n'],
  ['a name over 0x7f', 'GET / HTTP/1.1\r\nHost: a\r\nX\xe9: x\r\n\r\n'],
  ['NUL in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n'],
  ['DEL in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n'],
  ['CR in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n'],
  ['LF in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\nContent-Length: 3\r\n\r\n'],
  ['LF for line ends', 'GET / HTTP/1.1\nHost: a\n\n'],
  ['a CR before the empty line', 'GET / HTTP/1.1\r\nHost: a\r\r\n\r\n'],
  ['CR CR LF', 'GET / HTTP/1.1\r\r\nHost: a\r\n\r\n'],
  ['too many fields', `GET / HTTP/1.1\r\nHost: a\r\n${'X: x\r\n'.repeat(8)}\r\n`],
  ['too large', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(1024)}\r\n\r\n`],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
];

describe('parseHead', () => {
  test.each(GOOD)('reads $head', ({ head, says }) => {
    const parsed = parse(head);
    expect(parsed).toEqual({
      ...says,
      headers: fields(Object.entries(says.headers)),
      size: head.length,
    });
  });

  test.each(GOOD)('asks for more until the last byte of $head', ({ head }) => {
    for (let size = 0; size < head.length; size += 1) {
      expect(parse(head.slice(0, size)), `after ${size} bytes`).toBe('partial');
    }
  });

  test.each(GOOD)('leaves what follows %j alone', ({ head }) => {
    const after = 'GET / HTTP/1.1\nnot a head\r\n\r\n';
    expect(parse(head + after)).toEqual(parse(head));
  });

  test.each(FOREIGN)('leaves %s to node:http', (_why, head) => {
    expect(parse(head)).toBe('foreign');
  });

  test.each(FOREIGN)('does not change its mind about %s', (_why, head) => {
    let decided = false;
    for (let size = 0; size <= head.length; size += 1) {
      const parsed = parse(head.slice(0, size));
      expect(parsed).toBe(decided || parsed === 'foreign' ? 'foreign' : 'partial');
      decided ||= parsed === 'foreign';
    }
  });

  test('accepts as many fields and bytes as the limits say', () => {
    const start = 'GET / HTTP/1.1\r\nHost: a\r\n';
    expect(parse(`${start}${'X: x\r\n'.repeat(7)}\r\n`)).toMatchObject({ path: '/' });
    const room = 1024 - start.length - 'X: \r\n\r\n'.length;
    expect(parse(`${start}X: ${'x'.repeat(room)}\r\n\r\n`)).toMatchObject({ size: 1024 });
    expect(parse(`${start}X: ${'x'.repeat(room + 1)}\r\n\r\n`)).toBe('foreign');
  });

  test('does not wait for more than the limit', () => {
    expect(parse(`GET /${'x'.repeat(1018)}`)).toBe('partial');
    expect(parse(`GET /${'x'.repeat(1019)}`)).toBe('foreign');
  });

  test.each(GOOD)('agrees with node:http about $head', ({ head }) => {
    expect(readByNode(Buffer.from(head, 'latin1'))).toMatchObject({ method: 'GET' });
  });

  test('accepts no broken head that node:http would refuse or read otherwise', () => {
    fuzzHttpHead(1, 2_000);
  });
});

describe('asksForWebSocket', () => {
  test.each([
    ['websocket', 'upgrade', true],
    ['WebSocket', 'keep-alive, Upgrade', true],
    ['h2c, websocket', 'Upgrade , HTTP2-Settings', true],
    ['websocket', 'keep-alive', false],
    ['websocket', undefined, false],
    ['h2c', 'upgrade', false],
    [undefined, 'upgrade', false],
    ['websockets', 'upgrade', false],
    ['websocket', 'upgrades', false],
  ])('Upgrade %s with Connection %s: %s', (upgrade, connection, expected) => {
    expect(asksForWebSocket({ upgrade, connection })).toBe(expected);
  });
});

function parse(text: string): Head | 'partial' | 'foreign' {
  return parseHead(Buffer.from(text, 'latin1'), LIMITS);
}

function fields(pairs: readonly (readonly [string, string | undefined])[]): Head['headers'] {
  const headers = createFields();
  for (const [name, value] of pairs) headers[name] = value;
  return headers;
}
