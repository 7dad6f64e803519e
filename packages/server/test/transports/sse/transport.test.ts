import { gunzipSync } from 'node:zlib';
import type { Socket } from 'node:net';
import type { HttpAnswer, StreamRequest } from '@trunkline/server/internal/http/request.ts';
import type { Close, Link } from '@trunkline/server/internal/link/link.ts';
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { SSE_DEFAULTS } from '@trunkline/server/internal/transports/sse/config.ts';
import type { EventGzipConfig } from '@trunkline/server/internal/transports/sse/gzip.ts';
import { SseTransport } from '@trunkline/server/internal/transports/sse/transport.ts';
import type { Admission, Admit } from '@trunkline/server/internal/transports/transport.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';
import { ManualClock } from '@trunkline/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { openSockets, until } from '../websocket/peer.ts';
import { HEAD, StreamPeer } from './peer.ts';

const opened: { destroy(): void }[] = [];

afterEach(() => {
  for (const one of opened.splice(0)) one.destroy();
});

/** A request over a real socket, and what became of it. */
class Asked {
  readonly peer: StreamPeer;
  readonly #server: Socket;
  accepted: { readonly status: number; readonly headers: Readonly<Record<string, string>> }[] = [];
  refused: HttpAnswer[] = [];

  constructor({ server, client }: { readonly server: Socket; readonly client: Socket }) {
    server.allowHalfOpen = false;
    this.#server = server;
    this.peer = new StreamPeer(client);
    opened.push(server, client);
  }

  requestWith(fields: StreamRequest['headers']): StreamRequest {
    return {
      ...HEAD,
      headers: fields,
      accept: (status, headers) => {
        this.accepted.push({ status, headers });
        return this.#server;
      },
      refuse: (answer) => void this.refused.push(answer),
    };
  }
}

/** How the transport is made, and what is asked of it. */
interface Asking {
  readonly gzip?: EventGzipConfig;
  readonly headers?: StreamRequest['headers'];
}

async function ask(admit: Admit, { gzip, headers = {} }: Asking = {}) {
  const clock = new ManualClock();
  const lines: string[] = [];
  const log = { ...silentLog, error: (_fields: object, text: string) => lines.push(text) };
  const wheel = new Wheel(clock);
  const config = SSE_DEFAULTS;
  const parts = { turn: new Turn(clock), wheel, log, admit, config };
  const transport = new SseTransport(gzip === undefined ? parts : { ...parts, gzip });
  const asked = new Asked(await openSockets());
  transport.onEventStream(asked.requestWith(headers));
  const wait = (what: string, condition: () => boolean) =>
    until(what, condition, () => clock.settle().then(() => {}));
  return { asked, clock, lines, transport, wait };
}

function welcome(onOpen: (link: Link) => void, closes: Close[] = []): Admission {
  const headers = { vary: 'Origin' };
  return {
    kind: 'welcome',
    headers,
    open(link) {
      onOpen(link);
      return { onFrame() {}, onDrain() {}, onClose: (close) => closes.push(close) };
    },
  };
}

function refusal(code: Close['code'], retryAfter?: number): Admission {
  const close = retryAfter === undefined ? { code } : { code, retryAfter };
  return { kind: 'refused', close, message: 'why', tellInside: false, headers: { vary: 'Origin' } };
}

describe('a request that is let in', () => {
  test('is answered with a stream that no proxy holds back [SSE-1]', async () => {
    const { asked, transport, wait } = await ask(() => welcome((link) => link.send('data: 1\n\n')));
    await wait('an event', () => asked.peer.frames.length === 1);
    expect(asked.peer.frames).toEqual(['data: 1\n\n']);
    expect(asked.accepted).toEqual([
      {
        status: 200,
        headers: {
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-cache, no-transform',
          'x-accel-buffering': 'no',
          vary: 'Origin',
        },
      },
    ]);
    expect(transport.links.size).toBe(1);
  });

  test('is let in later just as well', async () => {
    const { asked, wait } = await ask(() =>
      Promise.resolve(welcome((link) => link.send('data: 1\n\n'))),
    );
    await wait('an event', () => asked.peer.frames.length === 1);
  });

  test('is forgotten when its peer leaves, and its handler is told', async () => {
    const closes: Close[] = [];
    const { asked, transport, wait } = await ask(() => welcome(() => {}, closes));
    asked.peer.drop();
    await wait('no link', () => transport.links.size === 0);
    expect(closes).toEqual([{ code: 'normal' }]);
  });

  test('ends with a code when what should serve it fails', async () => {
    const { asked, lines, transport, wait } = await ask(() =>
      welcome(() => {
        throw new Error('a bug');
      }),
    );
    await wait('the end', () => asked.peer.ended);
    expect(asked.peer.frames).toEqual(['retry: 1000\nevent: close\ndata: {"code":"internal"}\n\n']);
    expect(lines).toEqual(['opening an event stream failed']);
    await wait('no link', () => transport.links.size === 0);
  });
});

