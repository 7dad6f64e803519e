import { CONTROL_BYTES_MAX } from '@trunkline/server/internal/transports/stream-link.ts';
import { describe, expect, test } from 'vitest';
import { batch, PiecewiseStream, setUp } from './stream-link-set-up.ts';

describe('requestDrain', () => {
  test('answers in a later turn when nothing is pending', async () => {
    const { clock, link, handler } = setUp();
    link.requestDrain();
    link.requestDrain();
    expect(handler.drains).toBe(0);
    await clock.settle();
    expect(handler.drains).toBe(1);
  });

  // Below its own mark a stream does not say by itself when it is empty.
  test.each([10, 100_000])('answers when %i bytes that waited were taken', async (size) => {
    const { clock, stream, link, handler } = setUp();
    stream.taking = false;
    link.sendShared(batch('x'.repeat(size)));
    link.requestDrain();
    await clock.settle();
    expect(handler.drains).toBe(0);
    stream.release();
    await clock.settle();
    expect(handler.drains).toBe(1);
    expect(link.pendingBytes).toBe(0);
    await clock.settle();
    expect(handler.drains).toBe(1);
  });

  test.each([10, 100_000])('waits for what is sent after %i bytes, too', async (size) => {
    const { clock, stream, link, handler } = setUp();
    stream.taking = false;
    link.sendShared(batch('x'.repeat(size)));
    link.requestDrain();
    await clock.settle();
    for (let count = 0; count < 5; count += 1) {
      link.sendShared(batch('more'));
      await clock.settle();
    }
    // What was under way is taken while more is queued in this turn.
    link.sendShared(batch('last'));
    stream.takeOne();
    await clock.settle();
    expect(handler.drains).toBe(0);
    stream.release();
    await clock.settle();
    expect(handler.drains).toBe(1);
    expect(link.pendingBytes).toBe(0);
    expect(stream.text).toHaveLength(size + 24);
  });

  test('is not answered by the end of an earlier write while more is queued', async () => {
    const { clock, stream, link, handler } = setUp();
    const pendingAtDrain: number[] = [];
    handler.onDrain = () => pendingAtDrain.push(link.pendingBytes);
    stream.taking = false;
    link.sendShared(batch('x'.repeat(100_000)));
    link.requestDrain();
    await clock.settle();
    stream.release();
    link.sendShared(batch('queued'));
    await clock.settle();
    expect(pendingAtDrain).toEqual([0]);
    expect(stream.text.endsWith('queued')).toBe(true);
  });

  test('waits for the last of many small writes of a stream that takes them one by one', async () => {
    const { clock, stream, link, handler } = setUp(new PiecewiseStream());
    stream.taking = false;
    link.send('first');
    link.requestDrain();
    await clock.settle();
    for (let count = 0; count < 3; count += 1) {
      link.send('more');
      await clock.settle();
    }
    while (link.pendingBytes > 0) {
      expect(handler.drains).toBe(0);
      stream.takeOne();
      await clock.settle();
    }
    stream.release();
    await clock.settle();
    expect(handler.drains).toBe(1);
  });

  test('writes one empty piece at most, however many turns it takes', async () => {
    const { clock, stream, link } = setUp();
    stream.taking = false;
    link.send('x');
    link.requestDrain();
    for (let count = 0; count < 10; count += 1) {
      link.send('y');
      await clock.settle();
    }
    stream.release();
    await clock.settle();
    expect(stream.writes.flat().filter((chunk) => chunk.length === 0).length).toBeLessThan(3);
  });

  test('may be asked again from onDrain', async () => {
    const { clock, stream, link, handler } = setUp();
    handler.onDrain = () => {
      handler.drains += 1;
      if (handler.drains === 3) return;
      link.send('next');
      link.requestDrain();
    };
    link.requestDrain();
    await clock.settle();
    expect(handler.drains).toBe(3);
    expect(stream.text).toBe('nextnext');
  });

  test('is forgotten when the link closes or the stream breaks', async () => {
    const closed = setUp();
    closed.link.requestDrain();
    closed.link.close({ code: 'normal' });
    await closed.clock.settle();
    expect(closed.handler.drains).toBe(0);

    const broken = setUp();
    broken.stream.taking = false;
    broken.link.send('x');
    broken.link.requestDrain();
    await broken.clock.settle();
    broken.stream.destroy();
    await broken.clock.settle();
    expect(broken.handler.drains).toBe(0);
    expect(broken.handler.closes).toHaveLength(1);
  });
});

