/** Names and patterns that match the same channels, over connections of a real server that break. */
import { connect, longPoll, sse, websocket } from '@trunkline/client';
import type { Line, Transport } from '@trunkline/client';
import { binary } from '@trunkline/client/binary';
import { matchesPattern } from '@trunkline/wire';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Proxy } from '../../src/proxy.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';

const CHANNELS = ['w/a', 'w/b', 'w/c/d'];
const POLL = { timeout: 20_000, interval: 20 };
const ROUNDS = 5;

/** Somebody who writes down what a name or pattern brings. */
class Listener {
  readonly filter: string;
  readonly told: string[] = [];
  readonly losses: string[] = [];
  hasBegun = false;
  place: string | undefined;

  constructor(line: Line, filter: string, after?: string) {
    this.filter = filter;
    const channel = line.channel<number>(filter, { ...(after !== undefined && { after }) });
    const end = channel.subscribe({
      onMessage: ({ channel: name, offset }) => void this.told.push(`${name} ${offset}`),
      onOpen: ({ position, mark }) => {
        this.hasBegun = true;
        this.place ??= position ?? mark;
      },
      onGap: ({ channel: name, position }) => void this.losses.push(`${name} ${position}`),
      onMark: (mark) => void (this.place = mark),
    });
    onTestFinished(end);
  }

  /** What it was told: of each channel in the order in which it came. */
  byChannel(): string[] {
    return CHANNELS.flatMap((name) => this.told.filter((word) => word.startsWith(`${name} `)));
  }

  /** What it should have been told by now. */
  expected(log: ReadonlyMap<string, readonly number[]>): string[] {
    return [...log].flatMap(([channel, offsets]) =>
      channel === this.filter || matchesPattern(this.filter, channel)
        ? offsets.map((offset) => `${channel} ${offset}`)
        : [],
    );
  }
}

/** Publishes to each channel, and writes down where. */
async function publish(server: LabServer, log: Map<string, number[]>): Promise<void> {
  for (const channel of CHANNELS) {
    const stored = await server.publish(channel, 1, 2, 3);
    log.set(channel, [...(log.get(channel) ?? []), ...stored.map(({ offset }) => offset)]);
  }
}

async function tellAll(listeners: readonly Listener[], log: Map<string, number[]>): Promise<void> {
  for (const listener of listeners) {
    await expect.poll(() => listener.byChannel(), POLL).toEqual(listener.expected(log));
    expect(listener.losses).toEqual([]);
  }
}

const WAYS: readonly (readonly [string, Transport, typeof binary | undefined])[] = [
  ['websocket', websocket, undefined],
  ['websocket in binary', websocket, binary],
  ['sse', sse, undefined],
  ['long-poll', longPoll, undefined],
];

describe.each(WAYS)('over %s', (_name, transport, encoding) => {
  test.each([[['w/a', 'w/+']], [['w/+', 'w/a']], [['w/+', 'w/#']], [['w/+', 'w/+', 'w/a', 'w/#']]])(
    '[APART-1] [REC-2] %j are each told everything once, whatever breaks between',
    async (all) => {
      await using server = await startServer({ dev: true });
      await using proxy = await Proxy.before(server.port);
      const options = { transports: [transport], ...(encoding !== undefined && { encoding }) };
      const line = connect(proxy.url, options);
      onTestFinished(() => line.close());
      const log = new Map<string, number[]>();
      const listeners: Listener[] = [];
      for (const filter of all) {
        listeners.push(new Listener(line, filter));
        await expect.poll(() => listeners.every(({ hasBegun }) => hasBegun), POLL).toBe(true);
      }
      for (let round = 0; round < ROUNDS; round += 1) {
        await publish(server, log);
        if (round % 2 === 0) await tellAll(listeners, log);
        proxy.cut();
        await publish(server, log);
      }
      await tellAll(listeners, log);
    },
  );

  test('[APART-3] one pattern is read from several places, each told what comes behind its own', async () => {
    await using server = await startServer({ dev: true });
    await using proxy = await Proxy.before(server.port);
    const options = { transports: [transport], ...(encoding !== undefined && { encoding }) };
    const line = connect(proxy.url, options);
    onTestFinished(() => line.close());
    const log = new Map<string, number[]>();
    const first = new Listener(line, 'w/#');
    await expect.poll(() => first.hasBegun, POLL).toBe(true);
    const start = first.place;
    await publish(server, log);
    await tellAll([first], log);
    const later = [new Listener(line, 'w/#', start), new Listener(line, 'w/#', 'start')];
    proxy.cut();
    await publish(server, log);
    await tellAll([first, ...later], log);
    proxy.cut();
    await publish(server, log);
    await tellAll([first, ...later], log);
  });
});
