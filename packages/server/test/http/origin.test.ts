import { describe, expect, test } from 'vitest';
import {
  createOriginRules,
  isForwarded,
  isLocalHost,
} from '@trunkline/server/internal/http/origin.ts';
import type { RequestHead } from '@trunkline/server/internal/http/request.ts';

function head(origin: string | undefined, host = 'server.example', secure = false): RequestHead {
  return {
    method: 'GET',
    path: '/',
    search: '',
    headers: { host, origin },
    remoteAddress: '127.0.0.1',
    secure,
    version: '1.1',
  };
}

function rules(...allowed: string[]) {
  return createOriginRules({ allowed, development: false });
}

describe('an origin', () => {
  test.each([
    ['https://app.example.com', 'https://app.example.com', true],
    ['https://app.example.com', 'https://APP.example.com', true],
    ['https://app.example.com', 'https://app.example.com:443', true],
    ['https://app.example.com:443', 'https://app.example.com', true],
    ['https://app.example.com', 'https://app.example.com:8443', false],
    ['https://app.example.com', 'http://app.example.com', false],
    ['https://app.example.com', 'https://example.com', false],
    ['https://app.example.com', 'https://app.example.com.evil.example', false],
    ['https://app.example.com', 'https://xapp.example.com', false],
    ['https://app.example.com', 'https://app.example.com/', false],
    ['https://app.example.com', 'https://app.example.com, https://evil.example', false],
    ['https://*.example.com', 'https://a.example.com', true],
    ['https://*.example.com', 'https://example.com', false],
    ['https://*.example.com', 'https://.example.com', false],
    ['https://*.example.com', 'https://a.b.example.com', false],
    ['https://*.example.com', 'https://aexample.com', false],
    ['https://*.example.com', 'https://evil.example/.example.com', false],
    ['https://*.example.com', 'https://*.example.com', false],
    ['https://*.example.com:*', 'https://a.example.com:9', true],
    ['http://localhost:*', 'http://localhost:3000', true],
    ['http://localhost:*', 'http://localhost', true],
    ['http://localhost:*', 'http://localhost.evil.example:3000', false],
    ['http://[::1]:8080', 'http://[::1]:8080', true],
    ['app://main', 'app://main', true],
    ['https://app.example.com', 'null', false],
    ['https://app.example.com', '', false],
  ])('allowed as %s: %s %s', (pattern, origin, allowed) => {
    expect(rules(pattern).isForeign(head(origin))).toBe(!allowed);
    expect(rules(pattern).isTrusted(head(origin))).toBe(allowed);
  });

  test.each([
    ['http://server.example', 'server.example', false, true],
    ['https://server.example', 'server.example', false, true],
    ['https://server.example', 'server.example', true, true],
    ['http://server.example', 'server.example', true, false],
    ['http://server.example:8080', 'Server.Example:8080', false, true],
    ['http://server.example', 'server.example:8080', false, false],
    ['http://server.example:8080', 'server.example', false, false],
    ['http://server.example', 'server.example:80', false, true],
    ['http://[::1]:8080', '[::1]:8080', false, true],
    ['ftp://server.example', 'server.example', false, false],
    ['http://evil.example', 'server.example', false, false],
    ['null', 'null', false, false],
  ])('%s with Host %s (TLS %s) is our own: %s', (origin, host, secure, own) => {
    expect(rules().isForeign(head(origin, host, secure))).toBe(!own);
  });

  test('absent is neither foreign nor trusted', () => {
    expect(rules().isForeign(head(undefined))).toBe(false);
    expect(rules().isTrusted(head(undefined))).toBe(false);
  });

  test('let in by * alone is not trusted with cookies', () => {
    for (const origin of ['https://any.example', 'null']) {
      expect(rules('*').isForeign(head(origin))).toBe(false);
      expect(rules('*').isTrusted(head(origin))).toBe(false);
    }
    expect(rules('*', 'https://a.example').isTrusted(head('https://a.example'))).toBe(true);
  });

  test.each([
    ['http://localhost:5173', true],
    ['https://localhost', true],
    ['http://app.localhost:1', true],
    ['http://127.0.0.1:1', true],
    ['http://127.1.2.3', true],
    ['http://[::1]:1', true],
    ['http://localhost.evil.example', false],
    ['http://127.0.0.1.evil.example', false],
    ['http://192.168.0.1', false],
    ['null', false],
  ])('in development %s is allowed: %s', (origin, allowed) => {
    const development = createOriginRules({ allowed: [], development: true });
    expect(development.isForeign(head(origin))).toBe(!allowed);
    expect(rules().isForeign(head(origin))).toBe(true);
  });

  test.each([
    'example.com',
    'https://',
    'https://a/',
    'https://a.*',
    'https://a*.b',
    'https://*',
    'https://*.',
    'https://*.*.a',
    'https://a:b',
    '',
  ])('%j is no pattern', (pattern) => {
    expect(() => rules(pattern)).toThrow('an allowed origin must be like');
  });
});

describe('CORS headers', () => {
  test('name an allowed origin and what it may read', () => {
    expect(rules('https://a.example').headersFor(head('https://a.example'))).toEqual({
      'access-control-allow-origin': 'https://a.example',
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'ETag, Retry-After',
      vary: 'Origin',
    });
  });

  test('tell others only that the answer varies', () => {
    expect(rules().headersFor(head('https://a.example'))).toEqual({ vary: 'Origin' });
    expect(rules().headersFor(head(undefined))).toEqual({ vary: 'Origin' });
  });

  test('answer a preflight', () => {
    const answer = rules('https://a.example').preflight(head('https://a.example'), ['GET', 'HEAD']);
    expect(answer.status).toBe(204);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': 'https://a.example',
      'access-control-allow-methods': 'GET, HEAD',
      'access-control-max-age': '7200',
    });
    for (const name of [
      'Authorization',
      'Content-Type',
      'Idempotency-Key',
      'Last-Event-ID',
      'If-None-Match',
    ]) {
      expect(answer.headers?.['access-control-allow-headers']).toContain(name);
    }
  });

  test('refuse the preflight of a foreign origin', () => {
    const answer = rules().preflight(head('https://a.example'), ['GET']);
    expect(answer.status).toBe(403);
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
  });

  test('say the methods to whoever asks without an origin', () => {
    expect(rules().preflight(head(undefined), ['GET', 'OPTIONS'])).toMatchObject({
      status: 204,
      headers: { allow: 'GET, OPTIONS' },
    });
  });
});

describe('isLocalHost', () => {
  test.each([
    'localhost',
    'LOCALHOST:8080',
    'a.localhost',
    '127.0.0.1:80',
    '127.9.9.9',
    '[::1]',
    '[::1]:80',
  ])('%s is local', (host) => expect(isLocalHost(host)).toBe(true));
  test.each([
    undefined,
    '',
    'example.com',
    'localhost.example.com',
    '127.0.0.1.example.com',
    '127.0.0.1:80:80',
    '[::2]',
    'localhost/',
    'user@localhost',
    '0.0.0.0',
    'localhost, evil.example',
  ])('%s is not local', (host) => expect(isLocalHost(host)).toBe(false));
});

test('isForwarded knows what proxies add', () => {
  for (const name of ['forwarded', 'via', 'x-real-ip', 'x-forwarded-for', 'x-forwarded-host']) {
    expect(isForwarded({ host: 'a', [name]: 'x' }), name).toBe(true);
  }
  expect(isForwarded({ host: 'a', 'x-forward': 'x', viable: 'x' })).toBe(false);
});
