import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import type { Log } from '@trunkline/server/internal/observe/log.ts';
import { WEBSOCKET_DEFAULTS } from '@trunkline/server/internal/transports/websocket/config.ts';
import { OPCODES, toFrame } from '@trunkline/server/internal/transports/websocket/frames.ts';
import { closeNumber } from '@trunkline/server/internal/transports/websocket/link.ts';
import { describeLink } from '@trunkline/testkit/contracts/link';
import { CODES } from '@trunkline/wire';
import { afterEach, describe, expect, test } from 'vitest';
import { fuzzWebSocketLink } from '../../fuzz/websocket-link.fuzz.ts';
import { Harness, Recorder, TICK_MS } from './harness.ts';
import { MASK } from './peer.ts';

const { pingIntervalMs, pongMs, closeMs, messageMs } = WEBSOCKET_DEFAULTS;

const opened: Harness[] = [];

afterEach(async () => {
  for (const harness of opened.splice(0)) await harness[Symbol.asyncDispose]();
});

describeLink('WebSocketLink', async (handler) => {
  const harness = await Harness.open();
  harness.peer.answersClose = true;
  harness.link.start(handler);
  return harness;
});

async function start(log = silentLog): Promise<Harness & { readonly handler: Recorder }> {
  const harness = await Harness.open(log);
  const handler = new Recorder();
  opened.push(harness);
  harness.link.start(handler);
  return Object.assign(harness, { handler });
}

function pingOf(size: number): Uint8Array {
  return toFrame(OPCODES.ping, Buffer.alloc(size), { mask: MASK });
}

describe('control frames', () => {
  // RFC 6455 §5.5.2.
  test('answers each ping with its payload, and tells the handler nothing', async () => {
    const { peer, handler, until: wait } = await start();
    peer.sendFrame(OPCODES.ping, Buffer.from('one'));
    peer.sendFrame(OPCODES.pong, Buffer.from('unasked'));
    peer.sendFrame(OPCODES.ping, Buffer.alloc(0));
    await wait('two pongs', () => peer.pongs.length === 2);
    expect(peer.pongs).toEqual(['one', '']);
    expect(handler.frames).toEqual([]);
  });

  test('ends a peer that pings and never reads the pongs', async () => {
    const { link, peer, handler, until: wait } = await start();
    peer.setReading(false);
    const pings = Buffer.concat(Array.from({ length: 500 }, () => pingOf(125)));
    await wait('the end', () => {
      if (!peer.socket.destroyed && peer.socket.writableLength === 0) peer.socket.write(pings);
      expect(link.pendingBytes).toBeLessThan(1024 * 1024);
      return handler.closes.length > 0;
    });
    expect(handler.closes).toEqual([{ code: 'slow' }]);
  });
});

