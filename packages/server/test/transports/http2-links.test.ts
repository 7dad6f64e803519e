import type { Link } from '@trunkline/server/internal/link/link.ts';
import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import { describeLink } from '@trunkline/testkit/contracts/link';
import type { LinkHarness } from '@trunkline/testkit/contracts/link';
import { describe, expect, test } from 'vitest';
import { until } from '../http/set-up.ts';
import { Http2Links } from './http2-set-up.ts';

function harness(links: Http2Links, opened: Pick<LinkHarness, 'link' | 'peer'>): LinkHarness {
  const { settle } = links;
  return { ...opened, settle, [Symbol.asyncDispose]: () => links[Symbol.asyncDispose]() };
}

describeLink('WebSocketLink over HTTP/2', async (handler) => {
  const links = await Http2Links.open();
  return harness(links, await links.webSocket(handler));
});

describeLink('WebSocketLink over HTTP/2 and TLS', async (handler) => {
  const links = await Http2Links.open({}, true);
  return harness(links, await links.webSocket(handler));
});

describeLink('SseLink over HTTP/2', async (handler) => {
  const links = await Http2Links.open();
  const { link, peer } = await links.eventStream(handler);
  return harness(links, { link: withEmptyLines(link), peer });
});

/** The body of an answer has no frames in HTTP/2: here each is an event with its empty line. */
function withEmptyLines(link: Link): Link {
  const end = Buffer.from('\n\n');
  return {
    info: link.info,
    traits: link.traits,
    get pendingBytes() {
      return link.pendingBytes;
    },
    send: (frame) => link.send(`${frame.toString()}\n\n`),
    sendShared: ({ payload, text }) =>
      link.sendShared(new SharedBatch(Buffer.concat([payload, end]), text)),
    requestDrain: () => link.requestDrain(),
    setPaused: (paused) => link.setPaused(paused),
    close: (close) => link.close(close),
  };
}

/** Sends until the link has so many bytes that nobody takes. */
async function fill(link: Link, { settle }: Http2Links, bytes: number): Promise<void> {
  const batch = new SharedBatch(Buffer.alloc(32 * 1024, 'x'), true);
  for (let round = 0; link.pendingBytes < bytes; round += 1) {
    if (round > 1000) throw new Error('expected pending bytes, all were taken');
    link.sendShared(batch);
    for (let turn = 0; turn < 5; turn += 1) await settle();
  }
}

describe('links of one session', () => {
  test('one that is not read has bytes pending, and the others go on', async () => {
    await using links = await Http2Links.open();
    const slow = await links.webSocket();
    const quick = await links.webSocket();
    const events = await links.eventStream();
    slow.peer.setReading(false);
    await fill(slow.link, links, 512 * 1024);
    for (let count = 1; count <= 200; count += 1) {
      const batch = new SharedBatch(Buffer.from(`data: ${count} ${'y'.repeat(2000)}\n\n`), true);
      quick.link.sendShared(batch);
      events.link.sendShared(batch);
      await until(() => quick.peer.frames.length === count, `frame ${count}`);
    }
    await until(() => events.peer.frames.length === 200, 'all events');
    expect(slow.link.pendingBytes).toBeGreaterThanOrEqual(512 * 1024);
    expect(quick.link.pendingBytes).toBe(0);
  });

  test('a window of zero holds everything back, and opens later', async () => {
    await using links = await Http2Links.open({ initialWindowSize: 0 });
    const { link, peer } = await links.webSocket();
    link.send('hello');
    for (let turn = 0; turn < 50; turn += 1) await links.settle();
    expect(link.pendingBytes).toBeGreaterThan(0);
    expect(peer.frames).toEqual([]);
    links.session.settings({ initialWindowSize: 1000 });
    await until(() => peer.frames.length === 1, 'the frame');
    await until(() => link.pendingBytes === 0, 'nothing pending');
  });

  test('a peer of which nothing is read is stopped by its window, and others go on', async () => {
    await using links = await Http2Links.open();
    const frames: unknown[] = [];
    const paused = await links.webSocket({
      onFrame: (frame) => frames.push(frame),
      onDrain() {},
      onClose() {},
    });
    const other = await links.webSocket({
      onFrame: (frame) => other.link.send(frame),
      onDrain() {},
      onClose() {},
    });
    paused.link.setPaused(true);
    for (let count = 0; count < 40; count += 1) paused.peer.send('z'.repeat(32 * 1024));
    for (let count = 1; count <= 40; count += 1) {
      other.peer.send('w'.repeat(32 * 1024));
      await until(() => other.peer.frames.length === count, `echo ${count}`);
    }
    expect(frames).toEqual([]);
    // What the server has not taken is the client's to keep.
    expect(paused.peer.stream.writableLength).toBeGreaterThan(1024 * 1024);
    paused.link.setPaused(false);
    await until(() => frames.length === 40, 'all frames');
  });

  test('one that is cut is reset with CANCEL, one that ends well is not', async () => {
    await using links = await Http2Links.open();
    const cut = await links.eventStream();
    const ended = await links.eventStream();
    cut.peer.setReading(false);
    await fill(cut.link, links, 1024);
    cut.link.close({ code: 'draining' });
    ended.link.close({ code: 'draining' });
    await until(() => ended.peer.stream.closed, 'the end');
    expect(ended.peer.stream.rstCode).toBe(0);
    expect(ended.peer.frames.join('')).toContain('event: close');
    // It does not take its goodbye.
    links.server.clock.advance(60_000);
    await until(() => cut.peer.stream.closed, 'the cut');
    expect(cut.peer.stream.rstCode).toBe(8);
  });

  test('end with their session, each of them once', async () => {
    await using links = await Http2Links.open();
    let closes = 0;
    const handler = { onFrame() {}, onDrain() {}, onClose: () => (closes += 1) };
    for (let count = 0; count < 10; count += 1) {
      await (count % 2 === 0 ? links.webSocket(handler) : links.eventStream(handler));
    }
    links.session.destroy();
    await until(() => closes === 10, 'ten ends');
    await until(() => links.server.listener.connectionCount === 0, 'no connection');
    expect(closes).toBe(10);
    expect(links.server.wheel.armedCount).toBe(0);
  });

  test('a silent client is pinged and dropped, the session stays', async () => {
    await using links = await Http2Links.open();
    const silent = await links.webSocket();
    const events = await links.eventStream();
    links.server.clock.advance(25_500);
    await until(() => silent.peer.pings.length === 1, 'a ping');
    links.server.clock.advance(10_500);
    await until(() => silent.peer.stream.closed, 'the end');
    events.link.sendShared(new SharedBatch(Buffer.from('data: on\n\n'), true));
    await until(() => events.peer.frames.includes('data: on'), 'an event');
  });
});
