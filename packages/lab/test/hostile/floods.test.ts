/** Floods: more of everything than one client should ask for, bounded so that it fits a test. */
import { Agent } from 'node:http';
import { constants, deflateRawSync } from 'node:zlib';
import { seededRandom } from '@trunkline/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DeflatingPeer } from '../../src/deflating-peer.ts';
import { UncaughtErrors } from '../../src/faults.ts';
import { expectHealthy, expectStored } from './expectations.ts';
import { ask } from '../../src/http.ts';
import { listening, OPEN_AND_LISTED } from '../../src/listening.ts';
import { usedBytes } from '../../src/memory.ts';
import { RawSocket } from '../../src/raw-socket.ts';
import type { PollAnswer } from '../../src/readers/poll.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { API_KEY, JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { handshake, OPCODE, WebSocketPeer } from '../../src/web-socket.ts';
import { Bystander, expectServed } from './bystander.ts';

const MB = 1024 * 1024;

let server: LabServer;
let errors: UncaughtErrors;

beforeEach(async () => {
  errors = new UncaughtErrors();
  server = await startServer({ ...OPEN_AND_LISTED });
});

afterEach(async () => {
  await expectHealthy(server, errors);
  errors[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

describe('waiting polls', () => {
  test('3,000 of them on one channel are all answered by one publish', async () => {
    const before = usedBytes();
    const url = `${server.url}/v1/poll?channel=crowd&after=0:0&wait=60`;
    const polls = Array.from({ length: 3_000 }, () => ask(url));
    await listening(server, 'crowd', 3_000);
    // It serves others meanwhile.
    await server.publish('elsewhere', 1);
    expect(usedBytes() - before).toBeLessThan(200 * MB);
    await server.publish('crowd', 'all of you');
    for (const poll of polls) {
      const answer = await poll;
      expect(answer.status).toBe(200);
      expect(answer.json<PollAnswer>().messages).toMatchObject([{ offset: 1, data: 'all of you' }]);
    }
    await listening(server, 'crowd', 'nobody');
  });

  test('that are given up leave nothing behind', async () => {
    const request = 'GET /v1/poll?channel=given-up&wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const raws = await Promise.all(
      Array.from({ length: 300 }, async () => {
        const raw = await RawSocket.open(server.port);
        await raw.write(request);
        return raw;
      }),
    );
    await listening(server, 'given-up', 300);
    for (const [index, raw] of raws.entries()) {
      if (index % 2 === 0) raw.reset();
      else raw.socket.destroy();
    }
    await listening(server, 'given-up', 'nobody');
  });
});

describe('commands', () => {
  test('5,000 subscribes and unsubscribes of the same channels end where they should', async () => {
    using peer = await WebSocketPeer.open(server.port);
    await peer.nextOf('welcome');
    const random = seededRandom(21);
    const held = new Set<string>();
    let text = '';
    for (let id = 0; id < 5_000; id += 1) {
      const channel = `churn/${Math.floor(random.fraction() * 20)}`;
      const type = random.fraction() < 0.5 ? 'subscribe' : 'unsubscribe';
      if (type === 'subscribe') held.add(channel);
      else held.delete(channel);
      text += `${JSON.stringify({ type, id, channel })}\n`;
      if (id % 500 === 499) {
        peer.sendText(text);
        text = '';
      }
    }
    const answered = new Set<unknown>();
    while (answered.size < 5_000) {
      const answer = await peer.next();
      expect(answer['type']).toMatch(/^(?:un)?subscribed$/);
      answered.add(answer['id']);
    }
    const answer = await ask(`${server.url}/v1/channels?match=churn/%2B`, {
      headers: { authorization: `Bearer ${API_KEY}` },
    });
    const { channels } = answer.json<{ channels: { channel: string; subscribers: number }[] }>();
    expect(channels.map(({ channel }) => channel).sort()).toEqual([...held].sort());
    expect(channels.every(({ subscribers }) => subscribers === 1)).toBe(true);
    for (const channel of held) await server.publish(channel, channel);
    while (held.size > 0) {
      const { channel, data, offset } = await peer.nextOf('message');
      expect([data, offset]).toEqual([channel, 1]);
      expect(held.delete(String(channel))).toBe(true);
    }
  });

  test('subscribes over the limit are refused, however fast they come', async () => {
    using peer = await WebSocketPeer.open(server.port);
    await peer.nextOf('welcome');
    const commands = Array.from({ length: 1_000 }, (_, id) =>
      JSON.stringify({ type: 'subscribe', id, channel: `flood/${id}` }),
    );
    peer.sendText(commands.join('\n'));
    const types = new Map<unknown, number>();
    for (let answers = 0; answers < 1_000; answers += 1) {
      const { type } = await peer.next();
      types.set(type, (types.get(type) ?? 0) + 1);
    }
    expect(types).toEqual(
      new Map([
        ['subscribed', 128],
        ['error', 872],
      ]),
    );
  });

  describe('[CMD-5] that are none', () => {
    let limited: LabServer;
    let bystander: Bystander;

    beforeEach(async () => {
      limited = await startServer({
        auth: { jwtSecret: JWT_SECRET, apiKeys: [API_KEY] },
        link: { commandsPerSecondMax: 20 },
        compression: { webSocket: 'shared' },
      });
      // The rate of commands does not hold applications.
      const headers = { Authorization: `Bearer ${API_KEY}` };
      bystander = await Bystander.open(limited, 'aside', { headers });
    });

    afterEach(async () => {
      bystander[Symbol.dispose]();
      expect(limited.faults).toEqual([]);
      await limited[Symbol.asyncDispose]();
    });

    test('10,000 blank frames are refused like as many commands', async () => {
      const path = `/v1/ws?access_token=${tokenOf('ann')}`;
      using peer = await WebSocketPeer.open(limited.port, { path });
      await peer.nextOf('welcome');
      let refused = 0;
      const flood = async (): Promise<void> => {
        for (let id = 0; id < 10_000; id += 500) {
          for (let sent = 0; sent < 500; sent += 1) peer.sendText('\n'.repeat(sent % 3));
          peer.send({ type: 'unsubscribe', id, channel: 'x' });
          for (let answer = await peer.next(); answer['id'] !== id; answer = await peer.next()) {
            expect(answer).toMatchObject({ type: 'error', code: 'rate_limited' });
            refused += 1;
          }
        }
      };
      const { wholeMs } = await bystander.during(flood());
      // A burst of two seconds, and what was earned meanwhile.
      expect(refused).toBeGreaterThan(10_000 - 20 * (3 + wholeMs / 1_000));
    });

    test('frames that inflate to a megabyte of blank lines as well, and nobody waits', async () => {
      using peer = await DeflatingPeer.open(limited.port);
      await peer.send({ type: 'hello', token: tokenOf('ann') });
      await peer.nextOf('welcome');
      const blank = deflateRawSync(Buffer.alloc(MB, '\n'), {
        finishFlush: constants.Z_SYNC_FLUSH,
      }).subarray(0, -4);
      const flood = async (): Promise<void> => {
        for (let sent = 0; sent < 100; sent += 1) peer.sendFrame(OPCODE.text, blank);
        for (let refused = 0; refused < 50; refused += 1) await peer.nextOf('error');
      };
      expectServed(await bystander.during(flood()));
    });
  });

  test('many pages of history at once are answered one by one', async () => {
    for (let batch = 0; batch < 2; batch += 1) {
      await server.publish('pages', ...Array.from({ length: 10 }, () => 'x'.repeat(50_000)));
    }
    // One page over a session has 64 KB of payloads at most.
    using peer = await WebSocketPeer.open(server.port);
    await peer.nextOf('welcome');
    const commands = Array.from({ length: 40 }, (_, id) => ({
      type: 'history',
      id,
      channel: 'pages',
    }));
    peer.sendText(commands.map((command) => JSON.stringify(command)).join('\n'));
    const before = usedBytes();
    for (const { id } of commands) {
      const page = await peer.next();
      expect(page).toMatchObject({ type: 'history', id });
      expect(page['messages']).toHaveLength(1);
      expect(page['more']).toBe(true);
    }
    expect(usedBytes() - before).toBeLessThan(40 * MB);
  });

  test('publishes without an answer are stored in order, none twice', async () => {
    using peer = await WebSocketPeer.open(server.port);
    await peer.nextOf('welcome');
    for (let frame = 0; frame < 10; frame += 1) {
      const commands = Array.from({ length: 100 }, (_, index) =>
        JSON.stringify({ type: 'publish', channel: 'fire', data: frame * 100 + index }),
      );
      peer.sendText(commands.join('\n'));
    }
    await peer.call({ type: 'publish', id: 1, channel: 'fire', data: 'last' });
    const expected = new Map(Array.from({ length: 999 }, (_, index) => [index + 2, index + 1]));
    await expectStored(server, 'fire', expected);
  });
});

describe('requests', () => {
  test('100 of them in one packet are answered in their order', async () => {
    using raw = await RawSocket.open(server.port);
    const requests = Array.from({ length: 100 }, (_, index) => {
      const body = JSON.stringify({ channel: 'pipelined', data: index });
      return `POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    });
    await raw.write(requests.join(''));
    for (let offset = 1; offset <= 100; offset += 1) {
      await raw.takeUntil('HTTP/1.1 200');
      await raw.takeUntil(`"offset":${offset},`);
    }
  });

  test('10,000 of them in one packet end in answers or a closed connection', async () => {
    using raw = await RawSocket.open(server.port);
    void raw.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(10_000));
    raw.socket.end();
    const text = await raw.takeAll();
    const statuses = new Set(text.match(/HTTP\/1\.1 \d+/g));
    for (const status of statuses) expect(['HTTP/1.1 200', 'HTTP/1.1 429']).toContain(status);
  });

  test('bodies over the limit are cut off early, chunked as well', async () => {
    using raw = await RawSocket.open(server.port);
    await raw.write(
      'POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    const before = usedBytes();
    for (let count = 0; count < 40 && !raw.ended; count += 1) await raw.write(chunk);
    expect(await raw.takeAll()).toMatch(/^HTTP\/1\.1 413 /);
    expect(usedBytes() - before).toBeLessThan(20 * MB);
  });
});

describe('connections', () => {
  test('over the limit of an address are refused, and those open stay', async () => {
    const config = { auth: { jwtSecret: JWT_SECRET }, connectionsPerAddressMax: 20 };
    await using limited = await startServer(config);
    const path = `/v1/ws?access_token=${tokenOf('ann')}`;
    const peers = await Promise.all(
      Array.from({ length: 20 }, () => WebSocketPeer.open(limited.port, { path })),
    );
    for (let count = 0; count < 50; count += 1) {
      using raw = await RawSocket.open(limited.port);
      await raw.write(handshake(limited.port, { path }));
      expect(await raw.takeAll()).toMatch(/^HTTP\/1\.1 429 .*"rate_limited"/s);
    }
    for (const peer of peers) {
      peer.send({ type: 'ping' });
      await peer.nextOf('pong');
    }
    peers[0]?.raw.socket.destroy();
    await peers[0]?.closed;
    // There is room again.
    for (let tries = 0; ; tries += 1) {
      const answer = await ask(`${limited.url}/healthz`).catch(() => undefined);
      if (answer?.status === 200) break;
      expect(tries).toBeLessThan(100);
    }
    for (const peer of peers) peer[Symbol.dispose]();
    expect(limited.faults).toEqual([]);
  });

  test('2,000 that come and go leave nothing behind', async () => {
    // Once before, so that what grows only once has grown.
    await comeAndGo(500);
    const before = usedBytes();
    await comeAndGo(1_500);
    expect(usedBytes() - before).toBeLessThan(10 * MB);
    await listening(server, 'come-and-go', 'nobody');
  });

  test('kept alive by many clients are served to the end', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 50 });
    const asked = Array.from({ length: 2_000 }, () => ask(`${server.url}/healthz`, { agent }));
    for (const answer of await Promise.all(asked)) expect(answer.status).toBe(200);
    agent.destroy();
  });
});

async function comeAndGo(count: number): Promise<void> {
  for (let at = 0; at < count; at += 100) {
    const peers = await Promise.all(
      Array.from({ length: 100 }, () => WebSocketPeer.open(server.port)),
    );
    for (const peer of peers) peer.send({ type: 'subscribe', id: 1, channel: 'come-and-go' });
    for (const peer of peers) await peer.nextOf('subscribed');
    for (const [index, peer] of peers.entries()) {
      if (index % 3 === 0) peer.raw.reset();
      else peer[Symbol.dispose]();
    }
    await listening(server, 'come-and-go', 'nobody');
  }
}
