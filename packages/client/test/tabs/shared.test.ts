/** Lines that share a line, with a server that the test plays. */
import { CodedError } from '@trunkline/wire';
import { ManualClock } from '@trunkline/testkit';
import { expect, test } from 'vitest';
import { json } from '../../src/encodings/json.ts';
import { everything } from '../../src/index.ts';
import { Line } from '../../src/line.ts';
import { lineUpstream } from '../../src/tabs/line-upstream.ts';
import { sharedTransport } from '../../src/tabs/shared.ts';
import type { ReadListener, UpstreamStart } from '../../src/tabs/upstream.ts';
import type { AttemptSink, Target, Transport, Wish } from '../../src/transports/transport.ts';
import { fakePlatform } from '../support/fakes.ts';

/** One server that takes everything, and its newest attempt. */
class Server {
  readonly targets: Target[] = [];
  readonly wishes: (Wish | undefined)[] = [];
  readonly heard: string[] = [];
  sink: AttemptSink | undefined;
  readonly transport: Transport = {
    name: 'websocket',
    fault: () => undefined,
    open: (target, sink) => {
      this.targets.push(target);
      this.sink = sink;
      return {
        revise: (filter) => this.#read(filter),
        request: ({ kind }) => {
          this.heard.push(kind);
          return Promise.resolve({
            fields: { channel: 'a', offset: 1, epoch: 'e', position: 'e:1' },
          });
        },
        send: (members) => this.heard.push(members),
        renew: (token) => this.heard.push(`renew ${token}`),
        probe: () => this.heard.push('probe'),
        close: () => this.heard.push('close'),
      };
    },
  };

  accept(): void {
    this.sink?.onReady({ session: 's' });
    for (const key of this.sink?.keys() ?? []) this.#read(key);
  }

  push(channel: string, offset: number, mark?: string): void {
    const place = { offset, epoch: 'e', data: offset };
    const rest = mark === undefined ? {} : { mark };
    const message = { kind: 'message', channel, ...place, ...rest } as const;
    this.sink?.onMessage(message, this.sink.keys());
  }

  #read(key: string): void {
    const wish = this.sink?.wish(key);
    this.wishes.push(wish);
    if (wish === undefined) return;
    const { filter } = wish;
    const { after = filter.includes('#') ? '~0' : 'e:0' } = wish;
    const at = after.startsWith('~') ? { mark: after } : { position: after };
    queueMicrotask(() => this.sink?.onOpen({ kind: 'open', channel: filter, ...at }, key));
  }
}

function listener(told: string[]): ReadListener {
  return {
    onOpen: ({ position, mark }) => told.push(`open ${position ?? mark}`),
    onMessage: ({ offset }) => told.push(String(offset)),
    onGap: ({ position }) => told.push(`gap ${position}`),
    onMark: (mark) => told.push(`mark ${mark}`),
    onExpired: (_channel, position) => told.push(`expired ${position}`),
    onPresence: ({ kind }) => told.push(kind),
    onSnapshot: ({ position }) => told.push(`snapshot ${position}`),
    onRefused: ({ message }) => told.push(`refused: ${message}`),
  };
}

async function openUpstream(rest: Partial<UpstreamStart> = {}) {
  const server = new Server();
  const clock = new ManualClock();
  const platform = { ...fakePlatform(), clock };
  const target = { url: 'http://a.example', encoding: json };
  const upstream = lineUpstream([server.transport])({ target, platform, ...rest });
  const states: string[] = [];
  upstream.onState(() => states.push(upstream.state.kind));
  await clock.settle();
  return { server, clock, upstream, states };
}

test('an upstream is ready with what the server said, away after a loss, and comes back', async () => {
  const { server, clock, upstream, states } = await openUpstream();
  expect(upstream.state.kind).toBe('away');
  const ask = { kind: 'publish', members: '' } as const;
  await expect(upstream.request(ask)).rejects.toMatchObject({ stored: false });
  server.accept();
  expect(upstream.state).toEqual({ kind: 'ready', welcome: { session: 's' } });
  await upstream.request(ask);
  upstream.send('m');
  upstream.renew('t');
  upstream.probe();
  expect(server.heard).toEqual(['publish', 'm', 'renew t', 'probe']);
  server.sink?.onEnd({ kind: 'lost', reason: 'r' });
  await clock.pass(1000);
  server.accept();
  expect(states).toEqual(['ready', 'away', 'ready']);
  expect(server.targets).toHaveLength(2);
  upstream.close();
  expect(server.heard.at(-1)).toBe('close');
});

test('[GUA-3] each reading has its own place, and hears the marks and what expired', async () => {
  const { server, clock, upstream } = await openUpstream();
  server.accept();
  const all: string[] = [];
  const named: string[] = [];
  upstream.read({ filter: '#' }, listener(all));
  await clock.settle();
  const reading = upstream.read({ filter: 'a', after: 'e:1' }, listener(named));
  await clock.settle();
  for (const offset of [1, 2]) server.push('a', offset);
  server.sink?.onMark(['#'], '~2');
  server.sink?.onExpired('a', 'e:3');
  expect(all.splice(0)).toEqual(['open ~0', '1', '2', 'mark ~2']);
  expect(named.splice(0)).toEqual(['open e:1', '2', 'expired e:3']);
  reading.end();
  reading.end();
  server.push('a', 4);
  expect([all, named]).toEqual([['4'], []]);
});

test('a reading that is refused has ended, and the others go on', async () => {
  const { server, clock, upstream } = await openUpstream();
  server.accept();
  const told: string[] = [];
  upstream.read({ filter: 'a' }, listener(told));
  await clock.settle();
  server.sink?.onRefused('a', new CodedError('forbidden', 'no'));
  expect(told).toEqual(['open e:0', 'refused: no']);
  expect(upstream.state.kind).toBe('ready');
});

test("the server's last word ends an upstream", async () => {
  const { server, upstream } = await openUpstream();
  server.accept();
  server.sink?.onEnd({ kind: 'refused', error: new CodedError('forbidden', 'no') });
  expect(upstream.state).toMatchObject({ kind: 'ended', ending: { kind: 'refused' } });
});

test('an upstream asks for its token', async () => {
  const { server } = await openUpstream({ token: () => Promise.resolve('t') });
  expect(server.targets).toMatchObject([{ token: 't' }]);
});

test('a line reads and publishes over the connection that it shares', async () => {
  const server = new Server();
  const clock = new ManualClock();
  const platform = { ...fakePlatform(), clock };
  const line = new Line('http://shared.example', {
    features: everything,
    ...platform,
    token: 't',
    transports: [sharedTransport({ transports: [server.transport], token: 't', name: 'x' })],
  });
  const got: unknown[] = [];
  line.channel('a').subscribe(({ data }) => {
    got.push(data);
  });
  await expect.poll(() => server.targets.length).toBe(1);
  server.accept();
  await expect.poll(() => server.wishes.length).toBe(1);
  await clock.settle();
  server.push('a', 1);
  server.push('a', 2);
  await expect.poll(() => got).toEqual([1, 2]);
  expect([line.state, line.transport]).toEqual(['connected', 'shared']);
  expect(server.targets).toMatchObject([{ token: 't' }]);
  expect(await line.publish('a', 1)).toMatchObject({ position: 'e:1' });
  line.close();
  clock.advance(10_000);
  await expect.poll(() => server.heard.at(-1)).toBe('close');
});
