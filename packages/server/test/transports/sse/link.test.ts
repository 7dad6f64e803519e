import { gunzipSync } from 'node:zlib';
import type { Close } from '@trunkline/server/internal/link/link.ts';
import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import { SSE_DEFAULTS } from '@trunkline/server/internal/transports/sse/config.ts';
import type { SseConfig } from '@trunkline/server/internal/transports/sse/config.ts';
import type { EventGzipConfig } from '@trunkline/server/internal/transports/sse/gzip.ts';
import { describeLink } from '@trunkline/testkit/contracts/link';
import { afterEach, describe, expect, test } from 'vitest';
import { Harness, HEAD, TICK_MS } from './peer.ts';

const { keepAliveMs, stalledMs } = SSE_DEFAULTS;

const opened: Harness[] = [];

afterEach(async () => {
  for (const harness of opened.splice(0)) await harness[Symbol.asyncDispose]();
});

describeLink('SseLink', async (handler) => {
  const harness = await Harness.open();
  harness.link.open(handler);
  return harness;
});

async function start(config: Partial<SseConfig> = {}, head = HEAD, gzip?: EventGzipConfig) {
  const harness = await Harness.open(config, head, gzip);
  const closes: Close[] = [];
  opened.push(harness);
  harness.link.open({ onFrame() {}, onDrain() {}, onClose: (close) => closes.push(close) });
  return Object.assign(harness, { closes });
}

/** Sends to a peer that does not read until bytes wait that nobody takes. */
async function fill({ link, peer, rest }: Harness): Promise<void> {
  peer.setReading(false);
  const batch = new SharedBatch(Buffer.alloc(256 * 1024, 'x'), true);
  do {
    link.sendShared(batch);
    await rest();
  } while (link.pendingBytes === 0);
}

describe('a quiet stream', () => {
  test('gets a comment after 15 seconds without another byte [SSE-7]', async () => {
    const { clock, peer, rest, until } = await start();
    clock.advance(keepAliveMs - 1);
    await rest();
    expect(peer.frames).toEqual([]);
    clock.advance(1 + TICK_MS);
    await until('a comment', () => peer.frames.length === 1);
    clock.advance(keepAliveMs + TICK_MS);
    await until('another', () => peer.frames.length === 2);
    expect(peer.frames).toEqual([':\n\n', ':\n\n']);
  });

  test('has no timer left once it is gone', async () => {
    const harness = await start();
    expect(harness.wheel.armedCount).toBe(1);
    harness.peer.drop();
    await harness.until('the end', () => harness.closes.length === 1);
    expect(harness.wheel.armedCount).toBe(0);
  });

  test('sees that its peer has left, though nothing is sent', async () => {
    const harness = await start();
    harness.peer.socket.end();
    await harness.until('the end', () => harness.closes.length === 1);
    expect(harness.goneCount).toBe(1);
  });
});

describe('a peer that does not take what is sent', () => {
  test('is cut when it takes nothing for so long', async () => {
    const harness = await start();
    await fill(harness);
    for (let ms = 0; ms < stalledMs; ms += keepAliveMs) {
      expect(harness.closes).toEqual([]);
      harness.clock.advance(keepAliveMs + TICK_MS);
      await harness.rest();
    }
    harness.clock.advance(keepAliveMs + TICK_MS);
    await harness.until('the end', () => harness.closes.length === 1);
    expect(harness.closes).toEqual([{ code: 'timeout' }]);
  });

  test('is slow and not gone as long as it takes something, however much is added', async () => {
    const harness = await start();
    const { clock, link, peer, rest } = harness;
    await fill(harness);
    const batch = new SharedBatch(Buffer.alloc(512 * 1024, 'y'), true);
    for (let look = 0; look < 12; look += 1) {
      const before = link.pendingBytes;
      peer.setReading(true);
      await harness.until('something taken', () => link.pendingBytes < before);
      peer.setReading(false);
      // More waits than at the look before, each time.
      while (link.pendingBytes <= before) {
        link.sendShared(batch);
        await rest();
      }
      clock.advance(keepAliveMs + TICK_MS);
      await rest();
      expect(harness.closes).toEqual([]);
    }
  });

  test('gets no comments on top of what it has not taken', async () => {
    const harness = await start();
    await fill(harness);
    const before = harness.link.pendingBytes;
    harness.clock.advance(keepAliveMs + TICK_MS);
    await harness.rest();
    expect(harness.link.pendingBytes).toBe(before);
  });
});

