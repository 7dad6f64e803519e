/** Peers that compress to do harm: bombs, broken streams, and offers without end. */
import { constants, deflateRawSync } from 'node:zlib';
import { seededRandom } from '@trunkline/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DeflatingPeer } from '../../src/deflating-peer.ts';
import { UncaughtErrors } from '../../src/faults.ts';
import { RawSocket } from '../../src/raw-socket.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { handshake, OPCODE } from '../../src/web-socket.ts';
import { expectHealthy } from './expectations.ts';

const MB = 2 ** 20;
/** Far less than one bomb comes to, and room for all that is not collected at once. */
const MEMORY_MAX = 200 * MB;

const MODES = ['shared', 'context'] as const;

let servers: Readonly<Record<(typeof MODES)[number], LabServer>>;
let errors: UncaughtErrors;

beforeAll(async () => {
  const start = (webSocket: (typeof MODES)[number]): Promise<LabServer> =>
    startServer({ compression: { webSocket, eventStreams: true, answers: true } });
  servers = { shared: await start('shared'), context: await start('context') };
});

afterAll(async () => {
  for (const server of Object.values(servers)) await server[Symbol.asyncDispose]();
});

beforeEach(() => {
  errors = new UncaughtErrors();
});

afterEach(async () => {
  for (const server of Object.values(servers)) await expectHealthy(server, errors);
  errors[Symbol.dispose]();
});

