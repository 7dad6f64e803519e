import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import { TCP_DEFAULTS } from '@trunkline/server/internal/transports/tcp/config.ts';
import { CONTROL_BYTES_MAX } from '@trunkline/server/internal/transports/stream-link.ts';
import { describeLink } from '@trunkline/testkit/contracts/link';
import { afterEach, describe, expect, test } from 'vitest';
import { Recorder, TcpWorld, TICK_MS } from './set-up.ts';
import type { TestOptions } from './set-up.ts';

const opened: TcpWorld[] = [];

afterEach(async () => {
  for (const world of opened.splice(0)) await world[Symbol.asyncDispose]();
});

describeLink('TcpLink', async (handler) => {
  const world = await TcpWorld.start({ open: () => handler });
  const { peer, link } = await world.connect();
  peer.socket.on('end', () => peer.socket.end());
  return {
    link,
    peer,
    settle: world.settle,
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
});

async function start(options: TestOptions = {}) {
  const handler = new Recorder();
  const world = await TcpWorld.start({ open: () => handler, ...options });
  opened.push(world);
  return { world, handler, ...(await world.connect()), until: world.until };
}

/** Sends to a peer that does not read until the link has bytes that nobody takes. */
async function fill({ link, peer, world }: Awaited<ReturnType<typeof start>>): Promise<void> {
  peer.setReading(false);
  const batch = new SharedBatch(Buffer.alloc(256 * 1024, 'x'), false);
  do {
    link.sendShared(batch);
    for (let round = 0; round < 20; round += 1) await world.settle();
  } while (link.pendingBytes === 0);
}

describe('bytes', () => {
  test('are handed on as they come, and written as they are', async () => {
    const { peer, link, handler, until } = await start();
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    peer.send(bytes);
    await until('all bytes', () => handler.text.length === 256);
    expect(Buffer.from(handler.text, 'latin1')).toEqual(Buffer.from(bytes));
    const batch = new SharedBatch(bytes, false);
    link.sendShared(batch);
    await until('the same', () => peer.text.length === 256);
    expect(Buffer.from(peer.text, 'latin1')).toEqual(Buffer.from(bytes));
    expect(link.traits).toEqual({ duplex: true, binary: true, reliable: true, framed: false });
  });

  test('of a handler that fails end the link as a fault of ours', async () => {
    class Broken extends Recorder {
      override onFrame(): void {
        throw new Error('planted');
      }
    }
    const handler = new Broken();
    const { world, peer, until } = await start({ open: () => handler });
    peer.send('x');
    await until('the end', () => peer.ended);
    peer.socket.end();
    await until('the close', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: 'internal' }]);
    expect(world.lines).toEqual(['error link handler threw']);
  });

  test('that a peer does not take end it as slow', async () => {
    const { peer, link, handler, until } = await start();
    peer.setReading(false);
    const answer = Buffer.alloc(16 * 1024);
    await until('the end', () => {
      link.send(answer);
      expect(link.pendingBytes).toBeLessThan(CONTROL_BYTES_MAX + 2 * answer.length);
      return handler.closes.length === 1;
    });
    expect(handler.closes).toEqual([{ code: 'slow' }]);
  });
});

describe('the end', () => {
  test('of a peer ends the link, with what was answered in the same turn', async () => {
    const handler = new (class extends Recorder {
      override onFrame(): void {
        link?.send('answer');
      }
    })();
    const started = await start({ open: () => handler });
    const { peer, until } = started;
    let link: typeof started.link | undefined = started.link;
    peer.socket.end('question');
    await until('the close', () => handler.closes.length === 1);
    link = undefined;
    await until('the end', () => peer.closed);
    expect(handler.closes).toEqual([{ code: 'normal' }]);
    expect(peer.text).toBe('answer');
  });

  test('of a peer is heard after what came before it, also of a link that is paused', async () => {
    const heard: string[] = [];
    const { link, peer, until, world } = await start({
      open: (paused) => ({
        onFrame: (frame) => {
          heard.push(Buffer.from(frame).toString());
          // What is in it takes time.
          paused.setPaused(true);
        },
        onDrain: () => {},
        onClose: ({ code }) => void heard.push(code),
      }),
    });
    peer.send('last words');
    peer.socket.end();
    await until('the words', () => heard.length > 0);
    for (let round = 0; round < 50; round += 1) await world.settle();
    expect(heard).toEqual(['last words']);
    link.setPaused(false);
    await until('the end', () => heard.length > 1);
    expect(heard).toEqual(['last words', 'normal']);
  });

  test('of a peer that reads nothing leaves nothing open', async () => {
    const started = await start();
    const { peer, handler, world, until } = started;
    await fill(started);
    peer.socket.end();
    await until('the close', () => handler.closes.length === 1);
    expect(world.transport.connectionCount).toBe(0);
    expect(world.wheel.armedCount).toBe(0);
  });

  test('of a link waits for its peer, but no longer than its time', async () => {
    const { peer, link, handler, world, until } = await start();
    link.send('goodbye');
    link.close({ code: 'draining' });
    await until('the end', () => peer.ended);
    expect(peer.text).toBe('goodbye');
    peer.send('more');
    world.clock.advance(TCP_DEFAULTS.closeMs - TICK_MS);
    await world.settle();
    expect(handler.closes).toEqual([]);
    world.clock.advance(3 * TICK_MS);
    await until('the close', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: 'draining' }]);
    expect(handler.text).toBe('');
  });

  test('of a link comes at once where the peer ends as well', async () => {
    const { peer, link, handler, world, until } = await start();
    link.close({ code: 'normal' });
    await until('the end', () => peer.ended);
    peer.socket.end();
    await until('the close', () => handler.closes.length === 1);
    expect(world.wheel.armedCount).toBe(0);
  });

  test('of a link whose peer sends on and on is cut', async () => {
    const { peer, link, handler, until } = await start();
    link.close({ code: 'normal' });
    const chunk = Buffer.alloc(1024 * 1024);
    await until('the close', () => {
      if (peer.socket.writable && peer.socket.writableLength === 0) peer.socket.write(chunk);
      return handler.closes.length === 1;
    });
    expect(handler.text).toBe('');
  });

  test('finds a link that is paused, whose peer still sends', async () => {
    const { peer, link, handler, until, world } = await start();
    link.setPaused(true);
    peer.send('unread');
    await world.settle();
    link.close({ code: 'normal' });
    link.setPaused(true);
    await until('the end', () => peer.ended);
    peer.socket.end();
    await until('the close', () => handler.closes.length === 1);
    expect(handler.text).toBe('');
  });
});