describe('messages', () => {
  test('come as text or bytes, whole, in the order sent', async () => {
    const { peer, handler, until: wait } = await start();
    peer.send('text ü');
    peer.sendFrame(OPCODES.binary, Buffer.from([1]), false);
    peer.sendFrame(OPCODES.continuation, Buffer.from([2]));
    await wait('two messages', () => handler.frames.length === 2);
    expect(handler.frames[0]).toBe('text ü');
    expect([...(handler.frames[1] as Uint8Array)]).toEqual([1, 2]);
  });

  test('that share a chunk stop where the handler pauses, and go on where it stopped', async () => {
    const { link, peer, handler, until: wait, rest } = await start();
    handler.onFrame = (frame) => {
      handler.frames.push(frame);
      link.setPaused(true);
    };
    peer.socket.cork();
    for (const text of ['one', 'two', 'three']) peer.send(text);
    peer.socket.uncork();
    for (const seen of [['one'], ['one', 'two'], ['one', 'two', 'three']]) {
      await wait(`${seen.length} messages`, () => handler.frames.length >= seen.length);
      await rest();
      expect(handler.frames).toEqual(seen);
      link.setPaused(false);
    }
  });

  test('that came before the peer’s end are all delivered, however late', async () => {
    const { link, peer, handler, until: wait, rest } = await start();
    handler.onFrame = (frame) => {
      handler.frames.push(frame);
      link.setPaused(true);
    };
    for (const text of ['one', 'two', 'three']) peer.send(text);
    peer.socket.end();
    await rest();
    expect(handler.closes).toEqual([]);
    await wait('the end', () => {
      link.setPaused(false);
      return handler.closes.length === 1;
    });
    expect(handler.frames).toEqual(['one', 'two', 'three']);
  });

  test('go on without a stop when the handler pauses and resumes at once', async () => {
    const { link, peer, handler, until: wait } = await start();
    handler.onFrame = (frame) => {
      handler.frames.push(frame);
      link.setPaused(true);
      link.setPaused(false);
    };
    peer.socket.cork();
    for (const text of ['one', 'two', 'three']) peer.send(text);
    peer.socket.uncork();
    await wait('three messages', () => handler.frames.length === 3);
  });

  test('that share a chunk are dropped after the handler closed', async () => {
    const { link, peer, handler, until: wait } = await start();
    handler.onFrame = (frame) => {
      handler.frames.push(frame);
      link.close({ code: 'forbidden' });
    };
    peer.socket.cork();
    for (const text of ['one', 'two', 'three']) peer.send(text);
    peer.sendClose(1000);
    peer.socket.uncork();
    await wait('the end', () => peer.ended);
    peer.socket.end();
    await wait('onClose', () => handler.closes.length === 1);
    expect(handler.frames).toEqual(['one']);
    expect(peer.closes).toEqual([{ code: 4403, reason: 'not allowed' }]);
  });

  test('that make the handler throw end the link as internal', async () => {
    const errors: unknown[] = [];
    const log: Log = { ...silentLog, error: (fields) => errors.push(fields['error']) };
    const { peer, handler, until: wait } = await start(log);
    const planted = new Error('planted');
    handler.onFrame = () => {
      throw planted;
    };
    peer.send('x');
    await wait('the close', () => peer.closes.length === 1);
    expect(peer.closes[0]?.code).toBe(1011);
    expect(errors).toEqual([planted]);
  });
});