describe('a request that is refused', () => {
  test.each(['unavailable', 'draining', 'rate_limited', 'timeout', 'internal'] as const)(
    'with %s is a stream that says so and ends, for a browser to come back [SSE-8]',
    async (code) => {
      const { asked, transport, wait } = await ask(() => refusal(code, 2_500));
      await wait('the end', () => asked.peer.ended);
      expect(asked.refused).toEqual([]);
      expect(asked.accepted).toMatchObject([{ status: 200, headers: { vary: 'Origin' } }]);
      expect(asked.peer.frames).toEqual([
        `retry: 2500\nevent: close\ndata: {"code":"${code}","retryAfter":2500}\n\n`,
      ]);
      expect(asked.peer.complete).toBe(true);
      await wait('no link', () => transport.links.size === 0);
    },
  );

  test.each([
    ['bad_request', 400],
    ['unauthenticated', 401],
    ['forbidden', 403],
    ['not_found', 404],
  ] as const)('with %s is answered with %i, for a browser to stay away', async (code, status) => {
    const { asked } = await ask(() => refusal(code));
    expect(asked.accepted).toEqual([]);
    expect(asked.refused).toMatchObject([{ status, headers: { vary: 'Origin' } }]);
  });

  test('is cut when it does not take the refusal, or keeps its side open', async () => {
    const { asked, clock, transport, wait } = await ask(() => refusal('unavailable'));
    asked.peer.socket.allowHalfOpen = true;
    await wait('the refusal', () => asked.peer.ended);
    expect(transport.links.size).toBe(1);
    clock.advance(SSE_DEFAULTS.keepAliveMs + 1_000);
    await wait('no link', () => transport.links.size === 0);
  });

  test('may break off in the middle of it', async () => {
    const { asked, transport, wait } = await ask(() => refusal('unavailable'));
    asked.peer.drop();
    await wait('no link', () => transport.links.size === 0);
  });
});

describe('an admission that fails', () => {
  const admissions: readonly [string, Admit][] = [
    [
      'at once',
      () => {
        throw new Error('a bug');
      },
    ],
    ['later', () => Promise.reject(new Error('a bug'))],
  ];

  test.each(admissions)('%s is the fault of the server, which says so', async (_when, admit) => {
    const { asked, lines, wait } = await ask(admit);
    await wait('the end', () => asked.peer.ended);
    expect(asked.peer.frames).toEqual(['retry: 1000\nevent: close\ndata: {"code":"internal"}\n\n']);
    expect(lines).toEqual(['admitting an event stream failed']);
  });
});

describe('compression [COMP-6]', () => {
  const GZIP: EventGzipConfig = { payloadBytesMin: 100, level: 6 };
  const ASKS = { 'accept-encoding': 'gzip, deflate, br' };
  const sends: Admit = () => welcome((link) => link.send('data: 1\n\n'));

  test('is for those who ask for it', async () => {
    const { asked, transport, wait } = await ask(sends, { gzip: GZIP, headers: ASKS });
    for (const link of transport.links) link.close({ code: 'draining' });
    await wait('the end', () => asked.peer.ended);
    expect(asked.accepted[0]?.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'content-encoding': 'gzip',
      vary: 'Origin, Accept-Encoding',
    });
    expect(gunzipSync(Buffer.concat(asked.peer.body)).toString()).toMatch(
      /^data: 1\n\nretry: \d+\nevent: close\n/,
    );
  });

  test.each<[string, Asking, string]>([
    ['of those who do not', { gzip: GZIP }, 'Origin, Accept-Encoding'],
    ['where it is off', { headers: ASKS }, 'Origin'],
  ])('is kept from the streams %s', async (_, asking, vary) => {
    const { asked, wait } = await ask(sends, asking);
    await wait('an event', () => asked.peer.frames.length === 1);
    expect(asked.peer.frames).toEqual(['data: 1\n\n']);
    expect(asked.accepted[0]?.headers).toMatchObject({ vary });
    expect(asked.accepted[0]?.headers).not.toHaveProperty('content-encoding');
  });

  test('does not keep a browser from reading why it is refused for now [SSE-8]', async () => {
    const { asked, wait } = await ask(() => refusal('unavailable', 5000), {
      gzip: GZIP,
      headers: ASKS,
    });
    await wait('the end', () => asked.peer.ended);
    expect(gunzipSync(Buffer.concat(asked.peer.body)).toString()).toContain('event: close');
  });
});
