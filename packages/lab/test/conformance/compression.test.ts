/** Compression of WebSockets: what is agreed on, what is compressed, and what never is. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Chromium } from '../../src/chromium.ts';
import { DeflatingPeer } from '../../src/deflating-peer.ts';
import { Queue, within } from '../../src/queue.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { OPCODE, WebSocketPeer } from '../../src/web-socket.ts';

const PYTHON = process.env['TRUNKLINE_PYTHON'] ?? '/usr/bin/python3';
const PYTHON_CLIENT = join(import.meta.dirname, '../../src/python-client.py');

/** As large as what is worth compressing, and as repetitive as JSON is. */
const LARGE = Array.from({ length: 60 }, (_, index) => ({ user: `user ${index}`, price: index }));
const LARGE_SIZE = JSON.stringify(LARGE).length;

const MODES = ['shared', 'context'] as const;
type Mode = (typeof MODES)[number];

let servers: Readonly<Record<Mode | 'off', LabServer>>;

beforeAll(async () => {
  const start = (webSocket: Mode): Promise<LabServer> =>
    startServer({ compression: { webSocket, eventStreams: true, answers: true } });
  servers = {
    off: await startServer(),
    shared: await start('shared'),
    context: await start('context'),
  };
});

afterAll(async () => {
  for (const server of Object.values(servers)) {
    expect(server.faults).toEqual([]);
    await server[Symbol.asyncDispose]();
  }
});

let channels = 0;

/** A channel of one test's own. */
function newChannel(): string {
  channels += 1;
  return `compression/${channels}`;
}

/** A client that is subscribed. */
async function subscribe(mode: Mode, channel: string, after?: string): Promise<DeflatingPeer> {
  const peer = await DeflatingPeer.open(servers[mode].port);
  await peer.nextOf('welcome');
  await peer.send({ type: 'subscribe', id: 1, channel, ...(after === undefined ? {} : { after }) });
  await peer.nextOf('subscribed');
  return peer;
}

describe('a server that was not told to compress', () => {
  test('[COMP-1] declines every offer, and looks at none', async () => {
    for (const offer of ['permessage-deflate', 'permessage-deflate;', ';;;']) {
      using peer = await DeflatingPeer.open(servers.off.port, offer);
      expect(peer.agreed).toBe('');
    }
  });
});

describe('[COMP-2] the handshake', () => {
  test.each<[Mode, string, string]>([
    [
      'shared',
      'permessage-deflate; client_max_window_bits',
      'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
    ],
    [
      'shared',
      'permessage-deflate; server_max_window_bits=10',
      'permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10',
    ],
    [
      'context',
      'permessage-deflate; client_max_window_bits',
      'permessage-deflate; server_max_window_bits=12; client_max_window_bits=12',
    ],
    [
      'context',
      'permessage-deflate; server_max_window_bits=8, permessage-deflate; x=1, permessage-deflate; server_no_context_takeover',
      'permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12',
    ],
    ['context', 'permessage-deflate; server_max_window_bits=8', ''],
    ['context', 'permessage-deflate; client_max_window_bits=16', ''],
    ['shared', 'permessage-deflate; permessage-deflate', ''],
    ['shared', 'permessage-bzip2', ''],
  ])('with %s, answers %j with %j', async (mode, offer, answer) => {
    using peer = await DeflatingPeer.open(servers[mode].port, offer);
    expect(peer.agreed).toBe(answer);
    await peer.nextOf('welcome');
  });

  test('refuses what is no list of extensions with 400', async () => {
    const headers = { 'Sec-WebSocket-Extensions': 'permessage-deflate; =' };
    const refused = await WebSocketPeer.refused(servers.shared.port, { headers });
    expect(refused.status).toBe(400);
    expect(refused.problem).toMatchObject({ code: 'bad_request' });
  });

  test('works without for a client that does not offer it', async () => {
    using peer = await WebSocketPeer.open(servers.context.port);
    expect(peer.answer.headers).not.toHaveProperty('sec-websocket-extensions');
    await peer.nextOf('welcome');
  });
});