describe('the closing handshake', () => {
  test.each(Object.entries(CODES))('says %s with its number and phrase', async (name, code) => {
    const { link, peer, handler, until: wait } = await start();
    link.close({ code: name as keyof typeof CODES });
    await wait('the close', () => peer.closes.length === 1);
    expect(peer.closes).toEqual([{ code: code.close, reason: code.reason }]);
    // The server waits for the answer before it ends the stream (RFC 6455 §7.1.1).
    expect(peer.ended).toBe(false);
    peer.sendClose(code.close);
    await wait('the end', () => peer.ended);
    peer.socket.end();
    await wait('onClose', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: name }]);
  });

  test('says a reason of its own, and 1000 when nothing is wrong', async () => {
    const { link, peer, until: wait } = await start();
    link.close({ code: 'normal', reason: 'bye' });
    await wait('the close', () => peer.closes.length === 1);
    expect(peer.closes).toEqual([{ code: 1000, reason: 'bye' }]);
    expect(closeNumber('normal')).toBe(1000);
  });

  // RFC 6455 §5.5.1.
  test.each([1000, 1001, 4999, undefined])('answers a close of %s with the same', async (code) => {
    const { link, peer, handler, until: wait } = await start();
    link.send('before');
    peer.sendClose(code, code === undefined ? undefined : 'bye');
    peer.send('late');
    await wait('the end', () => peer.ended);
    expect(peer.frames).toEqual(['before']);
    expect(peer.closes).toEqual([{ code, reason: '' }]);
    peer.socket.end();
    await wait('onClose', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: 'normal' }]);
    expect(handler.frames).toEqual([]);
  });

  test('reads on while the handler had paused, to find the peer’s close frame', async () => {
    const { link, peer, until: wait } = await start();
    link.setPaused(true);
    peer.send('unread');
    link.close({ code: 'draining' });
    await wait('the close', () => peer.closes.length === 1);
    peer.sendClose(1001);
    await wait('the end', () => peer.ended);
  });

  test('cuts a peer that answers with anything but a close frame', async () => {
    const { clock, link, peer, handler, until: wait, rest } = await start();
    link.close({ code: 'draining' });
    await wait('the close', () => peer.closes.length === 1);
    for (let second = 0; second < closeMs / 1000 - 1; second += 1) {
      peer.send('still here');
      await clock.pass(1000);
    }
    await rest();
    expect(handler.closes).toEqual([]);
    await clock.pass(1000 + TICK_MS);
    await wait('onClose', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: 'draining' }]);
    expect(handler.frames).toEqual([]);
  });

  test('cuts a peer that does not end the stream after both close frames', async () => {
    const { clock, peer, handler, until: wait, rest } = await start();
    peer.socket.allowHalfOpen = true;
    peer.sendClose(1000);
    await wait('the end', () => peer.ended);
    await rest();
    expect(handler.closes).toEqual([]);
    await clock.pass(closeMs + TICK_MS);
    await wait('onClose', () => handler.closes.length === 1);
  });

  test('takes an end without a close frame for a lost connection', async () => {
    const { peer, handler, until: wait } = await start();
    peer.socket.end();
    await wait('onClose', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: 'normal' }]);
    expect(peer.closes).toEqual([]);
  });

  test.each([
    { what: 'a reserved opcode', bytes: '83', number: 1002, code: 'bad_request' },
    { what: 'an unmasked frame', bytes: '8100', number: 1002, code: 'bad_request' },
    { what: 'text that is not UTF-8', bytes: '818100000000ff', number: 1007, code: 'bad_request' },
    { what: 'a frame too large', bytes: '82ff0000000010000000', number: 1009, code: 'too_large' },
  ])('says what was wrong with $what, and reads nothing more', async ({ bytes, number, code }) => {
    const { peer, handler, until: wait } = await start();
    peer.send('fine');
    peer.socket.write(Buffer.from(bytes, 'hex'));
    peer.send('late');
    await wait('the end', () => peer.ended);
    expect(peer.closes).toHaveLength(1);
    expect(peer.closes[0]?.code).toBe(number);
    peer.socket.end();
    await wait('onClose', () => handler.closes.length === 1);
    expect(handler.closes[0]?.code).toBe(code);
    expect(handler.frames).toEqual(['fine']);
  });

  test('ends at once when a closing peer breaks the protocol', async () => {
    const { link, peer, until: wait } = await start();
    link.close({ code: 'draining' });
    await wait('the close', () => peer.closes.length === 1);
    peer.socket.write(Buffer.from('ffff', 'hex'));
    await wait('the end', () => peer.ended);
    expect(peer.closes).toHaveLength(1);
  });

  test('may begin before the handler is there', async () => {
    const harness = await Harness.open();
    opened.push(harness);
    const handler = new Recorder();
    harness.link.send('hello');
    harness.link.close({ code: 'unauthenticated' });
    harness.link.start(handler);
    await harness.until('the close', () => harness.peer.closes.length === 1);
    expect(harness.peer.frames).toEqual(['hello']);
    harness.peer.sendClose(4401);
    harness.peer.socket.end();
    await harness.until('onClose', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: 'unauthenticated' }]);
  });
});