/** A message's payload, without the tail. */
function deflated(payload: Uint8Array): Buffer {
  return deflateRawSync(payload, { level: 9, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/** Blocks of zeros, one after the other: as much as one likes, without having it in memory. */
function zeros(megabytes: number): Buffer {
  const block = deflateRawSync(Buffer.alloc(MB), {
    level: 9,
    finishFlush: constants.Z_FULL_FLUSH,
  });
  return Buffer.concat(Array<Buffer>(megabytes).fill(block));
}

describe.each(MODES)('a peer that was granted compression, %s', (mode) => {
  const open = async (): Promise<DeflatingPeer> => {
    const peer = await DeflatingPeer.open(servers[mode].port);
    await peer.nextOf('welcome');
    return peer;
  };

  test('[COMP-3] takes no more memory for bombs of a thousand to one than their limit', async () => {
    // 900 MB in 900 KB, which is within the limit of a frame.
    const bomb = zeros(900);
    expect(bomb.length).toBeLessThan(MB);
    const before = process.memoryUsage().rss;
    for (let count = 0; count < 10; count += 1) {
      using peer = await open();
      peer.sendFrame(OPCODE.text, bomb);
      expect(await peer.closed).toBe(1009);
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(MEMORY_MAX);
  });

  test('[COMP-3] finds a bomb in fragments as well', async () => {
    using peer = await open();
    const bomb = zeros(3);
    for (let at = 0; at < bomb.length; at += 64) {
      const bits = at === 0 ? 0x40 : 0;
      const opcode = at === 0 ? OPCODE.text : OPCODE.more;
      peer.sendFrame(opcode, bomb.subarray(at, at + 64), bits, at + 64 >= bomb.length);
    }
    expect(await peer.closed).toBe(1009);
  });

  test('gains nothing by a bomb inside of a bomb', async () => {
    using peer = await open();
    // Inflated once it is no JSON; nobody inflates it twice.
    const inner = deflated(Buffer.alloc(512 * 1024));
    peer.sendFrame(OPCODE.binary, deflated(inner));
    expect((await peer.nextOf('error')).frames).toMatchObject([{ code: 'bad_request' }]);
  });

  test('does not keep others waiting with many messages that are just within the limit', async () => {
    using peer = await open();
    using other = await open();
    const message = deflated(Buffer.alloc(MB - 10, ' '));
    for (let index = 0; index < 100; index += 1) peer.sendFrame(OPCODE.text, message);
    peer.sendFrame(OPCODE.text, Buffer.from('{"type":"ping"}'), 0);
    // 100 MB are to be inflated and looked at; who asks now is answered before that is done.
    other.sendFrame(OPCODE.text, Buffer.from('{"type":"ping"}'), 0);
    const done: string[] = [];
    await Promise.all([
      peer.nextOf('pong').then(() => done.push('the peer')),
      other.nextOf('pong').then(() => done.push('the other')),
    ]);
    expect(done).toEqual(['the other', 'the peer']);
  });

  test('[COMP-3] is closed for last blocks without end', async () => {
    using peer = await open();
    peer.sendFrame(OPCODE.text, Buffer.alloc(MB - 2, Buffer.from('0300', 'hex')));
    expect(await peer.closed).toBe(1007);
  });

  test('[COMP-3] is closed with a code for every kind of broken data', async () => {
    const random = seededRandom(5);
    const good = deflated(Buffer.from(JSON.stringify({ type: 'ping', fill: 'abc '.repeat(50) })));
    for (let round = 0; round < 60; round += 1) {
      using peer = await open();
      const bad = Buffer.from(good);
      const at = random.integer(bad.length);
      bad[at] = (bad[at] ?? 0) ^ (1 + random.integer(255));
      peer.sendFrame(OPCODE.text, round % 3 === 0 ? Buffer.from(random.bytes(40)) : bad);
      // Some of it may be read all the same; then the next frame is what ends it.
      peer.sendFrame(OPCODE.text, Buffer.alloc(0), 0x30);
      expect([1002, 1007]).toContain(await peer.closed);
    }
  });

  test('may leave in the middle of a message', async () => {
    for (let round = 0; round < 20; round += 1) {
      using peer = await open();
      peer.sendFrame(OPCODE.text, deflated(Buffer.alloc(1000)).subarray(0, 4), 0x40, false);
      peer.raw.reset();
      await peer.raw.closed;
    }
  });
});

describe('a handshake', () => {
  const dial = async (extensions: string): Promise<string> => {
    using raw = await RawSocket.open(servers.shared.port);
    const headers = { 'Sec-WebSocket-Extensions': extensions };
    await raw.write(handshake(servers.shared.port, { headers }));
    return await raw.takeUntil('\r\n\r\n');
  };

  test('[COMP-2] with a thousand offers is answered like any other', async () => {
    const bad = Array<string>(1000).fill('a;b=1').join();
    const head = await dial(`permessage-deflate,${bad}`);
    expect(head).toMatch(/^HTTP\/1\.1 101/);
    expect(head).toContain('permessage-deflate; server_no_context_takeover');
    // Nobody looks for the good one among so many.
    const late = await dial(`${bad},permessage-deflate`);
    expect(late).toMatch(/^HTTP\/1\.1 101/);
    expect(late.toLowerCase()).not.toContain('sec-websocket-extensions');
  });

  test.each([
    ['quotes that never end', `permessage-deflate; a="${'\\x'.repeat(4000)}`],
    ['nothing but commas', `${','.repeat(9000)};`],
    ['nothing but semicolons', ';'.repeat(9000)],
    ['a thousand parameters', `permessage-deflate${';a=1'.repeat(1000)}; =`],
  ])('[COMP-2] with %s is refused with 400', async (_, extensions) => {
    expect(await dial(extensions)).toMatch(/^HTTP\/1\.1 400/);
  });

  test.each([
    ['an Accept-Encoding of a thousand codings', Array<string>(1000).fill('a;q=0.1').join()],
    ['an Accept-Encoding of nothing but commas', ','.repeat(9000)],
    ['an Accept-Encoding with blanks', `gzip${' '.repeat(9000)};q=1`],
  ])('%s does no harm', async (_, encodings) => {
    const { url } = servers.shared;
    const answer = await fetch(`${url}/v1/poll?channel=a`, {
      headers: { 'accept-encoding': encodings },
    });
    expect(answer.status).toBe(200);
    await answer.text();
  });
});
