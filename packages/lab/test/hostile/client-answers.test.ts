/** The client before servers and portals that answer anything but what was asked. */
import { longPoll, shortPoll, sse, websocket } from '@trunkline/client';
import { describe, expect, test } from 'vitest';
import type { Exchange } from '../../src/proxy.ts';
import { TroubledLine } from './troubled-line.ts';

type Answer = (exchange: Exchange) => void;

const HTML = '<!doctype html><title>Welcome to our WiFi</title>';
const asHtml = { 'content-type': 'text/html' };
const asJson = { 'content-type': 'application/json' };
const asProblem = { 'content-type': 'application/problem+json' };
const asStream = { 'content-type': 'text/event-stream' };
/** The sum of a key that nobody has. */
const UPGRADED =
  'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n' +
  'sec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n';

const raw =
  (bytes: string | Uint8Array): Answer =>
  ({ socket }) =>
    void socket.end(bytes);
const all =
  (status: number, body?: string | Uint8Array, headers: Record<string, string> = {}): Answer =>
  ({ answer }) =>
    answer(status, body, headers);

/** A body that is cut before its end. */
const cutBody = (type: string, head: string): Answer =>
  raw(
    `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n` +
      `${head.length.toString(16)}\r\n${head}\r\n5\r\nab`,
  );

const ANSWERS: Readonly<Record<string, Answer>> = {
  'bytes that are no HTTP': raw('\u0000\u0001SSH-2.0-OpenSSH\r\n'),
  'nothing but an end': ({ socket }) => void socket.end(),
  'a reset': ({ socket }) => void socket.resetAndDestroy(),
  'half of a head': raw('HTTP/1.1 200 OK\r\ncontent-ty'),
  'a status of no number': raw('HTTP/1.1 OK OK\r\n\r\n'),
  'an upgrade that is none': raw(UPGRADED),
  'a page of HTML': all(200, HTML, asHtml),
  'a page of HTML that says it is JSON': all(200, HTML, asJson),
  'a page of HTML that says it is a stream': all(200, HTML, asStream),
  'a redirection to a page': all(302, '', { location: 'http://127.0.0.1:1/login' }),
  'a redirection to itself': all(307, '', { location: '' }),
  'no content': all(204),
  'not modified': all(304),
  'not found': all(404, HTML, asHtml),
  'not found as JSON': all(404, '{"error":"no route"}', asJson),
  'forbidden by a proxy': all(403, HTML, asHtml),
  'a conflict of a proxy': all(409, HTML, asHtml),
  'a request too long for a proxy': all(414, HTML, asHtml),
  'a body too large for a proxy': all(413, HTML, asHtml),
  'credentials wanted by a proxy': all(407, HTML, asHtml),
  'too many requests': all(429, HTML, asHtml),
  'a bad gateway': all(502, HTML, asHtml),
  'a gateway without an answer': all(504, HTML, asHtml),
  'away, and come back in 1 s': all(503, HTML, { ...asHtml, 'retry-after': '1' }),
  'away until a date': all(503, '', { 'retry-after': 'Wed, 21 Oct 2099 07:28:00 GMT' }),
  'network authentication': all(511, HTML, asHtml),
  'a problem without a code': all(400, '{"title":"odd"}', asProblem),
  'a problem of an unknown code': all(500, '{"code":"later","detail":5}', asProblem),
  'a broken problem': all(500, '{"code":', asProblem),
  'an empty body': all(200, '', asJson),
  'a list': all(200, '[]', asJson),
  null: all(200, 'null', asJson),
  'an object of nothing': all(200, '{}', asJson),
  'half of an answer': all(200, '{"messages":[{"channel":"room/1","off', asJson),
  'no UTF-8': all(200, Buffer.from('{"messages":"\xff\xfe"}', 'latin1'), asJson),
  'binary that is none': all(200, Buffer.from([255, 0, 255, 1]), {
    'content-type': 'application/vnd.trunkline.v1+bin',
  }),
  'positions that are none': all(200, '{"messages":[],"positions":{"room/1":5}}', asJson),
  'a message without an epoch': all(
    200,
    '{"messages":[{"channel":"room/1","offset":1}],"positions":{"room/1":"e:1"}}',
    asJson,
  ),
  'a body that is cut': cutBody('application/json', '{"messages":[]'),
  'a stream that is cut': cutBody('text/event-stream', ': hello\n\nevent: op'),
  'a stream without an opening': all(200, 'data: 1\n\n', asStream),
  'a stream whose opening is none': all(200, 'event: open\nid: x\ndata: nonsense\n\n', asStream),
  'a length that is none': raw(
    'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\nabc',
  ),
  'more than it said': raw('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n\r\n'),
};

const WAYS = [
  { name: 'everything', transports: undefined },
  { name: 'WebSocket', transports: [websocket] },
  { name: 'SSE', transports: [sse] },
  { name: 'long polling', transports: [longPoll] },
  { name: 'short polling', transports: [shortPoll] },
];

describe.each(WAYS)('over $name', ({ transports }) => {
  test.each(Object.entries(ANSWERS))(
    'answered with %s it says so, rests, and is there when the server is',
    async (_, answer) => {
      await using troubled = await TroubledLine.open(
        transports === undefined ? {} : { transports },
        (proxy) => (proxy.mood = answer),
      );
      const { line, proxy } = troubled;
      await troubled.publish(3);
      await troubled.pass(60_000);
      // A refused read is asked for once more, to find out what of it is refused.
      expect(troubled.asked().length).toBeLessThan(100);
      expect([line.state, troubled.reason]).toEqual(['connecting', expect.stringMatching(/.../)]);
      for (const { name, verdict, reason } of line.explain().tried) {
        const isKnown = verdict === 'failed' || verdict === 'unstable';
        expect([name, verdict, isKnown]).toEqual([name, verdict, true]);
        expect(reason).toMatch(/ended/);
      }
      proxy.mood = ({ pass }) => pass();
      await troubled.until('a connection', () => line.state === 'connected');
      await troubled.expectAll();
    },
  );
});

describe.each(WAYS)('with nothing to read over $name', ({ transports }) => {
  test.each(['bytes that are no HTTP', 'a page of HTML', 'a redirection to a page', 'not found'])(
    'answered with %s it is not connected, and publishes when it is',
    async (name) => {
      await using troubled = await TroubledLine.open(
        transports === undefined ? {} : { transports },
        (proxy) => (proxy.mood = ANSWERS[name] ?? raw('')),
        false,
      );
      const { line, proxy } = troubled;
      const published = line.publish('room/2', 1);
      await troubled.pass(20_000);
      expect([line.state, line.waiting]).toEqual(['connecting', 1]);
      expect(troubled.states.every(({ state }) => state === 'connecting')).toBe(true);
      proxy.mood = ({ pass }) => pass();
      await troubled.until('a connection', () => line.waiting === 0);
      expect(await published).toMatchObject({ channel: 'room/2', offset: 1 });
      troubled.expectSound();
    },
  );
});