describe('signs of life', () => {
  test('pings at the interval for as long as the peer answers', async () => {
    const { clock, peer, handler, until: wait } = await start();
    for (let count = 1; count <= 4; count += 1) {
      await clock.pass(pingIntervalMs + 2 * TICK_MS);
      await wait('a ping', () => peer.pings.length === count);
      peer.sendFrame(OPCODES.pong, Buffer.alloc(0));
      await wait('the pong to arrive', () => peer.socket.writableLength === 0);
      await clock.pass(0);
    }
    expect(handler.closes).toEqual([]);
  });

  test('takes anything for a sign of life, a single byte as well', async () => {
    const { clock, peer, handler, rest } = await start();
    for (const bytes of ['8a', '80', '00000000', '8180']) {
      peer.pings.length = 0;
      for (let second = 0; peer.pings.length === 0 && second < 60; second += 1) {
        await clock.pass(1000);
        await rest();
      }
      expect(peer.pings).toHaveLength(1);
      peer.socket.write(Buffer.from(bytes, 'hex'));
      await rest();
    }
    expect(handler.closes).toEqual([]);
  });

  test('drops a half-open peer that says nothing, with timeout', async () => {
    const { clock, peer, handler, until: wait, rest } = await start();
    await clock.pass(pingIntervalMs + TICK_MS);
    await wait('a ping', () => peer.pings.length === 1);
    await clock.pass(pongMs - 1000);
    await rest();
    expect(handler.closes).toEqual([]);
    await clock.pass(1000 + TICK_MS);
    await wait('onClose', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: 'timeout' }]);
    await wait('the close', () => peer.closes.length === 1);
    expect(peer.closes[0]?.code).toBe(4508);
  });

  test('drops a peer that never reads, after one wait, and frees what was pending', async () => {
    const { clock, link, handler, until: wait, rest, fill } = await start();
    await fill();
    await clock.pass(pingIntervalMs + TICK_MS);
    await rest();
    expect(handler.closes).toEqual([]);
    await clock.pass(pongMs + TICK_MS);
    await wait('onClose', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: 'timeout' }]);
    expect(link.pendingBytes).toBe(0);
  });

  test('gives a peer that stops taking data after the ping one more wait', async () => {
    const { clock, peer, handler, until: wait, fill } = await start();
    peer.setReading(false);
    await clock.pass(pingIntervalMs + TICK_MS);
    await fill();
    await clock.pass(pongMs + TICK_MS);
    expect(handler.closes).toEqual([]);
    await clock.pass(pongMs + TICK_MS);
    await wait('onClose', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: 'timeout' }]);
  });

  test('keeps a slow reader whose pong is stuck behind data', async () => {
    const { clock, link, peer, handler, until: wait, rest, fill } = await start();
    const batch = new SharedBatch(Buffer.alloc(64 * 1024, 'x'), true);
    await fill();
    await clock.pass(pingIntervalMs + TICK_MS);
    await rest();
    for (let round = 0; round < 5; round += 1) {
      // The peer takes something, but never gets as far as the ping.
      const before = link.pendingBytes;
      for (let count = 0; count < 20; count += 1) link.sendShared(batch);
      await rest();
      const queued = link.pendingBytes;
      expect(queued).toBeGreaterThan(before);
      peer.setReading(true);
      await wait('some progress', () => link.pendingBytes < queued);
      peer.setReading(false);
      await fill();
      await clock.pass(pongMs + TICK_MS);
      await rest();
      expect(handler.closes).toEqual([]);
    }
  });

  test('waits for a peer that the handler does not read, and counts anew afterwards', async () => {
    const { clock, link, peer, handler, until: wait, rest } = await start();
    link.setPaused(true);
    await clock.pass(10 * pingIntervalMs);
    await rest();
    expect(handler.closes).toEqual([]);
    link.setPaused(false);
    peer.sendFrame(OPCODES.pong, Buffer.alloc(0));
    await rest();
    await clock.pass(pongMs + TICK_MS);
    expect(handler.closes).toEqual([]);
    await clock.pass(2 * (pingIntervalMs + pongMs));
    await wait('onClose', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: 'timeout' }]);
  });

  test('drops a peer that trickles a message for too long', async () => {
    const { clock, peer, handler, rest, until: wait } = await start();
    peer.socket.write(Buffer.from('82fe100000000000', 'hex'));
    await rest();
    let seconds = 0;
    while (handler.closes.length === 0 && seconds < 1000) {
      peer.socket.write(Buffer.from([seconds & 255]));
      await clock.pass(1000);
      await rest();
      seconds += 1;
    }
    expect(seconds * 1000).toBeGreaterThanOrEqual(messageMs);
    expect(seconds * 1000).toBeLessThan(messageMs + pingIntervalMs + 2000);
    expect(handler.closes).toEqual([{ code: 'timeout' }]);
    await wait('the close', () => peer.closes.length === 1);
    expect(peer.closes[0]?.code).toBe(4508);
  });

  test('keeps a peer that sends messages without a break, cut anywhere', async () => {
    const { clock, peer, handler, rest } = await start();
    for (let count = 0; count < 20; count += 1) {
      // The end of one message and the beginning of the next.
      peer.socket.write(Buffer.from(count === 0 ? '818200000000' : '6161818200000000', 'hex'));
      await rest();
      await clock.pass(messageMs / 8);
    }
    expect(handler.closes).toEqual([]);
    expect(handler.frames).toHaveLength(19);
  });

  test('holds one timer for all, and none for links that are gone', async () => {
    const { clock, wheel, peer, handler, until: wait } = await start();
    expect(clock.timerCount).toBe(1);
    peer.drop();
    await wait('onClose', () => handler.closes.length === 1);
    expect(wheel.armedCount).toBe(0);
    await clock.pass(TICK_MS);
    expect(clock.timerCount).toBe(0);
  });
});

test('WebSocketLink keeps its promises whatever its handler, its peer and time do', async () => {
  for (let seed = 1; seed <= 3; seed += 1) await fuzzWebSocketLink(seed, 50);
});