describe('the end of a stream', () => {
  test('is a close event, the last chunk, and the end of the connection', async () => {
    const { link, peer, until } = await start();
    link.send('data: 1\n\n');
    link.close({ code: 'draining', retryAfter: 30 });
    await until('the end', () => peer.ended);
    expect(peer.frames).toEqual([
      'data: 1\n\n',
      'retry: 30\nevent: close\ndata: {"code":"draining","retryAfter":30}\n\n',
    ]);
    expect(peer.complete).toBe(true);
  });

  test('has no chunks for a client of HTTP/1.0', async () => {
    const { link, peer, until } = await start({}, { ...HEAD, version: '1.0' });
    link.send('data: 1\n\n');
    link.close({ code: 'draining' });
    await until('the end', () => peer.ended);
    expect(peer.frames.join('')).toBe(
      'data: 1\n\nretry: 1000\nevent: close\ndata: {"code":"draining"}\n\n',
    );
  });

  test('does not wait for ever for a peer that does not take its goodbye', async () => {
    const harness = await start();
    await fill(harness);
    harness.link.close({ code: 'draining' });
    await harness.rest();
    expect(harness.closes).toEqual([]);
    harness.clock.advance(keepAliveMs + TICK_MS);
    await harness.until('the end', () => harness.closes.length === 1);
    expect(harness.closes).toEqual([{ code: 'draining' }]);
  });

  test('is cut when the peer keeps its side open', async () => {
    const harness = await Harness.open();
    opened.push(harness);
    harness.peer.socket.allowHalfOpen = true;
    harness.link.open({ onFrame() {}, onDrain() {}, onClose() {} });
    harness.link.close({ code: 'draining' });
    await harness.until('the goodbye', () => harness.peer.ended);
    await harness.rest();
    expect(harness.goneCount).toBe(0);
    harness.clock.advance(keepAliveMs + TICK_MS);
    await harness.until('the end', () => harness.goneCount === 1);
  });
});

describe('a compressed stream [COMP-6]', () => {
  const GZIP: EventGzipConfig = { payloadBytesMin: 100, level: 6 };
  const EVENT = `data: ${'some text '.repeat(30)}\n\n`;

  test.each(['1.0', '1.1', '2'] as const)('on HTTP/%s is whole to its end', async (version) => {
    const { link, peer, until } = await start({}, { ...HEAD, version }, GZIP);
    link.send('event: open\ndata: {}\n\n');
    link.sendShared(new SharedBatch(Buffer.from(EVENT), true));
    link.sendShared(new SharedBatch(Buffer.from('data: 1\n\n'), true));
    link.close({ code: 'draining', retryAfter: 30 });
    await until('the end', () => peer.ended);
    expect(gunzipSync(Buffer.concat(peer.body)).toString()).toBe(
      `event: open\ndata: {}\n\n${EVENT}data: 1\n\n` +
        'retry: 30\nevent: close\ndata: {"code":"draining","retryAfter":30}\n\n',
    );
    expect(peer.complete).toBe(version === '1.1');
  });

  test('that stays quiet gets its comments', async () => {
    const { link, clock, peer, until } = await start({}, HEAD, GZIP);
    await until('the head', () => peer.body.length === 1);
    clock.advance(keepAliveMs + TICK_MS);
    await until('a comment', () => peer.body.length === 2);
    link.close({ code: 'draining' });
    await until('the end', () => peer.ended);
    expect(gunzipSync(Buffer.concat(peer.body)).toString()).toMatch(/^:\n\nretry: /);
  });

  test('that its peer does not read is cut like any other', async () => {
    const harness = await start({}, HEAD, { ...GZIP, payloadBytesMin: 2 ** 30 });
    await fill(harness);
    harness.link.close({ code: 'draining' });
    harness.clock.advance(keepAliveMs + TICK_MS);
    await harness.until('the end', () => harness.closes.length === 1);
    expect(harness.closes).toEqual([{ code: 'draining' }]);
  });
});