describe.each(MODES)('a WebSocket that compresses, %s', (mode) => {
  test('[COMP-3] takes commands that are compressed, whole and in fragments', async () => {
    using peer = await DeflatingPeer.open(servers[mode].port);
    const channel = newChannel();
    await peer.nextOf('welcome');
    for (let id = 1; id <= 3; id += 1) {
      await peer.send({ type: 'publish', id, channel, data: LARGE });
      expect((await peer.nextOf('published')).frames).toMatchObject([{ id, offset: id }]);
    }
    const data = await peer.deflate(JSON.stringify({ type: 'publish', id: 4, channel, data: 'κ' }));
    peer.sendFrame(OPCODE.text, data.subarray(0, 5), 0x40, false);
    peer.sendFrame(OPCODE.ping, Buffer.from('between'), 0);
    peer.sendFrame(OPCODE.more, data.subarray(5, 9), 0, false);
    peer.sendFrame(OPCODE.more, data.subarray(9), 0);
    expect((await peer.nextOf('published')).frames).toMatchObject([{ id: 4, offset: 4 }]);
    peer.sendFrame(OPCODE.text, Buffer.from('{"type":"ping"}'), 0);
    await peer.nextOf('pong');
  });

  test.each<[string, number, (peer: DeflatingPeer) => Promise<void> | void]>([
    ['RSV1 on a control frame', 1002, (peer) => peer.sendFrame(OPCODE.ping, Buffer.alloc(0))],
    ['RSV2', 1002, (peer) => peer.sendFrame(OPCODE.text, Buffer.from('{}'), 0x20)],
    ['RSV3', 1002, (peer) => peer.sendFrame(OPCODE.text, Buffer.from('{}'), 0x10)],
    [
      'RSV1 on a later fragment',
      1002,
      async (peer) => {
        const data = await peer.deflate('{"type":"ping"}');
        peer.sendFrame(OPCODE.text, data.subarray(0, 4), 0x40, false);
        peer.sendFrame(OPCODE.more, data.subarray(4), 0x40);
      },
    ],
    ['no deflated data', 1007, (peer) => peer.sendFrame(OPCODE.text, Buffer.from('{"type":"p'))],
    [
      'data that was cut',
      1007,
      async (peer) => {
        const data = await peer.deflate('{"type":"ping","and":"more than one byte"}');
        peer.sendFrame(OPCODE.text, data.subarray(0, -5));
      },
    ],
    [
      'text that is not UTF-8',
      1007,
      async (peer) => peer.sendFrame(OPCODE.text, await peer.deflate(Buffer.from('c328', 'hex'))),
    ],
    [
      'more than the limit',
      1009,
      async (peer) => peer.sendFrame(OPCODE.text, await peer.deflate(Buffer.alloc(2 ** 20 + 1))),
    ],
  ])('[COMP-3] closes after %s with %i', async (_, code, send) => {
    using peer = await DeflatingPeer.open(servers[mode].port);
    await peer.nextOf('welcome');
    await send(peer);
    expect(await peer.closed).toBe(code);
  });

  test('[COMP-4] compresses messages as they are published, and missed ones', async () => {
    const channel = newChannel();
    using live = await subscribe(mode, channel);
    for (let count = 0; count < 5; count += 1) {
      await servers[mode].publish(channel, LARGE);
      const received = await live.nextOf('message');
      expect(received.compressed).toBe(true);
      expect(received.size).toBeLessThan(LARGE_SIZE / (count > 0 && mode === 'context' ? 6 : 3));
      expect(received.frames).toMatchObject([{ channel, offset: count + 1, data: LARGE }]);
    }
    using late = await subscribe(mode, channel, 'start');
    const offsets: unknown[] = [];
    while (offsets.length < 5) {
      const missed = await late.nextOf('message');
      expect(missed.compressed).toBe(true);
      offsets.push(...missed.frames.map((fields) => fields['offset']));
    }
    expect(offsets).toEqual([1, 2, 3, 4, 5]);
  });

  test('[COMP-4] compresses neither what is small nor what is a session’s own', async () => {
    const channel = newChannel();
    using peer = await DeflatingPeer.open(servers[mode].port);
    const plain = [await peer.nextOf('welcome')];
    await peer.send({ type: 'subscribe', id: 1, channel });
    plain.push(await peer.nextOf('subscribed'));
    await servers[mode].publish(channel, 'small');
    plain.push(await peer.nextOf('message'));
    await servers[mode].publish(channel, LARGE);
    expect((await peer.nextOf('message')).compressed).toBe(true);
    // As large as what is compressed, but this session's own.
    await peer.send({ type: 'history', id: 2, channel });
    plain.push(await peer.nextOf('history'));
    await peer.send({ type: 'subscribe', id: 3, channel: 'x'.repeat(2000) });
    plain.push(await peer.nextOf('error'));
    expect(plain.map(({ compressed }) => compressed)).toEqual(plain.map(() => false));
    expect(plain[3]?.size).toBeGreaterThan(LARGE_SIZE);
  });

  test('[COMP-4] is read by the WebSocket of another make', async () => {
    const channel = newChannel();
    const url = `ws://127.0.0.1:${servers[mode].port}/v1/ws`;
    const child = spawn(PYTHON, [PYTHON_CLIENT, url, channel, '6'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = new Queue<Record<string, unknown>>('a line of the Python client');
    const exited = once(child, 'exit');
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(JSON.parse(line) as Record<string, unknown>);
    });
    try {
      const { extensions } = await lines.next();
      expect(JSON.stringify(extensions)).toContain('PerMessageDeflate');
      expect(await lines.next()).toEqual({ subscribed: true });
      for (let offset = 1; offset <= 6; offset += 1) {
        const data = offset % 3 === 0 ? `small ${offset}` : LARGE;
        await servers[mode].publish(channel, data);
        expect(await lines.next()).toEqual({ offset, data });
      }
      expect(await within(exited, 'the end of the Python client')).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');
    }
    const answers = await servers[mode].get(`/v1/history?channel=${channel}/answers`);
    expect(answers.json()).toMatchObject({ messages: [{ data: 'thanks, '.repeat(500) }] });
  });
});

