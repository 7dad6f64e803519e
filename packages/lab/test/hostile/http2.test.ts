/** HTTP/2 as no proper client speaks it: storms, games and floods, with somebody served beside. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UncaughtErrors } from '../../src/faults.ts';
import {
  connectTo,
  ERROR,
  FLAG,
  FRAME,
  frame,
  get,
  type Header,
  literals,
  number32,
  RawHttp2,
  SETTING,
  settings,
} from '../../src/http2-frames.ts';
import { listening, OPEN_AND_LISTED } from '../../src/listening.ts';
import { usedBytes } from '../../src/memory.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { maskedFrame, OPCODE } from '../../src/web-socket.ts';
import { expectHealthy } from './expectations.ts';

const MB = 1024 * 1024;

let server: LabServer;
let errors: UncaughtErrors;
/** Follows a channel on a connection of its own all the while. */
let bystander: RawHttp2;

const open = (...entries: readonly (readonly [number, number])[]) =>
  RawHttp2.open(server.port, ...entries);

beforeEach(async () => {
  errors = new UncaughtErrors();
  server = await startServer({ ...OPEN_AND_LISTED });
  bystander = await open();
  await bystander.request(1, get('/v1/sse?channel=bystander'));
  await listening(server, 'bystander');
});

afterEach(async () => {
  await server.publish('bystander', 'still here');
  await bystander.until(() => bystander.dataOf(1).includes('"still here"'));
  bystander[Symbol.dispose]();
  await expectHealthy(server, errors);
  errors[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

function many(count: number, make: (index: number) => Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

const idOf = (index: number): number => 2 * index + 1;

function headers(index: number, header: Header, flags: number = FLAG.endStream): Buffer {
  return frame(FRAME.headers, flags | FLAG.endHeaders, idOf(index), literals(header));
}

describe('storms of resets', () => {
  test('[H2-6] end the session, and its requests were not all begun', async () => {
    using peer = await open();
    for (let round = 0; round < 40; round += 1) {
      await peer.send(
        many(100, (index) => {
          const at = round * 100 + index;
          const reset = frame(FRAME.reset, 0, idOf(at), number32(ERROR.cancel));
          return Buffer.concat([headers(at, get('/v1/poll?channel=storm&wait=60')), reset]);
        }),
      );
    }
    expect(await peer.end()).toBe(ERROR.internal);
    await listening(server, 'storm', 'nobody');
  });

  test('of streams that break the rules end the session', async () => {
    using peer = await open();
    const broken: Header = [...get('/healthz'), ['connection', 'close']];
    for (let round = 0; round < 20; round += 1) {
      await peer.send(many(100, (index) => headers(round * 100 + index, broken)));
    }
    expect(await peer.end()).toBeGreaterThan(0);
  });

  test('within the limits leave nothing behind and the session as it was', async () => {
    using peer = await open();
    const before = usedBytes();
    for (let round = 0; round < 200; round += 1) {
      await peer.request(idOf(round), get('/v1/sse?channel=given-up'));
      await peer.send(frame(FRAME.reset, 0, idOf(round), number32(ERROR.cancel)));
    }
    await listening(server, 'given-up', 'nobody');
    await peer.request(1001, get('/healthz'));
    await peer.until(() => peer.dataOf(1001).includes('ok'));
    expect(usedBytes() - before).toBeLessThan(4 * MB);
  });
});

describe('streams', () => {
  test('[H2-6] beyond what SETTINGS say end the session, whose other streams end too', async () => {
    using peer = await open();
    await peer.next(FRAME.settings);
    await peer.settled();
    const told = peer.frames[0]?.payload ?? Buffer.alloc(0);
    const limit = new Map(
      Array.from({ length: told.length / 6 }, (_, at) => [
        told.readUInt16BE(6 * at),
        told.readUInt32BE(6 * at + 2),
      ]),
    ).get(SETTING.maxConcurrentStreams);
    expect(limit).toBeGreaterThanOrEqual(100);
    await peer.send(many((limit ?? 0) + 1, (at) => headers(at, get('/v1/sse?channel=crowd'))));
    expect(await peer.end()).toBe(ERROR.protocol);
    await listening(server, 'crowd', 'nobody');
  });

  test('after a GOAWAY of the peer are not begun, those before it are served', async () => {
    using peer = await open();
    await peer.request(1, get('/v1/poll?channel=leaving&after=0:0&wait=60'));
    await listening(server, 'leaving');
    await peer.send(frame(FRAME.goaway, 0, 0, Buffer.concat([number32(0), number32(0)])));
    await peer.request(3, get('/v1/poll?channel=late&wait=60'));
    await server.publish('leaving', 'goodbye');
    expect(await peer.end()).toBe(ERROR.none);
    expect(peer.dataOf(1).toString()).toContain('goodbye');
    await listening(server, 'late', 'nobody');
  });

  test.each([
    ['data on a stream that never was', frame(FRAME.data, 0, 7, Buffer.alloc(4))],
    ['a stream of the server’s own', frame(FRAME.headers, 5, 2, literals(get('/')))],
    ['a window opened by nothing', frame(FRAME.windowUpdate, 0, 0, number32(0))],
    ['a promise', frame(FRAME.push, FLAG.endHeaders, 1, number32(2))],
    ['fields that can not be read', frame(FRAME.headers, 5, 1, Buffer.alloc(10, 0xff))],
    ['a reset of nothing', frame(FRAME.reset, 0, 9, number32(8))],
    ['PING in pieces', frame(FRAME.ping, 0, 0, Buffer.alloc(3))],
  ])('and %s end the session with the error that names it', async (_what, bytes) => {
    using peer = await open();
    await peer.send(bytes);
    expect([ERROR.protocol, ERROR.frameSize, ERROR.compression]).toContain(await peer.end());
  });

  test('that are closed take no data, and others of the session go on', async () => {
    using peer = await open();
    await peer.request(1, get('/healthz'));
    await peer.until(() => peer.dataOf(1).length > 0);
    await peer.send(many(50, () => frame(FRAME.data, 0, 1, Buffer.alloc(100))));
    await peer.request(3, get('/healthz'));
    await peer.until(() => peer.dataOf(3).length > 0);
  });
});

describe('CONNECT', () => {
  test.each([
    [
      'to elsewhere',
      [
        [':method', 'CONNECT'],
        [':authority', 'a.example:443'],
      ] as Header,
    ],
    ['for a protocol that is not served', connectTo('/v1/ws', 'connect-udp')],
  ])('[H2-5] %s is refused with 501, and the session goes on', async (_what, header) => {
    using peer = await open();
    await peer.request(1, header, 0);
    await peer.until(() => peer.dataOf(1).includes('"status":501'));
    expect(await peer.resetOf(1)).toBe(ERROR.none);
    await peer.request(3, get('/healthz'));
    await peer.until(() => peer.dataOf(3).includes('ok'));
  });

  test.each([
    [
      'without a path',
      [
        [':method', 'CONNECT'],
        [':protocol', 'websocket'],
        [':authority', 'a'],
      ],
    ],
    ['and a protocol that is none of its own', [...get('/v1/ws'), [':protocol', 'websocket']]],
  ] as readonly (readonly [string, Header])[])(
    '%s breaks the rules: the stream is reset',
    async (_what, header) => {
      using peer = await open();
      await peer.request(1, header, 0);
      expect(await peer.resetOf(1)).toBe(ERROR.protocol);
      await peer.request(3, get('/healthz'));
      await peer.until(() => peer.dataOf(3).includes('ok'));
    },
  );
});

describe('floods', () => {
  const PING = frame(FRAME.ping, 0, 0, Buffer.alloc(8));
  const SETTINGS = frame(FRAME.settings, 0, 0);

  test.each([
    ['PING', many(5_000, () => PING), ERROR.enhanceYourCalm],
    ['SETTINGS', many(5_000, () => SETTINGS), ERROR.enhanceYourCalm],
    [
      'one huge SETTINGS',
      frame(
        FRAME.settings,
        0,
        0,
        settings(...Array.from({ length: 2_000 }, () => [4, 9] as const)),
      ),
      ERROR.enhanceYourCalm,
    ],
    [
      'settings that change all windows',
      many(5_000, (at) =>
        frame(FRAME.settings, 0, 0, settings([4, at % 2 === 0 ? 0 : 2 ** 31 - 1])),
      ),
      ERROR.enhanceYourCalm,
    ],
    [
      'CONTINUATION',
      Buffer.concat([
        frame(FRAME.headers, FLAG.endStream, 1, literals(get('/'))),
        many(5_000, () => frame(FRAME.continuation, 0, 1)),
      ]),
      ERROR.internal,
    ],
    [
      'PRIORITY',
      many(100_000, (at) => frame(FRAME.priority, 0, idOf(at), Buffer.from([0, 0, 0, 0, 9]))),
      ERROR.enhanceYourCalm,
    ],
    [
      'empty DATA',
      Buffer.concat([
        headers(0, connectTo('/v1/echo'), 0),
        many(5_000, () => frame(FRAME.data, 0, 1)),
      ]),
      ERROR.internal,
    ],
    ['frames of no known type', many(100_000, () => frame(0xbb, 0, 0)), ERROR.enhanceYourCalm],
  ])('[H2-6] of %s end the session', async (_what, bytes, code) => {
    using peer = await open();
    await peer.next(FRAME.settings);
    await peer.send(bytes);
    expect(await peer.end()).toBe(code);
  });

  test('of PING whose answers nobody reads take no memory', async () => {
    using peer = await open();
    await peer.next(FRAME.settings);
    const before = usedBytes();
    peer.raw.freeze();
    // The system's buffers take some; then the writes wait, or the connection ends.
    for (let round = 0; round < 20 && peer.raw.socket.writable; round += 1) {
      void peer.send(many(20_000, () => PING));
      await bystander.settled();
      expect(usedBytes() - before).toBeLessThan(40 * MB);
    }
    peer.raw.thaw();
    await peer.raw.closed;
  });

  test('of fields are refused: many, large, and small that grow', async () => {
    using peer = await open();
    const fields = (count: number, value: string): Header =>
      Array.from({ length: count }, (_, at) => [`x-${at}`, value] as const);
    await peer.request(1, get('/healthz', ...fields(150, 'y')));
    await peer.until(() => peer.dataOf(1).includes('"status":431'));
    await peer.request(3, get('/healthz', ...fields(300, 'y')));
    expect(await peer.resetOf(3)).toBe(ERROR.enhanceYourCalm);
    // One entry of the table, named 12,000 times: 48 MB.
    const entry = [Buffer.of(0x40, 1, 0x61, 0x7f, 0x81, 0x1e), Buffer.alloc(4_000, 0x62)];
    const block = Buffer.concat([literals(get('/')), ...entry, Buffer.alloc(12_000, 0xbe)]);
    await peer.send(frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, 5, block));
    expect(await peer.resetOf(5)).toBe(ERROR.enhanceYourCalm);
    await peer.request(7, get('/healthz'));
    await peer.until(() => peer.dataOf(7).includes('ok'));
  });
});

describe('windows', () => {
  test('of a stream or of the session that overflow end it', async () => {
    using peer = await open();
    await peer.request(1, get('/v1/sse?channel=window'));
    await peer.next(FRAME.headers, 1);
    await peer.send(frame(FRAME.windowUpdate, 0, 1, number32(2 ** 31 - 1)));
    expect(await peer.end()).toBe(ERROR.flowControl);
    using other = await open();
    await other.send(frame(FRAME.windowUpdate, 0, 0, number32(2 ** 31 - 1)));
    expect(await other.end()).toBe(ERROR.flowControl);
  });

  test('that a peer overruns end its session', async () => {
    using peer = await open([SETTING.initialWindowSize, 0]);
    await peer.request(1, connectTo('/v1/echo'), 0);
    await peer.next(FRAME.headers, 1);
    // The echo is not taken, so the server stops reading and grants no more.
    const bytes = frame(FRAME.data, 0, 1, maskedFrame(OPCODE.binary, Buffer.alloc(16_000)));
    for (let round = 0; round < 40 && !peer.over; round += 1) await peer.send(bytes);
    expect(await peer.end()).toBe(ERROR.flowControl);
  });

  test('of zero: streams of a session that takes nothing stay behind in bounded memory', async () => {
    using peer = await open([SETTING.initialWindowSize, 0]);
    const streams = 50;
    await peer.send(many(streams, (at) => headers(at, get('/v1/sse?channel=flood'))));
    await listening(server, 'flood', streams);
    const before = usedBytes();
    const value = 'x'.repeat(60_000);
    for (let round = 0; round < 200; round += 1) await server.publish('flood', value);
    // 12 MB for each of them would be 600 MB; the log has it once, and what is pending is bounded.
    expect(usedBytes() - before).toBeLessThan(80 * MB);
    // A stream whose window opens, on the session that takes nothing else, gets all of it.
    await peer.send(frame(FRAME.windowUpdate, 0, 0, number32(2 ** 30)));
    await peer.send(frame(FRAME.windowUpdate, 0, 1, number32(2 ** 30)));
    const last = `:200\n`;
    await peer.until(() => peer.dataOf(1).includes(last));
    const ids =
      peer
        .dataOf(1)
        .toString()
        .match(/^id: \S+:(\d+)$/gm) ?? [];
    expect(ids.map((line) => Number(line.split(':').at(-1)))).toEqual(
      Array.from({ length: 201 }, (_, at) => at),
    );
    expect(peer.dataOf(3).length).toBe(0);
  });

  test('opened byte by byte are used so', async () => {
    using peer = await open([SETTING.initialWindowSize, 1]);
    await peer.request(1, get('/healthz'));
    await peer.next(FRAME.headers, 1);
    const byte = frame(FRAME.windowUpdate, 0, 1, number32(1));
    for (let round = 0; round < 14; round += 1) await peer.send(byte);
    await peer.until(() => peer.dataOf(1).toString() === '{"status":"ok"}');
    expect(peer.frames.filter(({ type }) => type === FRAME.data).length).toBeGreaterThan(1);
  });
});

test('a WebSocket that is flooded and not read leaves the others of its session alone', async () => {
  using peer = await open([SETTING.initialWindowSize, 65_535]);
  await peer.send(frame(FRAME.windowUpdate, 0, 0, number32(2 ** 30)));
  const before = usedBytes();
  await peer.send(headers(0, connectTo('/v1/echo'), 0), headers(1, connectTo('/v1/echo'), 0));
  await peer.next(FRAME.headers, 3);
  const large = maskedFrame(OPCODE.binary, Buffer.alloc(16_000));
  // As much as the server's window takes; nothing of the echo is taken beyond ours.
  for (let round = 0; round < 4; round += 1) await peer.send(frame(FRAME.data, 0, 1, large));
  for (let round = 0; round < 100; round += 1) {
    const text = maskedFrame(OPCODE.text, Buffer.from(`round ${round}`));
    await peer.send(frame(FRAME.data, 0, 3, text));
    await peer.until(() => peer.dataOf(3).includes(`round ${round}`));
  }
  expect(usedBytes() - before).toBeLessThan(8 * MB);
});
