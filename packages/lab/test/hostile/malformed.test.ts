/** Input that nobody should send: every answer is an error of the registry, or an end. */
import { seededRandom } from '@trunkline/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { UncaughtErrors } from '../../src/faults.ts';
import { expectHealthy } from './expectations.ts';
import { post } from '../../src/http.ts';
import { RawSocket } from '../../src/raw-socket.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { maskedFrame, OPCODE, WebSocketPeer } from '../../src/web-socket.ts';

let server: LabServer;
let errors: UncaughtErrors;

beforeAll(async () => {
  server = await startServer();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

beforeEach(() => {
  errors = new UncaughtErrors();
});

afterEach(async () => {
  await expectHealthy(server, errors);
  errors[Symbol.dispose]();
});

const HOST = 'Host: localhost\r\n';

describe('HTTP', () => {
  test.each([
    ['no HTTP', 'hello\r\n\r\n'],
    ['bytes of TLS', Buffer.from('16030100c8010000c403034f8e1a7b', 'hex')],
    ['half the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nXM\r\n\r\n'],
    ['zeros', Buffer.alloc(4096)],
    ['no Host', 'GET /healthz HTTP/1.1\r\n\r\n'],
    ['two Hosts', `GET /healthz HTTP/1.1\r\n${HOST}Host: evil\r\n\r\n`],
    [
      'two lengths',
      `POST /v1/publish HTTP/1.1\r\n${HOST}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
    ],
    [
      'a length and chunks',
      `POST /v1/publish HTTP/1.1\r\n${HOST}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['a length below zero', `POST /v1/publish HTTP/1.1\r\n${HOST}Content-Length: -1\r\n\r\n`],
    [
      'a chunk of no size',
      `POST /v1/publish HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
    ],
    [
      'a chunk of every size',
      `POST /v1/publish HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n`,
    ],
    ['an unknown coding', `POST /v1/publish HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip\r\n\r\n`],
    ['a line that goes on', `GET /healthz HTTP/1.1\r\n${HOST}A: b\r\n c\r\n\r\n`],
    ['a blank before the colon', `GET /healthz HTTP/1.1\r\n${HOST}A : b\r\n\r\n`],
    ['a bare line feed', 'GET /healthz HTTP/1.1\nHost: localhost\n\n'],
    ['a NUL in a field', `GET /healthz HTTP/1.1\r\n${HOST}A: \0\r\n\r\n`],
    ['a target of a proxy', `GET http://evil/ HTTP/1.1\r\n${HOST}\r\n`],
    ['CONNECT', `CONNECT evil:443 HTTP/1.1\r\n${HOST}\r\n`],
    ['a target of 20 KB', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n${HOST}\r\n`],
    ['fields of 20 KB', `GET /healthz HTTP/1.1\r\n${HOST}A: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['200 fields', `GET /healthz HTTP/1.1\r\n${HOST}${'A: b\r\n'.repeat(200)}\r\n`],
    [
      'an event stream with a body',
      `GET /v1/sse?channel=a HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\n{}`,
    ],
    ['a version of the future', `GET /healthz HTTP/9.9\r\n${HOST}\r\n`],
  ])('answers %s with an error or an end', async (_, bytes) => {
    using raw = await RawSocket.open(server.port);
    await raw.write(bytes);
    raw.socket.end();
    const text = await raw.takeAll();
    // Never a good answer but where the rules let it be one.
    if (text !== '')
      expect(text).toMatch(
        /^HTTP\/1\.1 (?:4\d\d|5\d\d|200 OK\r\n(?:.*\r\n)*\r\n\{"status":"ok"\})/,
      );
    expect(text).not.toMatch(/^HTTP\/1\.1 500/);
  });

  test('answers random bodies with bad_request', async () => {
    const random = seededRandom(11);
    for (let round = 0; round < 200; round += 1) {
      const size = Math.floor(random.fraction() * 200);
      const body = Array.from({ length: size }, () =>
        String.fromCharCode(Math.floor(random.fraction() * 128)),
      ).join('');
      const answer = await post(`${server.url}/v1/publish`, body);
      expect(answer.status).toBe(400);
    }
  });

  test.each([
    ['deep', `{"channel":"a","data":${'['.repeat(500_000)}`],
    ['deep and closed', `{"channel":"a","data":${'[{"a":'.repeat(50_000)}1${'}]'.repeat(50_000)}}`],
    ['wide', `[${'{},'.repeat(100_000)}{}]`],
    ['of one number', `{"channel":"a","data":${'9'.repeat(300_000)}}`],
    ['of escapes', `{"channel":"a","data":"${'\\u0000'.repeat(100_000)}"}`],
  ])('answers a body that is %s', async (_, body) => {
    const answer = await post(`${server.url}/v1/publish`, body);
    expect([400, 413]).toContain(answer.status);
  });

  test('refuses queries of all kinds without breaking', async () => {
    const random = seededRandom(12);
    const parts = [
      'channel=',
      'a',
      '&',
      'after=',
      '0:0',
      '%',
      '%00',
      '%ff',
      '=',
      '~',
      'last=',
      '-1',
      '9'.repeat(30),
      '?',
      'e:1',
      '[',
      '__proto__',
      'wait=',
      '+',
    ];
    for (let round = 0; round < 300; round += 1) {
      let query = '';
      for (let part = 0; part < 8; part += 1)
        query += parts[Math.floor(random.fraction() * parts.length)];
      for (const path of ['poll', 'history', 'channels']) {
        // A wait that is understood is not what this is about.
        const answer = await server.get(`/v1/${path}?${query.replaceAll('wait=', 'wai=')}`);
        expect([200, 400, 401, 403]).toContain(answer.status);
      }
    }
  });
});

describe('WebSocket', () => {
  test('ends or answers whatever bytes follow the handshake', async () => {
    const random = seededRandom(13);
    for (let round = 0; round < 100; round += 1) {
      using peer = await WebSocketPeer.open(server.port);
      await peer.nextOf('welcome');
      const bytes = Buffer.from(
        Array.from({ length: 1 + Math.floor(random.fraction() * 60) }, () =>
          Math.floor(random.fraction() * 256),
        ),
      );
      await peer.raw.write(bytes);
      peer.raw.socket.end();
      const { code } = await peer.closed;
      expect([1000, 1002, 1005, 1006, 1007, 1009]).toContain(code);
    }
  });

  test('answers random commands, and the session lives', async () => {
    const random = seededRandom(14);
    using peer = await WebSocketPeer.open(server.port);
    await peer.nextOf('welcome');
    const values = [
      null,
      1,
      -1,
      1e300,
      '',
      'a',
      '#',
      '@x',
      '$',
      [],
      {},
      true,
      '0:0',
      '~a',
      'x'.repeat(5_000),
    ];
    const names = [
      'id',
      'channel',
      'after',
      'last',
      'data',
      'bytes',
      'key',
      'event',
      'token',
      'limit',
      'before',
    ];
    const types = [
      'subscribe',
      'unsubscribe',
      'publish',
      'history',
      'refresh',
      'presence',
      'toString',
    ];
    const pick = <T>(from: readonly T[]): T =>
      from[Math.floor(random.fraction() * from.length)] as T;
    for (let round = 0; round < 1_000; round += 1) {
      const command: Record<string, unknown> = { type: pick(types) };
      for (let member = 0; member < 4; member += 1) command[pick(names)] = pick(values);
      peer.send(command);
    }
    peer.send({ type: 'unsubscribe', id: 424_242, channel: 'x' });
    for (;;) if ((await peer.next())['id'] === 424_242) break;
  });

  test('bounds a message in very many fragments', async () => {
    using peer = await WebSocketPeer.open(server.port);
    await peer.nextOf('welcome');
    const first = maskedFrame(OPCODE.text, Buffer.from(' '), false);
    const more = maskedFrame(OPCODE.more, Buffer.alloc(0), false);
    void peer.raw.write(Buffer.concat([first, ...Array.from({ length: 20_000 }, () => more)]));
    expect((await peer.closed).code).toBe(1009);
  });
});
