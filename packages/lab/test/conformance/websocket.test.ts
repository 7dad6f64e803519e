/** WebSocket: handshakes, frames and closes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RawSocket } from '../../src/raw-socket.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { inSeconds, JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { handshake, maskedFrame, OPCODE, WebSocketPeer } from '../../src/web-socket.ts';
import type { Dialing } from '../../src/web-socket.ts';

const clock = new SkipClock();
/** Skipped time is no silence of the peer's. */
const UNHURRIED = { auth: { jwtSecret: JWT_SECRET }, link: { pingIntervalMs: 3_600_000 } };

let server: LabServer;
let closed: LabServer;

beforeAll(async () => {
  server = await startServer({}, { clock });
  const auth = { jwtSecret: JWT_SECRET, origins: ['https://app.example.com'] };
  closed = await startServer({ auth }, { clock });
});

afterAll(async () => {
  expect([server.faults, closed.faults]).toEqual([[], []]);
  await server[Symbol.asyncDispose]();
  await closed[Symbol.asyncDispose]();
});

/** A session that was welcomed. */
async function open(dialing: Dialing = {}): Promise<WebSocketPeer> {
  const peer = await WebSocketPeer.open(server.port, dialing);
  await peer.nextOf('welcome');
  return peer;
}

/** The session still answers. */
async function expectAlive(peer: WebSocketPeer): Promise<void> {
  peer.send({ type: 'ping' });
  expect(await peer.next()).toMatchObject({ type: 'pong' });
}

async function closeCode(peer: WebSocketPeer): Promise<number> {
  return (await peer.closed).code;
}

