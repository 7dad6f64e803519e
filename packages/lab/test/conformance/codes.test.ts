/** Codes: every end and every error says one of the registry, in the words of its transport. */
import { CODES } from '@trunkline/wire';
import type { CodeName } from '@trunkline/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { JWT_SECRET, sign, tokenOf } from '../../src/tokens.ts';
import { OPCODE, WebSocketPeer } from '../../src/web-socket.ts';

const APP = 'https://app.example.com';
const clock = new SkipClock();
let server: LabServer;

beforeAll(async () => {
  server = await startServer({ auth: { jwtSecret: JWT_SECRET, origins: [APP] } }, { clock });
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

const browser = { headers: { Origin: APP } };

describe('over WebSocket', () => {
  test.each<[CodeName, (peer: WebSocketPeer) => void]>([
    ['unauthenticated', (peer) => peer.send({ type: 'hello', id: 1, token: 'x' })],
    ['too_large', (peer) => peer.sendText(' '.repeat(1_100_000))],
    ['timeout', () => clock.skip(11_000)],
    ['draining', (peer) => peer.send({ type: 'ping' })],
  ])('[CODE-1] [CODE-6] closes with the number of %s and its reason', async (code, provoke) => {
    const auth = { jwtSecret: JWT_SECRET };
    await using own = await startServer({ auth, drain: { windowMs: 0 } }, { clock });
    using peer = await WebSocketPeer.open(own.port);
    provoke(peer);
    if (code === 'draining') {
      await peer.nextOf('pong');
      void own.server.drain();
    }
    const { code: number, reason } = await peer.closed;
    expect(number).toBe(CODES[code].close);
    expect(reason).not.toBe('');
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
  });

  test('[CODE-6] keeps a reason within 123 bytes of whole characters, whatever was wrong', async () => {
    for (const filler of ['a', 'é', '😀']) {
      const channels = { [`${filler.repeat(60)}/#/x`]: ['subscribe'] };
      const path = `/v1/ws?access_token=${sign({ sub: 'ann', channels })}`;
      using peer = await WebSocketPeer.open(server.port, { path, ...browser });
      const { code, reason } = await peer.closed;
      expect(code).toBe(4401);
      expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
      expect(reason).not.toContain('\ufffd');
    }
  });

  test('[CODE-1] carries the name of the code in an error', async () => {
    using peer = await WebSocketPeer.open(server.port);
    peer.send({ type: 'hello', id: 0, token: tokenOf('ann', { channels: {} }) });
    await peer.nextOf('welcome');
    peer.sendText('{');
    peer.sendFrame(OPCODE.binary, Buffer.alloc(1));
    peer.send(
      { type: 'publish', id: 1, channel: 'a', data: 1 },
      { type: 'refresh', id: 2, token: 'x' },
    );
    const codes: string[] = [];
    while (codes.length < 4) codes.push(String((await peer.nextOf('error'))['code']));
    expect(new Set(codes)).toEqual(new Set(['bad_request', 'forbidden', 'unauthenticated']));
  });
});

describe('over HTTP', () => {
  test('[CODE-1] [HTTP-2] answers with the status of the code', async () => {
    const authorization = `Bearer ${tokenOf('ann', { channels: {} })}`;
    for (const [path, code] of [
      ['/v1/nothing', 'not_found'],
      ['/v1/poll?channel=', 'bad_request'],
      ['/v1/poll?channel=a', 'forbidden'],
    ] as const) {
      const answer = await server.get(path, { authorization });
      expect([answer.status, answer.json()['code']]).toEqual([CODES[code].http, code]);
    }
    const stranger = await server.get('/v1/poll?channel=a');
    expect(stranger.status).toBe(CODES.unauthenticated.http);
  });
});