describe('the limit of control bytes', () => {
  const KB = 'x'.repeat(1024);

  test('ends a link whose peer does not take its own frames', async () => {
    const { clock, stream, link, handler } = setUp();
    stream.taking = false;
    for (let bytes = 0; bytes <= CONTROL_BYTES_MAX; bytes += KB.length) {
      link.send(KB);
      await clock.settle();
    }
    expect(handler.closes).toEqual([]);
    link.send(KB);
    expect(link.pendingBytes).toBeLessThan(CONTROL_BYTES_MAX + 2 * KB.length);
    await clock.settle();
    expect(handler.closes).toEqual([{ code: 'slow' }]);
    expect(stream.destroyed).toBe(true);
    expect(link.pendingBytes).toBe(0);
  });

  test('lets a peer that reads have any number of them, within one turn as well', async () => {
    const { clock, stream, link, handler } = setUp();
    for (let bytes = 0; bytes < 4 * CONTROL_BYTES_MAX; bytes += KB.length) link.send(KB);
    await clock.settle();
    expect(handler.closes).toEqual([]);
    expect(stream.text).toHaveLength(4 * CONTROL_BYTES_MAX);
  });

  test('counts no shared batches, which a log can give again', async () => {
    const { clock, stream, link, handler } = setUp();
    stream.taking = false;
    for (let count = 0; count < 40; count += 1) {
      link.sendShared(batch('x'.repeat(64 * 1024)));
      link.send('reply');
      await clock.settle();
    }
    expect(handler.closes).toEqual([]);
  });

  test('counts only what still waits, for a peer that is slow but reads', async () => {
    const { clock, stream, link, handler } = setUp();
    stream.taking = false;
    for (let bytes = 0; bytes < 4 * CONTROL_BYTES_MAX; bytes += KB.length) {
      link.send(KB);
      await clock.settle();
      if (bytes % (8 * KB.length) === 0) stream.takeOne();
    }
    expect(handler.closes).toEqual([]);
  });

  test('forgets what was taken before a shared batch got stuck', async () => {
    const { clock, stream, link, handler } = setUp();
    link.send('x'.repeat(CONTROL_BYTES_MAX - 1));
    await clock.settle();
    stream.taking = false;
    link.sendShared(batch('x'.repeat(2 * CONTROL_BYTES_MAX)));
    await clock.settle();
    for (let count = 0; count < 10; count += 1) link.send(KB);
    await clock.settle();
    expect(handler.closes).toEqual([]);
  });

  test('lets one frame be larger than the limit', async () => {
    const { clock, stream, link, handler } = setUp();
    stream.taking = false;
    link.send('x'.repeat(2 * CONTROL_BYTES_MAX));
    await clock.settle();
    expect(handler.closes).toEqual([]);
    stream.release();
    link.send('next');
    await clock.settle();
    expect(handler.closes).toEqual([]);
  });

  test('never keeps the goodbye back', async () => {
    const { clock, stream, link, handler } = setUp();
    stream.taking = false;
    link.send('x'.repeat(2 * CONTROL_BYTES_MAX));
    await clock.settle();
    link.close({ code: 'draining' });
    stream.release();
    await clock.settle();
    expect(stream.text.endsWith('x<draining>')).toBe(true);
    stream.destroy();
    await clock.settle();
    expect(handler.closes).toEqual([{ code: 'draining' }]);
  });
});