describe('over WebSocket', () => {
  test('[WS-1] proves that it read the key, and chooses the subprotocol', async () => {
    using peer = await open();
    expect(peer.answer.headers).toMatchObject({
      'sec-websocket-accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      'sec-websocket-protocol': 'trunkline.v1.json',
    });
    expect(peer.answer.headers).not.toHaveProperty('sec-websocket-extensions');
  });

  test('[WS-1] speaks its protocol with a client that offers none', async () => {
    using peer = await open({ subprotocol: false });
    expect(peer.answer.headers).not.toHaveProperty('sec-websocket-protocol');
    await expectAlive(peer);
  });

  test('[WS-1] [BIN-1] chooses what the client names first of what it speaks, or none', async () => {
    using one = await open({ subprotocol: 'wamp, trunkline.v1.json, trunkline.v1.bin' });
    expect(one.answer.headers['sec-websocket-protocol']).toBe('trunkline.v1.json');
    using other = await open({ subprotocol: 'wamp, trunkline.v1.bin, trunkline.v1.json' });
    expect(other.answer.headers['sec-websocket-protocol']).toBe('trunkline.v1.bin');
    using none = await open({ subprotocol: 'wamp' });
    expect(none.answer.headers).not.toHaveProperty('sec-websocket-protocol');
  });

  test('[WS-1] works with the WebSocket of the platform', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/v1/ws`, 'trunkline.v1.json');
    const first = await new Promise<MessageEvent>((resolve) => {
      socket.addEventListener('message', resolve, { once: true });
    });
    expect(JSON.parse(String(first.data))).toMatchObject({ type: 'welcome' });
    const over = new Promise<CloseEvent>((resolve) => {
      socket.addEventListener('close', resolve, { once: true });
    });
    socket.close(1000);
    expect(await over).toMatchObject({ code: 1000, wasClean: true });
  });

  test('[WS-1] takes several objects in one frame, and one object over several lines', async () => {
    using peer = await open();
    peer.sendText(
      '{"type":"ping"}\n\n{"type":"ping"}\r\n{"type":"unsubscribe","id":1,"channel":"a"}',
    );
    expect((await peer.next())['type']).toBe('pong');
    expect((await peer.next())['type']).toBe('pong');
    expect(await peer.nextOf('unsubscribed')).toMatchObject({ id: 1 });
    peer.sendText('{\n  "type": "ping"\n}');
    await expectAlive(peer);
  });

  test('[WS-1] answers a binary message with bad_request', async () => {
    using peer = await open();
    peer.sendFrame(OPCODE.binary, Buffer.from('{"type":"ping"}'));
    expect(await peer.next()).toMatchObject({ type: 'error', code: 'bad_request' });
    await expectAlive(peer);
  });

  test('[WS-1] joins the fragments of a message, with a ping between them', async () => {
    using peer = await open();
    peer.sendFrame(OPCODE.text, Buffer.from('{"type":'), false);
    peer.sendFrame(OPCODE.ping, Buffer.from('between'));
    peer.sendFrame(OPCODE.more, Buffer.from('"pi'), false);
    peer.sendFrame(OPCODE.more, Buffer.from('ng"}'));
    expect(String(await peer.pongs.next())).toBe('between');
    expect(await peer.next()).toMatchObject({ type: 'pong' });
  });

  test.each([
    ['a reserved opcode', Buffer.from([0x83, 0x80, 1, 2, 3, 4])],
    ['a reserved bit', Buffer.from([0xc1, 0x80, 1, 2, 3, 4])],
    ['a frame that is not masked', Buffer.from([0x81, 0x01, 0x7b])],
    ['a ping of 126 bytes', maskedFrame(OPCODE.ping, Buffer.alloc(126))],
    ['a ping in fragments', maskedFrame(OPCODE.ping, Buffer.alloc(0), false)],
    ['a continuation of nothing', maskedFrame(OPCODE.more, Buffer.alloc(1))],
    ['a length in more bytes than it needs', Buffer.from([0x81, 0xfe, 0, 1, 0, 0, 0, 0, 0x41])],
    ['a close frame of one byte', maskedFrame(OPCODE.close, Buffer.from([3]))],
    ['the close code 1005', maskedFrame(OPCODE.close, Buffer.from([0x03, 0xed]))],
  ])('[WS-4] closes with 1002 at %s', async (_, bytes) => {
    using peer = await open();
    void peer.raw.write(bytes);
    expect(await closeCode(peer)).toBe(1002);
  });

  test('[WS-4] closes with 1007 at text that is no UTF-8', async () => {
    using peer = await open();
    peer.sendFrame(OPCODE.text, Buffer.from([0x22, 0xff, 0x22]));
    expect(await closeCode(peer)).toBe(1007);
    using other = await open();
    other.sendFrame(OPCODE.close, Buffer.from([0x03, 0xe8, 0xff]));
    expect(await closeCode(other)).toBe(1007);
  });

  test('[WS-4] closes with 1009 at a frame, or a message in fragments, over the limit', async () => {
    await using small = await startServer({ link: { frameBytesMax: 2048 } });
    using peer = await WebSocketPeer.open(small.port);
    expect((await peer.nextOf('welcome'))['limits']).toMatchObject({ frameBytes: 2048 });
    peer.sendText(`{"type":"ping","x":"${'x'.repeat(1900)}"}`);
    await peer.nextOf('pong');
    peer.sendText(' '.repeat(2049));
    expect(await closeCode(peer)).toBe(1009);
    using other = await WebSocketPeer.open(small.port);
    other.sendFrame(OPCODE.text, Buffer.alloc(1500, 0x20), false);
    other.sendFrame(OPCODE.more, Buffer.alloc(1500, 0x20));
    expect(await closeCode(other)).toBe(1009);
  });

  test('[WS-4] closes with 1009 at the head of a frame that would be too large', async () => {
    using peer = await open();
    void peer.raw.write(Buffer.from([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
    expect([1002, 1009]).toContain(await closeCode(peer));
  });

  test('[GUA-11] answers a close frame with the same code', async () => {
    using peer = await open();
    peer.sendFrame(OPCODE.close, Buffer.from([0x03, 0xe8]));
    expect(await peer.closed).toEqual({ code: 1000, reason: '' });
  });

  test('[WS-3] pings a silent peer, and closes with timeout when nothing comes back', async () => {
    using peer = await open();
    peer.answersPings = false;
    clock.skip(26_000);
    await expectAlive(await open());
    expect(peer.pings.length).toBeGreaterThan(0);
    clock.skip(11_000);
    expect(await closeCode(peer)).toBe(4508);
  });

  test('[WS-3] keeps a peer that answers pings and says nothing else', async () => {
    using peer = await open();
    for (let round = 0; round < 5; round += 1) {
      const pings = peer.pings.length;
      clock.skip(26_000);
      while (peer.pings.length === pings) await expectAlive(peer);
    }
    await expectAlive(peer);
  });

  test('[WS-3] tells its interval in welcome', async () => {
    using peer = await WebSocketPeer.open(server.port);
    expect(await peer.nextOf('welcome')).toMatchObject({ ping: 25_000 });
  });

  test.each([
    ['no key', { 'Sec-WebSocket-Key': '' }, 400],
    ['another version', { 'Sec-WebSocket-Version': '8' }, 426],
    ['the same subprotocol twice', { 'Sec-WebSocket-Protocol': 'a, a' }, 400],
  ])('[WS-2] refuses a handshake with %s', async (_, headers, status) => {
    const refused = await WebSocketPeer.refused(server.port, { headers });
    expect(refused.status).toBe(status);
    expect(refused.problem).toMatchObject({ code: 'bad_request' });
  });

  test('[WS-2] refuses a path that no WebSocket is served at', async () => {
    const refused = await WebSocketPeer.refused(server.port, { path: '/v1/nothing' });
    expect([refused.status, refused.problem['code']]).toEqual([404, 'not_found']);
  });

  test('[WS-2] answers 426 to a GET without an upgrade', async () => {
    expect((await server.get('/v1/ws')).status).toBe(426);
  });

  test('[WS-2] refuses a foreign Origin with 403', async () => {
    for (const { port } of [server, closed]) {
      const headers = { Origin: 'https://evil.example' };
      const refused = await WebSocketPeer.refused(port, { headers });
      expect([refused.status, refused.problem['code']]).toEqual([403, 'forbidden']);
    }
  });

  test('[WS-2] refuses a bad token with 401', async () => {
    const path = '/v1/ws?access_token=nonsense';
    const refused = await WebSocketPeer.refused(closed.port, { path });
    expect([refused.status, refused.problem['code']]).toEqual([401, 'unauthenticated']);
  });

  test('[WS-2] upgrades a browser that is refused, and then closes with the code', async () => {
    const headers = { Origin: 'https://app.example.com' };
    const path = '/v1/ws?access_token=nonsense';
    using peer = await WebSocketPeer.open(closed.port, { path, headers });
    expect(peer.answer.headers['sec-websocket-protocol']).toBe('trunkline.v1.json');
    expect(await closeCode(peer)).toBe(4401);
  });

  test('[WS-2] lets the own origin and those of the configuration in', async () => {
    const token = tokenOf('ann');
    for (const origin of ['https://app.example.com', `http://127.0.0.1:${closed.port}`]) {
      const dialing = { path: `/v1/ws?access_token=${token}`, headers: { Origin: origin } };
      using peer = await WebSocketPeer.open(closed.port, dialing);
      expect(await peer.next()).toMatchObject({ type: 'welcome', user: 'ann' });
    }
  });

  test('[WS-10] sends welcome unasked where anonymous clients are let in', async () => {
    using peer = await WebSocketPeer.open(server.port);
    const welcome = await peer.next();
    expect(welcome).toMatchObject({
      type: 'welcome',
      session: expect.any(String),
      node: expect.any(String),
      resume: expect.any(String),
    });
    expect(welcome).not.toHaveProperty('id');
    expect(welcome).not.toHaveProperty('user');
  });

  test('[WS-12] tells its limits in welcome', async () => {
    using peer = await WebSocketPeer.open(closed.port);
    peer.send({ type: 'hello', id: 1, token: tokenOf('ann') });
    expect((await peer.next())['limits']).toEqual({
      messageBytes: 65_536,
      frameBytes: 1_048_576,
      subscriptions: 128,
      commandsPerSecond: 100,
      keyWindowMs: 3_600_000,
    });
    using free = await WebSocketPeer.open(server.port);
    expect((await free.next())['limits']).toMatchObject({ commandsPerSecond: 0 });
  });

  test('[WS-10] takes a token in hello, and answers with its id', async () => {
    using peer = await WebSocketPeer.open(closed.port);
    peer.send({ type: 'hello', id: 7, token: tokenOf('ann'), client: 'lab/1' });
    expect(await peer.next()).toMatchObject({ type: 'welcome', id: 7, user: 'ann' });
    await expectAlive(peer);
  });

  test('[WS-10] closes with unauthenticated what says something else first', async () => {
    using peer = await WebSocketPeer.open(closed.port);
    peer.send({ type: 'subscribe', id: 1, channel: 'a' });
    expect(await closeCode(peer)).toBe(4401);
  });

  test('[WS-10] closes with unauthenticated a hello without or with a bad token', async () => {
    for (const hello of [{}, { token: 'nonsense' }, { resume: 'nonsense' }, { token: '' }]) {
      using peer = await WebSocketPeer.open(closed.port);
      peer.send({ type: 'hello', id: 1, ...hello });
      expect(await closeCode(peer)).toBe(4401);
    }
  });

  test('[WS-10] closes with timeout what says nothing', async () => {
    using peer = await WebSocketPeer.open(closed.port);
    // A moment later than the upgrade the session waits for its hello.
    using other = await WebSocketPeer.open(closed.port);
    other.send({ type: 'ping' });
    await other.next();
    clock.skip(11_000);
    expect(await closeCode(peer)).toBe(4508);
  });

  test('[WS-11] takes the resume ticket for the token, also at another node', async () => {
    const config = { auth: { jwtSecret: JWT_SECRET }, secret: 'shared by all nodes' };
    await using one = await startServer(config);
    await using other = await startServer(config);
    using first = await WebSocketPeer.open(one.port);
    const claims = { channels: { 'mine/#': ['subscribe'] } };
    first.send({ type: 'hello', id: 1, token: tokenOf('ann', claims) });
    const { resume } = await first.nextOf('welcome');
    using second = await WebSocketPeer.open(other.port);
    second.send({ type: 'hello', id: 1, resume });
    expect(await second.next()).toMatchObject({ type: 'welcome', id: 1, user: 'ann' });
    const mine = await second.call({ type: 'subscribe', id: 2, channel: 'mine/1' });
    expect(mine['type']).toBe('subscribed');
    const theirs = await second.call({ type: 'subscribe', id: 3, channel: 'theirs' });
    expect(theirs).toMatchObject({ type: 'error', code: 'forbidden' });
    // Of the identity alone, which ends with its token.
    using stranger = await WebSocketPeer.open(closed.port);
    stranger.send({ type: 'hello', id: 1, resume });
    expect(await closeCode(stranger)).toBe(4401);
  });

  test('[WS-11] takes no ticket after the end of its token', async () => {
    await using brief = await startServer(UNHURRIED, { clock });
    using peer = await WebSocketPeer.open(brief.port);
    const exp = clock.unixMs() / 1000 + 60;
    peer.send({ type: 'hello', id: 1, token: tokenOf('ann', { exp }) });
    const { resume } = await peer.nextOf('welcome');
    clock.skip(61_000);
    expect(await closeCode(peer)).toBe(4401);
    using late = await WebSocketPeer.open(brief.port);
    late.send({ type: 'hello', id: 1, resume });
    expect(await closeCode(late)).toBe(4401);
  });

  test('[WS-14] [AUTH-5] refresh moves the end of the session', async () => {
    await using brief = await startServer(UNHURRIED, { clock });
    const end = (seconds: number): number => Math.ceil(clock.unixMs() / 1000) + seconds;
    using peer = await WebSocketPeer.open(brief.port);
    peer.send({ type: 'hello', id: 1, token: tokenOf('ann', { exp: end(30) }) });
    await peer.nextOf('welcome');
    const exp = end(90);
    const answer = await peer.call({ type: 'refresh', id: 2, token: tokenOf('ann', { exp }) });
    expect(answer).toMatchObject({ type: 'refreshed', id: 2, expires: exp * 1000 });
    clock.skip(20_000);
    await expectAlive(peer);
    clock.skip(20_000);
    await expectAlive(peer);
    clock.skip(60_000);
    expect(await closeCode(peer)).toBe(4401);
  });

  test('[WS-14] refuses the token of another user, and a bad one, and goes on', async () => {
    using peer = await WebSocketPeer.open(closed.port);
    peer.send({ type: 'hello', id: 1, token: tokenOf('ann') });
    await peer.nextOf('welcome');
    const bob = await peer.call({ type: 'refresh', id: 2, token: tokenOf('bob') });
    expect(bob).toMatchObject({ type: 'error', code: 'forbidden' });
    const bad = await peer.call({ type: 'refresh', id: 3, token: 'nonsense' });
    expect(bad).toMatchObject({ type: 'error', code: 'unauthenticated' });
    await expectAlive(peer);
  });

  test('[WS-14] ends what the new token no longer allows', async () => {
    using peer = await WebSocketPeer.open(closed.port);
    peer.send({ type: 'hello', id: 1, token: tokenOf('ann') });
    await peer.nextOf('welcome');
    await peer.call({ type: 'subscribe', id: 2, channel: 'kept/1' });
    await peer.call({ type: 'subscribe', id: 3, channel: 'lost/1' });
    const claims = { channels: { 'kept/#': ['subscribe'] }, exp: undefined };
    const answer = await peer.call({ type: 'refresh', id: 4, token: tokenOf('ann', claims) });
    expect(answer).toMatchObject({ type: 'refreshed', expires: 0 });
    const push = await peer.nextOf('unsubscribed');
    expect(push).toMatchObject({ channel: 'lost/1', code: 'forbidden' });
    expect(push).not.toHaveProperty('id');
  });

  test('[HTTP-23] echoes frames at /v1/echo in development, and not outside of it', async () => {
    using peer = await WebSocketPeer.open(server.port, { path: '/v1/echo', subprotocol: false });
    peer.sendText('"twice"');
    expect(await peer.next()).toMatchObject({ source: '"twice"' });
    const refused = await WebSocketPeer.refused(closed.port, { path: '/v1/echo' });
    expect(refused.status).toBe(404);
  });

  test('[WS-10] serves what came in the same packet as the handshake', async () => {
    using raw = await RawSocket.open(server.port);
    const ping = maskedFrame(OPCODE.text, Buffer.from('{"type":"ping"}'));
    await raw.write(Buffer.concat([Buffer.from(handshake(server.port)), ping]));
    await raw.takeUntil('"pong"');
  });

  test('[AUTH-5] closes with 4401 at the end of the token', async () => {
    await using brief = await startServer({ auth: { jwtSecret: JWT_SECRET } });
    const token = tokenOf('ann', { exp: inSeconds(0.4) });
    const headers = { Authorization: `Bearer ${token}` };
    using peer = await WebSocketPeer.open(brief.port, { headers });
    await peer.nextOf('welcome');
    expect(await closeCode(peer)).toBe(4401);
  });
});
