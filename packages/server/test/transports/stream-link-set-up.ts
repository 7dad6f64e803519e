/** A stream link on a stream that takes bytes when the test says so. */
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
import { StreamLink } from '@trunkline/server/internal/transports/stream-link.ts';
import { ManualClock } from '@trunkline/testkit';

type Done = (error?: Error | null) => void;

/** A stream that takes what is written when the test says so, one piece at a time. */
export class PiecewiseStream extends Duplex {
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

/** A PiecewiseStream that takes all that is written at once, as a socket does. */
export class TestStream extends PiecewiseStream {
  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.record(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }
}

const PLAIN: Framing = { name: 'plain', frame: (payload) => payload };

/** A link without frames of its own, whose ends the test can see. */
export class TestLink extends StreamLink {
  readonly info: LinkInfo = { transport: 'test', remoteAddress: '127.0.0.1' };
  readonly traits: LinkTraits = { duplex: true, binary: true, reliable: true, framed: true };
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

/** What a link told its handler. */
export class Recorder implements LinkHandler {
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

/** A started link and what it stands on. */
export interface Fixture {
  readonly clock: ManualClock;
  readonly stream: PiecewiseStream;
  readonly link: TestLink;
  readonly handler: Recorder;
}

/** Starts a link on `stream`, whose time the test moves. */
export function setUp(stream: PiecewiseStream = new TestStream()): Fixture {
  const clock = new ManualClock();
  const link = new TestLink(stream, new Turn(clock));
  const handler = new Recorder();
  link.start(handler);
  return { clock, stream, link, handler };
}

/** A batch that is shared by links. */
export function batch(text: string): SharedBatch {
  return new SharedBatch(Buffer.from(text), true);
}
