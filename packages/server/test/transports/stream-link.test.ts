import { Duplex } from 'node:stream';
import type {
  Close,
  LinkHandler,
  LinkInfo,
  LinkTraits,
} from '@trunkline/server/internal/link/link.ts';
import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import type { Framing } from '@trunkline/server/internal/link/shared-batch.ts';
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import {
  CONTROL_BYTES_MAX,
  StreamLink,
} from '@trunkline/server/internal/transports/stream-link.ts';
import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';

type Done = (error?: Error | null) => void;

/** A stream that takes what is written when the test says so, one piece at a time. */
class PiecewiseStream extends Duplex {
  /** What reached the network, one element for each call of it. */
  readonly writes: Uint8Array[][] = [];
  taking = true;
  hasEnded = false;
  #waiting: Done | undefined;

  constructor() {
    super({ writableHighWaterMark: 16 * 1024 });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.record([chunk], done);
  }

  override _final(done: Done): void {
    this.hasEnded = true;
    done();
  }

  /** Takes what is written, now and from now on. */
  release(): void {
    this.taking = true;
    this.takeOne();
  }

  /** Takes what is under way, and nothing after it. */
  takeOne(): void {
    const done = this.#waiting;
    this.#waiting = undefined;
    done?.();
  }

  get text(): string {
    return Buffer.concat(this.writes.flat()).toString();
  }

  protected record(chunks: Uint8Array[], done: Done): void {
    this.writes.push(chunks);
    if (this.taking) done();
    else this.#waiting = done;
  }
}

/** The same, taking all that is written at once, as a socket does. */
class TestStream extends PiecewiseStream {
  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.record(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }
}

const PLAIN: Framing = { name: 'plain', frame: (payload) => payload };

class TestLink extends StreamLink {
  readonly info: LinkInfo = { transport: 'test', remoteAddress: '127.0.0.1' };
  readonly traits: LinkTraits = { duplex: true, binary: true, reliable: true };
  protected readonly framing = PLAIN;
  goneCount = 0;
  readonly faults: unknown[] = [];

  start(handler: LinkHandler): void {
    this.attach(handler);
  }

  dropNow(close: Close): void {
    this.drop(close);
  }

  get taken(): number {
    return this.takenBytes;
  }

  protected override sayGoodbye(close: Close): void {
    this.send(`<${close.code}>`);
  }

  protected override endStream(): void {
    this.stream.end();
  }

  protected override onGone(): void {
    this.goneCount += 1;
  }

  protected override onFault(error: unknown): void {
    this.faults.push(error);
  }
}

class Recorder implements LinkHandler {
  drains = 0;
  readonly closes: Close[] = [];
  onFrame(): void {}
  onDrain(): void {
    this.drains += 1;
  }
  onClose(close: Close): void {
    this.closes.push(close);
  }
}

interface Fixture {
  readonly clock: ManualClock;
  readonly stream: PiecewiseStream;
  readonly link: TestLink;
  readonly handler: Recorder;
}

function setUp(stream: PiecewiseStream = new TestStream()): Fixture {
  const clock = new ManualClock();
  const link = new TestLink(stream, new Turn(clock));
  const handler = new Recorder();
  link.start(handler);
  return { clock, stream, link, handler };
}

const batch = (text: string): SharedBatch => new SharedBatch(Buffer.from(text), true);

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
