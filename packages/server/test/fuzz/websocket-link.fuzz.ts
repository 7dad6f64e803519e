/**
 * Fuzz of the WebSocket link. Here's how it works:
 *
 * 1. A round opens a link over one end of a pair of streams, on a clock of its own. The other end
 *    sends messages, or messages and then random bytes, in random pieces.
 * 2. Meanwhile the handler pauses, resumes, sends, asks for drains, throws and closes, and time
 *    passes, all by chance; the peer reads or not, and may end or break the stream.
 * 3. What is delivered must be the messages sent, in order, and all of them when nobody ended the
 *    link. Nothing comes while paused, or after `close`; a drain comes only when asked for.
 * 4. In the end, at the latest by its deadlines, the link is gone: one `onClose`, nothing pending,
 *    no alarm left.
 */
import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import type { Close, Frame, LinkHandler } from '@trunkline/server/internal/link/link.ts';
import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { WEBSOCKET_DEFAULTS } from '@trunkline/server/internal/transports/websocket/config.ts';
import { OPCODES, toFrame } from '@trunkline/server/internal/transports/websocket/frames.ts';
import { WebSocketLink } from '@trunkline/server/internal/transports/websocket/link.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';
import { ManualClock, seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';

const CONFIG = { ...WEBSOCKET_DEFAULTS, frameBytesMax: 4096, messageBytesMax: 4096 };

/** Longer than any deadline, or several after each other. */
const LONG_MS = 10 * CONFIG.messageMs;

/** Throws when a link does anything but what the four points above say. */
export async function fuzzWebSocketLink(seed: number, rounds: number): Promise<void> {
  const random = seededRandom(seed);
  for (let round = 0; round < rounds; round += 1) {
    try {
      await new Round(random.fork()).run();
    } catch (error) {
      throw new Error(`seed ${seed}, round ${round}`, { cause: error });
    }
  }
}

class Round implements LinkHandler {
  readonly #random: SeededRandom;
  readonly #clock = new ManualClock();
  readonly #wheel = new Wheel(this.#clock);
  readonly #near: Duplex;
  readonly #far: Duplex;
  readonly #link: WebSocketLink;
  readonly #sent: string[] = [];
  readonly #delivered: Frame[] = [];
  readonly #closes: Close[] = [];
  #goneCount = 0;
  #isPaused = false;
  #isClosed = false;
  #drainsAsked = false;
  /** Someone ended the link, or was going to: not everything need arrive. */
  #disturbed = false;

  constructor(random: SeededRandom) {
    this.#random = random;
    [this.#near, this.#far] = duplexPair({ highWaterMark: 1 + random.integer(3000) });
    this.#far.on('error', () => {});
    this.#link = new WebSocketLink(this.#near, 'fuzz', {
      turn: new Turn(this.#clock),
      clock: this.#clock,
      wheel: this.#wheel,
      config: CONFIG,
      rules: { ...CONFIG, peerMasks: true },
      log: silentLog,
      onGone: () => (this.#goneCount += 1),
    });
  }

  async run(): Promise<void> {
    this.#link.start(this);
    if (this.#random.chance(0.8)) this.#far.resume();
    let bytes = this.#makeInput();
    while (bytes.length > 0) {
      const size = 1 + this.#random.integer(this.#random.pick([3, 50, 5000]));
      if (!this.#far.destroyed) this.#far.write(bytes.subarray(0, size));
      bytes = bytes.subarray(size);
      await this.#meddle();
    }
    // The handler may pause after every frame, so it takes as many turns.
    for (let turn = 0; turn < 100 && !this.#isClosed; turn += 1) {
      this.#far.resume();
      this.#setPaused(false);
      await this.#clock.settle();
    }
    if (!this.#disturbed) assert.deepEqual(this.#delivered, this.#sent);
    await this.#finish();
  }

  onFrame(frame: Frame): void {
    assert.equal(this.#isPaused, false, 'a frame came while paused');
    assert.equal(this.#isClosed, false, 'a frame came after close');
    this.#delivered.push(frame);
    assert.equal(frame, this.#sent[this.#delivered.length - 1]);
    this.#act();
    if (this.#random.chance(0.01)) {
      this.#disturbed = true;
      this.#isClosed = true;
      throw new Error('planted');
    }
  }

  onDrain(): void {
    assert.equal(this.#drainsAsked, true, 'a drain came that nobody asked for');
    assert.equal(this.#isClosed, false, 'a drain came after close');
    assert.equal(this.#link.pendingBytes, 0);
    this.#drainsAsked = false;
    this.#act();
  }

  onClose(close: Close): void {
    this.#closes.push(close);
    this.#isClosed = true;
  }

  #makeInput(): Uint8Array {
    const frames: Uint8Array[] = [];
    for (let count = this.#random.integer(12); count > 0; count -= 1) {
      const text = `${count}`.repeat(this.#random.integer(this.#random.pick([10, 300, 2000])));
      this.#sent.push(text);
      frames.push(
        toFrame(OPCODES.text, Buffer.from(text), { mask: this.#random.integer(2 ** 32) }),
      );
      if (this.#random.chance(0.3))
        frames.push(toFrame(OPCODES.ping, Buffer.from(text.slice(0, 9)), { mask: 7 }));
    }
    if (this.#random.chance(0.3)) {
      this.#disturbed = true;
      // Never a text frame, so that what is delivered stays what was sent.
      frames.push(Buffer.from([0x80 | this.#random.integer(0x80) | 0x08]), this.#random.bytes(40));
    }
    return Buffer.concat(frames);
  }

  /** Something happens between two pieces of input. */
  async #meddle(): Promise<void> {
    if (this.#random.chance(0.3)) await this.#clock.settle();
    if (this.#random.chance(0.1)) await this.#pass(this.#random.integer(20_000));
    if (this.#random.chance(0.1)) this.#far.pause();
    else this.#far.resume();
    if (this.#random.chance(0.3)) this.#setPaused(false);
    if (this.#random.chance(0.1)) this.#act();
    if (this.#random.chance(0.02)) {
      this.#disturbed = true;
      if (this.#random.chance(0.5)) this.#far.end();
      this.#far.destroy();
    }
  }

  /** What a handler may do at any time. */
  #act(): void {
    const kind = this.#random.integer(12);
    if (kind === 0) this.#setPaused(true);
    else if (kind === 1) this.#setPaused(false);
    else if (kind === 2) this.#link.send('x'.repeat(this.#random.integer(5000)));
    else if (kind === 3) this.#link.sendShared(new SharedBatch(this.#random.bytes(3000), false));
    else if (kind === 4) this.#askForDrain();
    else if (kind === 5 && this.#random.chance(0.1)) this.#close();
  }

  #askForDrain(): void {
    this.#link.requestDrain();
    this.#drainsAsked = true;
  }

  #setPaused(paused: boolean): void {
    this.#isPaused = paused;
    this.#link.setPaused(paused);
  }

  #close(): void {
    this.#disturbed = true;
    this.#isClosed = true;
    this.#link.close({ code: 'draining' });
  }

  async #pass(ms: number): Promise<void> {
    // A peer that does not answer pings is dropped, which is not what most rounds are about.
    this.#disturbed ||= ms + this.#clock.monotonicMs() > CONFIG.pingIntervalMs;
    await this.#clock.pass(ms);
  }

  async #finish(): Promise<void> {
    if (this.#random.chance(0.5)) this.#close();
    await this.#clock.pass(LONG_MS);
    await this.#clock.settle();
    assert.equal(this.#closes.length, 1, 'expected one onClose');
    assert.equal(this.#goneCount, 1);
    assert.equal(this.#link.pendingBytes, 0);
    assert.equal(this.#wheel.armedCount, 0);
    this.#link.send('late');
    this.#link.close({ code: 'normal' });
    this.#setPaused(false);
    await this.#clock.settle();
    assert.equal(this.#closes.length, 1);
    this.#far.destroy();
  }
}
