/** Commands of a session, their replies and their errors. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CODECS } from '../../src/codec.ts';
import type { Codec } from '../../src/codec.ts';
import { listening, OPEN_AND_LISTED } from '../../src/listening.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { maskedFrame, OPCODE, WebSocketPeer } from '../../src/web-socket.ts';

let server: LabServer;
let count = 0;

beforeAll(async () => {
  const namespaces = {
    'secret/#': { allow: { anonymous: [] } },
    'small/#': { history: { countMax: 2 } },
  };
  server = await startServer({ ...OPEN_AND_LISTED, namespaces, link: { subscriptionsMax: 5 } });
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

function over({ prefix, subprotocol }: Codec) {
  return { name: `${prefix}WebSocket`, subprotocol };
}

async function openIn(subprotocol: string): Promise<WebSocketPeer> {
  const peer = await WebSocketPeer.open(server.port, { subprotocol });
  await peer.nextOf('welcome');
  return peer;
}

function nextChannel(prefix = 'commands'): string {
  count += 1;
  return `${prefix}/${count}`;
}

const DEEP = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;

describe.each(CODECS.map(over))('over $name', ({ subprotocol }) => {
  const open = (): Promise<WebSocketPeer> => openIn(subprotocol);

  test.each([
    ['no JSON', '{"type":'],
    ['no object', '[]'],
    ['a number', '7'],
    ['null', 'null'],
    ['no type', '{"id":1}'],
    ['an unknown type', '{"type":"dance","id":1}'],
    ['a type that every object has', '{"type":"constructor","id":1}'],
    ['presence of nothing', '{"type":"presence","id":1}'],
    ['call, which is not served yet', '{"type":"call","id":1,"method":"m"}'],
    ['a subscribe without id', '{"type":"subscribe","channel":"a"}'],
    ['a negative id', '{"type":"subscribe","id":-1,"channel":"a"}'],
    ['an id with a fraction', '{"type":"subscribe","id":1.5,"channel":"a"}'],
    ['an id of 2^53', '{"type":"subscribe","id":9007199254740992,"channel":"a"}'],
    ['an id in quotes', '{"type":"subscribe","id":"1","channel":"a"}'],
    ['a subscribe without channel', '{"type":"subscribe","id":1}'],
    ['a channel that is none', '{"type":"subscribe","id":1,"channel":7}'],
    ['a channel of the server', '{"type":"subscribe","id":1,"channel":"$x"}'],
    ['half a wildcard', '{"type":"subscribe","id":1,"channel":"a/b+"}'],
    ['after that is no text', '{"type":"subscribe","id":1,"channel":"a","after":7}'],
    ['last that is negative', '{"type":"subscribe","id":1,"channel":"a","last":-1}'],
    ['partial that is no flag', '{"type":"subscribe","id":1,"channel":"a","partial":1}'],
    ['a publish of nothing', '{"type":"publish","id":1,"channel":"a"}'],
    ['a publish with half a character', '{"type":"publish","id":1,"channel":"\\ud800","data":1}'],
    ['a refresh without token', '{"type":"refresh","id":1}'],
    ['arrays that are nested deep', `{"type":"subscribe","id":1,"channel":${DEEP}}`],
  ])('[CMD-3] [CMD-1] answers %s with bad_request, and goes on', async (_, text) => {
    using peer = await open();
    peer.sendJson(text);
    const answer = await peer.next();
    expect(answer).toMatchObject({ type: 'error', code: 'bad_request' });
    expect(answer['message']).toEqual(expect.stringMatching(/^.{5,300}$/));
    expect('id' in answer).toBe(/"id":1[,}]/.test(text));
    peer.send({ type: 'ping' });
    expect(await peer.next()).toMatchObject({ type: 'pong' });
  });

  test('[CMD-1] repeats every id from 0 to 2^53 - 1', async () => {
    using peer = await open();
    for (const id of [0, 1, Number.MAX_SAFE_INTEGER]) {
      const answer = await peer.call({ type: 'unsubscribe', id, channel: 'a' });
      expect(answer).toMatchObject({ type: 'unsubscribed', id });
    }
  });

  test('[CMD-1] answers ping with pong, with and without an id', async () => {
    using peer = await open();
    peer.send({ type: 'ping' }, { type: 'ping', id: 4 });
    expect(await peer.next()).toMatchObject({ type: 'pong' });
    expect(await peer.next()).toMatchObject({ type: 'pong' });
  });

  test('[CMD-2] lets the last of equal members count', async () => {
    using peer = await open();
    const channel = nextChannel();
    peer.sendJson(
      `{"type":"ping","type":"publish","id":1,"id":2,"channel":"${channel}","data":1,"data":{"a":2}}`,
    );
    expect(await peer.next()).toMatchObject({ type: 'published', id: 2 });
    const page = await server.get(`/v1/history?channel=${channel}`);
    expect(page.text).toContain('"data":{"a":2}');
  });

  test('[CMD-2] takes 1,000 commands in a frame, and none of 1,001', async () => {
    using peer = await open();
    const channel = nextChannel();
    const publish = `{"type":"publish","channel":"${channel}","data":1}`;
    peer.sendJson(...Array.from({ length: 1000 }, () => publish), publish);
    expect(await peer.next()).toMatchObject({ type: 'error', code: 'too_large' });
    peer.sendJson(...Array.from({ length: 1000 }, () => '{"type":"ping"}'));
    for (let index = 0; index < 1000; index += 1) await peer.nextOf('pong');
    const page = await server.get(`/v1/history?channel=${channel}`);
    expect(page.json()).toMatchObject({ messages: [] });
  });

  test('[CMD-4] begins commands in their order: what is published behind a subscribe comes', async () => {
    using peer = await open();
    const channel = nextChannel();
    peer.send(
      { type: 'subscribe', id: 1, channel },
      { type: 'publish', id: 2, channel, data: 'mine' },
    );
    await peer.nextOf('subscribed');
    expect(await peer.nextOf('message')).toMatchObject({ data: 'mine', offset: 1 });
  });

  test('[WS-13] answers subscribe with the position before the messages that follow', async () => {
    const channel = nextChannel();
    const [stored] = await server.publish(channel, 1, 2, 3);
    using peer = await open();
    peer.send({ type: 'subscribe', id: 1, channel, after: `${stored?.epoch}:1` });
    expect(await peer.next()).toMatchObject({
      type: 'subscribed',
      id: 1,
      channel,
      position: `${stored?.epoch}:1`,
      recovered: true,
    });
    expect(await peer.next()).toMatchObject({ type: 'message', channel, offset: 2 });
  });

  test('[WS-13] restarts a subscription that is subscribed again', async () => {
    const channel = nextChannel();
    using peer = await open();
    await peer.call({ type: 'subscribe', id: 1, channel });
    await server.publish(channel, 1, 2);
    await peer.nextOf('message');
    const again = await peer.call({ type: 'subscribe', id: 2, channel, after: '0:0' });
    expect(again).toMatchObject({ type: 'subscribed', recovered: true });
    expect((await peer.nextOf('message'))['offset']).toBe(1);
    expect((await peer.nextOf('message'))['offset']).toBe(2);
    await server.publish(channel, 3);
    // Once, not twice: there is one subscription.
    expect((await peer.nextOf('message'))['offset']).toBe(3);
    peer.send({ type: 'ping' });
    expect((await peer.next())['type']).toBe('pong');
  });

  test('[WS-13] delivers nothing after unsubscribe, which is no error twice', async () => {
    const channel = nextChannel();
    using peer = await open();
    await peer.call({ type: 'subscribe', id: 1, channel });
    for (const id of [2, 3]) {
      const answer = await peer.call({ type: 'unsubscribe', id, channel });
      expect(answer).toMatchObject({ type: 'unsubscribed', id, channel });
      expect(answer).not.toHaveProperty('code');
    }
    await server.publish(channel, 1);
    peer.send({ type: 'ping' });
    expect((await peer.next())['type']).toBe('pong');
  });

  test('[WS-12] refuses one subscription too many with rate_limited', async () => {
    using peer = await open();
    for (let id = 0; id < 5; id += 1) {
      const answer = await peer.call({ type: 'subscribe', id, channel: nextChannel() });
      expect(answer['type']).toBe('subscribed');
    }
    const answer = await peer.call({ type: 'subscribe', id: 9, channel: nextChannel() });
    expect(answer).toMatchObject({ type: 'error', id: 9, code: 'rate_limited' });
  });

  test('[WS-15] answers a publish without id only when it is refused, without id', async () => {
    const channel = nextChannel();
    using peer = await open();
    peer.send(
      { type: 'publish', channel, data: 1 },
      { type: 'publish', channel: 'secret/1', data: 1 },
    );
    const answer = await peer.next();
    expect(answer).toMatchObject({ type: 'error', code: 'forbidden', stored: false });
    expect(answer).not.toHaveProperty('id');
    const page = await server.get(`/v1/history?channel=${channel}`);
    expect(page.json()).toMatchObject({ messages: [{ offset: 1 }] });
  });

  test('[AUTH-4] refuses what the namespace does not allow, command by command', async () => {
    using peer = await open();
    for (const type of ['subscribe', 'publish', 'history']) {
      const answer = await peer.call({
        type,
        id: 1,
        channel: 'secret/1',
        ...(type === 'publish' ? { data: 1 } : {}),
      });
      expect(answer).toMatchObject({ type: 'error', id: 1, code: 'forbidden' });
    }
  });

  test('[CMD-3] [WS-12] refuses commands over the rate, publishes as not stored, and goes on', async () => {
    const config = { auth: { jwtSecret: JWT_SECRET }, link: { commandsPerSecondMax: 5 } };
    await using limited = await startServer(config);
    const headers = { Authorization: `Bearer ${tokenOf('ann')}` };
    using peer = await WebSocketPeer.open(limited.port, { headers });
    expect((await peer.next())['limits']).toMatchObject({ commandsPerSecond: 5 });
    for (let id = 0; id < 30; id += 1) {
      peer.send({ type: 'publish', id, channel: 'a', data: id });
    }
    let refused = 0;
    for (let answers = 0; answers < 30; answers += 1) {
      const answer = await peer.next();
      if (answer['type'] === 'published') continue;
      refused += 1;
      expect(answer).toMatchObject({ type: 'error', code: 'rate_limited', stored: false });
      expect(answer['retryAfter']).toBeGreaterThan(0);
    }
    expect(refused).toBeGreaterThan(10);
    expect(refused).toBeLessThan(30);
  });

  test('[CMD-5] counts frames without a command, and what is malformed, against the rate', async () => {
    const config = { auth: { jwtSecret: JWT_SECRET }, link: { commandsPerSecondMax: 5 } };
    await using limited = await startServer(config);
    const headers = { Authorization: `Bearer ${tokenOf('ann')}` };
    for (const nothing of ['', '\n \n', 'ping', '[]']) {
      using peer = await WebSocketPeer.open(limited.port, { headers });
      await peer.nextOf('welcome');
      for (let sent = 0; sent < 30; sent += 1) peer.sendText(nothing);
      peer.send({ type: 'subscribe', id: 7, channel: 'a' });
      const codes: unknown[] = [];
      let answer = await peer.next();
      for (; answer['id'] === undefined; answer = await peer.next()) codes.push(answer['code']);
      expect(answer).toMatchObject({ type: 'error', id: 7, code: 'rate_limited' });
      expect(codes.filter((code) => code === 'rate_limited').length).toBeGreaterThan(10);
    }
  });

  test('[REC-7] [MSG-5] ignores members it does not know', async () => {
    using peer = await open();
    const channel = nextChannel();
    const later = { slot: 's', retain: true, ttl: 5, echo: false, presence: true, unknown: {} };
    const answer = await peer.call({ type: 'subscribe', id: 1, channel, ...later });
    expect(answer['type']).toBe('subscribed');
    const stored = await peer.call({ type: 'publish', id: 2, channel, data: 1, ...later });
    expect(stored['type']).toMatch(/published|message/);
  });

  test('[REC-7] [GUA-3] tells a subscriber that retention overtook it where it goes on', async () => {
    const channel = nextChannel('small');
    using slow = await open();
    const { position } = await slow.call({ type: 'subscribe', id: 1, channel });
    expect(position).toBe('0:0');
    slow.raw.freeze();
    // More than the peer's and the server's buffers hold.
    const data = 'x'.repeat(60_000);
    for (let round = 0; round < 30; round += 1) {
      await server.publish(channel, ...Array.from({ length: 10 }, () => data));
    }
    const last = 300;
    slow.raw.thaw();
    const seen: number[] = [];
    let lost = 0;
    for (let next = 1; next <= last; ) {
      const push = await slow.next();
      if (push['type'] === 'gap') {
        const { reason, from, to } = push['gap'] as { reason: string; from: number; to: number };
        expect([reason, from]).toEqual(['trimmed', next]);
        expect(String(push['position']).split(':')[1]).toBe(String(to));
        lost += to - from + 1;
        next = to + 1;
      } else {
        expect(push).toMatchObject({ type: 'message', offset: next });
        seen.push(next);
        next += 1;
      }
    }
    expect(lost).toBeGreaterThan(0);
    expect(lost + seen.length).toBe(last);
  });

  test('[WS-5] closes when answers pile up that the peer does not read', async () => {
    const channel = nextChannel();
    using peer = await open();
    await peer.call({ type: 'subscribe', id: 1, channel });
    await listening(server, channel);
    peer.raw.freeze();
    // More pongs than the buffers of both systems hold.
    const ping = maskedFrame(OPCODE.ping, Buffer.alloc(125));
    void peer.raw.write(Buffer.concat(Array.from({ length: 120_000 }, () => ping)));
    await listening(server, channel, 'nobody');
    peer.raw.thaw();
    // It did not read, so it may not have read the code either.
    expect([4510, 1006]).toContain((await peer.closed).code);
  });

  test('[WS-5] [CMD-4] answers a client that asks much and reads, however much', async () => {
    using peer = await open();
    const channel = nextChannel();
    const commands = Array.from({ length: 10_000 }, (_, id) => ({
      ...{ type: 'publish', id, channel, data: id },
    }));
    for (let at = 0; at < commands.length; at += 1_000) {
      const frame = commands.slice(at, at + 1_000).map((command) => JSON.stringify(command));
      peer.sendJson(...frame);
    }
    for (const { id } of commands) {
      expect(await peer.next()).toMatchObject({ type: 'published', id, offset: id + 1 });
    }
  });
});
