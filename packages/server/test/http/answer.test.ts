import { describe, expect, test } from 'vitest';
import { closingAnswer, streamHead } from '@trunkline/server/internal/http/answer.ts';

const DATE = 'Fri, 20 Nov 2026 09:05:07 GMT';

describe('closingAnswer', () => {
  test('has a length in bytes and says that it is the last', () => {
    const answer = { status: 400, headers: { 'x-a': 'b', 'content-length': '9' }, body: 'é' };
    expect(closingAnswer(answer, DATE).toString()).toBe(
      `HTTP/1.1 400 Bad Request\r\ndate: ${DATE}\r\nx-a: b\r\ncontent-length: 2\r\n` +
        'connection: close\r\n\r\né',
    );
  });

  test('has no body where none may be', () => {
    expect(closingAnswer({ status: 204, body: 'x' }, DATE).toString()).toBe(
      `HTTP/1.1 204 No Content\r\ndate: ${DATE}\r\nconnection: close\r\n\r\n`,
    );
  });

  test('names the protocol to change to', () => {
    const answer = { status: 426, headers: { upgrade: 'websocket' } };
    expect(closingAnswer(answer, DATE).toString()).toContain(
      'upgrade: websocket\r\ncontent-length: 0\r\nconnection: close, Upgrade\r\n\r\n',
    );
  });
});

describe('streamHead', () => {
  test('of 101 names the protocol once', () => {
    const headers = { upgrade: 'websocket', connection: 'Upgrade', 'x-a': 'b' };
    expect(streamHead(101, headers, '1.1', DATE)).toBe(
      `HTTP/1.1 101 Switching Protocols\r\ndate: ${DATE}\r\nx-a: b\r\n` +
        'connection: Upgrade\r\nupgrade: websocket\r\n\r\n',
    );
  });

  test.each([
    ['1.1', 'transfer-encoding: chunked\r\nconnection: close\r\n\r\n'],
    ['1.0', `${DATE}\r\nconnection: close\r\n\r\n`],
  ] as const)('of 200 on HTTP/%s is framed as that version can', (version, end) => {
    expect(streamHead(200, {}, version, DATE).endsWith(end)).toBe(true);
  });

  test.each([
    ['x-a', 'a\r\nb: c'],
    ['x-a', 'a\nb'],
    ['x-a', 'a\0'],
    ['x-a', '✓'],
    ['x a', 'b'],
    ['', 'b'],
    ['x-a\r\nx-b', 'c'],
  ])('refuses the header %j: %j', (name, value) => {
    expect(() => streamHead(200, { [name]: value }, '1.1', DATE)).toThrow(TypeError);
  });
});
