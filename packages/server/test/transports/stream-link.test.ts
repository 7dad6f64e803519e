import { Turn } from '@trunkline/server/internal/link/turn.ts';
import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { batch, Recorder, setUp, TestLink, TestStream } from './stream-link-set-up.ts';

describe('sending', () => {
  test('writes once a turn, in the order queued', async () => {
    const { clock, stream, link } = setUp();
    link.send('a');
    link.sendShared(batch('b'));
    link.send(Buffer.from('c'));
    expect(link.pendingBytes).toBe(3);
    expect(stream.writes).toEqual([]);
    await clock.settle();
    expect(stream.writes).toHaveLength(1);
    expect(stream.text).toBe('abc');
    expect(link.pendingBytes).toBe(0);
    link.send('d');
    await clock.settle();
    expect(stream.writes).toHaveLength(2);
  });

  test('writes a shared batch that is alone as it is', async () => {
    const { clock, stream, link } = setUp();
    const shared = batch('shared');
    link.sendShared(shared);
    await clock.settle();
    expect(stream.writes[0]?.[0]?.buffer).toBe(shared.payload.buffer);
  });

  test('joins small pieces and hands large ones over apart, in one call', async () => {
    const { clock, stream, link } = setUp();
    link.sendShared(batch('x'.repeat(20_000)));
    link.sendShared(batch('y'.repeat(20_000)));
    await clock.settle();
    expect(stream.writes.map((write) => write.length)).toEqual([1]);
    link.sendShared(batch('x'.repeat(30_000)));
    link.sendShared(batch('y'.repeat(30_000)));
    link.send('z');
    await clock.settle();
    expect(stream.writes.map((write) => write.length)).toEqual([1, 3]);
    expect(stream.text).toHaveLength(100_001);
    expect(link.taken).toBe(100_001);
  });

  test('counts as taken what the network took', async () => {
    const { clock, stream, link } = setUp();
    stream.taking = false;
    link.send('abc');
    await clock.settle();
    expect([link.taken, link.pendingBytes]).toEqual([0, 3]);
    stream.release();
    await clock.settle();
    expect([link.taken, link.pendingBytes]).toEqual([3, 0]);
  });
});

describe('ending', () => {
  test('says what was queued, then the goodbye, then ends, all at once', async () => {
    const { clock, stream, link, handler } = setUp();
    link.send('a');
    link.sendShared(batch('b'));
    link.close({ code: 'draining' });
    link.close({ code: 'internal' });
    link.send('late');
    link.sendShared(batch('late'));
    expect(stream.text).toBe('ab<draining>');
    expect(handler.closes).toEqual([]);
    await clock.settle();
    expect(stream.hasEnded).toBe(true);
    stream.push(null);
    stream.resume();
    await clock.settle();
    expect(handler.closes).toEqual([{ code: 'draining' }]);
    expect(stream.text).toBe('ab<draining>');
    expect(link.goneCount).toBe(1);
  });

  test('keeps a frozen peer’s stream open until the transport cuts it, and says so once', async () => {
    const { clock, stream, link, handler } = setUp();
    stream.taking = false;
    link.send('a');
    await clock.settle();
    link.close({ code: 'timeout' });
    await clock.settle();
    expect(handler.closes).toEqual([]);
    stream.destroy();
    await clock.settle();
    expect(handler.closes).toEqual([{ code: 'timeout' }]);
    expect(link.pendingBytes).toBe(0);
  });

  test('drop says goodbye only to a peer that takes it at once', async () => {
    const taking = setUp();
    taking.link.dropNow({ code: 'timeout' });
    await taking.clock.settle();
    expect(taking.stream.text).toBe('<timeout>');
    expect(taking.handler.closes).toEqual([{ code: 'timeout' }]);

    const frozen = setUp();
    frozen.stream.taking = false;
    frozen.link.send('a');
    await frozen.clock.settle();
    frozen.link.dropNow({ code: 'timeout' });
    await frozen.clock.settle();
    expect(frozen.stream.text).toBe('a');
    expect(frozen.handler.closes).toEqual([{ code: 'timeout' }]);
  });

  test('tells its handler once when the stream breaks, and takes calls after it', async () => {
    const { clock, stream, link, handler } = setUp();
    stream.destroy(new Error('planted: connection reset'));
    link.send('a');
    await clock.settle();
    expect(handler.closes).toEqual([{ code: 'normal' }]);
    link.send('b');
    link.requestDrain();
    link.setPaused(true);
    link.close({ code: 'internal' });
    link.dropNow({ code: 'internal' });
    await clock.settle();
    expect(handler.closes).toHaveLength(1);
    expect(handler.drains).toBe(0);
    expect(link.goneCount).toBe(1);
  });

  test('writes nothing after the stream was ended by its peer’s end', async () => {
    const { clock, stream, link, handler } = setUp();
    stream.end();
    link.send('a');
    link.close({ code: 'normal' });
    await clock.settle();
    expect(stream.text).toBe('');
    expect(stream.errored).toBeNull();
    stream.destroy();
    await clock.settle();
    expect(handler.closes).toHaveLength(1);
  });

  test('tells a handler whose stream was gone before it began', async () => {
    const clock = new ManualClock();
    const stream = new TestStream();
    stream.destroy();
    await clock.settle();
    const link = new TestLink(stream, new Turn(clock));
    const handler = new Recorder();
    link.start(handler);
    expect(handler.closes).toEqual([]);
    await clock.settle();
    expect(handler.closes).toEqual([{ code: 'normal' }]);
  });

  test('keeps a handler’s exceptions from the stream', async () => {
    const { clock, stream, link, handler } = setUp();
    const planted = new Error('planted');
    const fail = (): never => {
      throw planted;
    };
    handler.onDrain = fail;
    handler.onClose = fail;
    link.requestDrain();
    await clock.settle();
    stream.destroy();
    await clock.settle();
    expect(link.faults).toEqual([planted, planted]);
    expect(link.goneCount).toBe(1);
  });
});