describe('a browser', () => {
  test('[COMP-4] [COMP-6] reads compressed frames and events one by one', async () => {
    await using browser = await Chromium.launch();
    for (const mode of MODES) {
      const server = servers[mode];
      const channel = newChannel();
      const page = await browser.open(`${server.url}/healthz`);
      await page.evaluate(listenInPage, channel);
      for (let offset = 1; offset <= 4; offset += 1) {
        await server.publish(channel, offset === 3 ? 'small' : LARGE);
        // Each is there before the next one is published.
        await page.waitForFunction(hasSeen, offset);
      }
      expect(await page.evaluate(seenInPage)).toEqual({
        extensions: expect.stringContaining('permessage-deflate') as unknown,
        webSocket: [LARGE, LARGE, 'small', LARGE],
        events: [LARGE, LARGE, 'small', LARGE],
      });
      await page.close();
    }
  });
});

interface Seen {
  extensions: string;
  readonly webSocket: unknown[];
  readonly events: unknown[];
}

type Watching = typeof globalThis & { seen: Seen };

/** Runs in the page: resolves when both transports are subscribed. */
async function listenInPage(channel: string): Promise<void> {
  const seen: Seen = { extensions: '', webSocket: [], events: [] };
  (globalThis as Watching).seen = seen;
  const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/v1/ws`);
  await new Promise<void>((resolve) => {
    socket.addEventListener('message', ({ data }) => {
      for (const line of String(data).split('\n')) {
        const fields = JSON.parse(line) as { type: string; data: unknown };
        if (fields.type === 'welcome') {
          seen.extensions = socket.extensions;
          socket.send(JSON.stringify({ type: 'subscribe', id: 1, channel }));
        } else if (fields.type === 'subscribed') resolve();
        else if (fields.type === 'message') seen.webSocket.push(fields.data);
      }
    });
  });
  const source = new EventSource(`/v1/sse?channel=${encodeURIComponent(channel)}`);
  source.addEventListener('message', ({ data }) => seen.events.push(JSON.parse(String(data))));
  await new Promise((resolve) => source.addEventListener('open', resolve));
}

function hasSeen(count: number): boolean {
  const { webSocket, events } = (globalThis as Watching).seen;
  return webSocket.length === count && events.length === count;
}

function seenInPage(): Seen {
  return (globalThis as Watching).seen;
}
