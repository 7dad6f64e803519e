/**
 * The contract of links: what every link owes the protocol that speaks over it, whatever carries
 * it. A transport's test calls `describeLink` with a way to open one of its links.
 */
import { afterEach, describe, expect, test } from 'vitest';
import type { Close, Frame, Link, LinkHandler } from '@trunkline/server/internal/link/link.ts';
import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';

/** A link under test and the peer at its other end. */
export interface LinkHarness extends AsyncDisposable {
  readonly link: Link;
  readonly peer: LinkPeer;
  /** Lets what is due happen: the end of this turn and, on a real network, some of its events. */
  settle(): Promise<void>;
}

/** The client's end, as the suite uses it. */
export interface LinkPeer {
  /**
   * Frames that reached the peer, in order; bytes where the link carries bytes. Where its traits
   * say that it is not framed, the bytes that came, in any pieces.
   */
  readonly frames: readonly Frame[];
  /** True once the peer saw the end of the connection. */
  readonly ended: boolean;
  /** Sends a frame; never called where `traits.duplex` is false. */
  send(frame: Frame): void;
  /** While false the peer takes nothing from the network. */
  setReading(reading: boolean): void;
  /** Breaks the connection without a goodbye. */
  drop(): void;
}

/** Opens a link whose handler is `handler`. */
export type OpenLink = (handler: LinkHandler) => Promise<LinkHarness>;

/** Rounds of `settle` after which something expected is missing. */
const ROUNDS_MAX = 20_000;

/** Bytes a network and its buffers may swallow before a link must have something pending. */
const SWALLOWED_BYTES_MAX = 64 * 2 ** 20;

/** What a handler was told. It fails the test when it is called from inside a call to the link. */
class Recorder implements LinkHandler {
  readonly frames: Frame[] = [];
  readonly closes: Close[] = [];
  drains = 0;
  /** True while the test calls the link. */
  calling = false;

  onFrame(frame: Frame): void {
    this.#event();
    this.frames.push(frame);
  }

  onDrain(): void {
    this.#event();
    this.drains += 1;
  }

  onClose(close: Close): void {
    this.#event();
    this.closes.push(close);
  }

  #event(): void {
    expect(this.calling, 'an event came from inside a call to the link').toBe(false);
    expect(this.closes, 'an event came after onClose').toEqual([]);
  }
}

const encoder = new TextEncoder();

/** Defines the tests of the link contract for one kind of link. */
export function describeLink(name: string, open: OpenLink): void {
  describe(`${name} keeps the link contract`, () => {
    const opened: LinkHarness[] = [];

    afterEach(async () => {
      for (const harness of opened.splice(0)) await harness[Symbol.asyncDispose]();
    });

    const start = async (): Promise<Driver> => {
      const recorder = new Recorder();
      const harness = await open(recorder);
      opened.push(harness);
      return new Driver(harness, recorder);
    };

    sending(start);
    draining(start);
    receiving(start);
    ending(start);
  });
}

/** One link under test, with what the tests say about it. */
class Driver {
  readonly harness: LinkHarness;
  readonly recorder: Recorder;
  readonly peer: LinkPeer;

  constructor(harness: LinkHarness, recorder: Recorder) {
    this.harness = harness;
    this.recorder = recorder;
    this.peer = harness.peer;
  }

  get link(): Link {
    return this.harness.link;
  }

  /** Calls the link as a protocol does: no event may come before the call is over. */
  call(task: (link: Link) => void): void {
    this.recorder.calling = true;
    task(this.harness.link);
    this.recorder.calling = false;
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    for (let round = 0; !condition(); round += 1) {
      if (round === ROUNDS_MAX) throw new Error(`expected ${what}, waited ${round} rounds`);
      await this.harness.settle();
    }
  }

  /** Waits for these frames, and finds them in their order and nothing beside them. */
  async untilCame(frames: () => readonly Frame[], ...expected: readonly Frame[]): Promise<void> {
    const due = sizeOf(expected);
    await this.until(`${expected.length} frames`, () => sizeOf(frames()) >= due);
    expect(this.comparable(frames())).toEqual(this.comparable(expected));
  }

  /** Frames as they can be compared: one run of them where the link keeps no boundaries. */
  comparable(frames: readonly Frame[]): readonly Frame[] {
    if (this.link.traits.framed) {
      return frames.map((frame) => (typeof frame === 'string' ? frame : Uint8Array.from(frame)));
    }
    return [Buffer.concat(frames.map(bytesOf)).toString('latin1')];
  }

  /** Lets several rounds pass in which something unwanted would show. */
  async rest(): Promise<void> {
    for (let round = 0; round < 20; round += 1) await this.harness.settle();
  }

  /** Sends to a peer that does not read until the link has something pending. */
  async fill(): Promise<void> {
    const batch = textBatch('x'.repeat(64 * 1024));
    this.peer.setReading(false);
    for (let bytes = 0; this.link.pendingBytes === 0; bytes += batch.payload.length) {
      if (bytes > SWALLOWED_BYTES_MAX) throw new Error('expected pending bytes, all were taken');
      this.call((link) => link.sendShared(batch));
      await this.rest();
    }
  }
}

function sending(start: () => Promise<Driver>): void {
  test('delivers own frames and shared batches in the order they were queued', async () => {
    const driver = await start();
    driver.call((link) => {
      link.send('one');
      link.sendShared(textBatch('two'));
      link.send('three');
    });
    await driver.untilCame(() => driver.peer.frames, 'one', 'two', 'three');
  });

  test('gives one shared batch to a link as often as it is sent', async () => {
    const driver = await start();
    const batch = textBatch('again');
    driver.call((link) => {
      link.sendShared(batch);
      link.sendShared(batch);
    });
    await driver.untilCame(() => driver.peer.frames, 'again', 'again');
  });

  test('counts what this turn queued as pending', async () => {
    const driver = await start();
    driver.call((link) => link.send('hello'));
    expect(driver.link.pendingBytes).toBeGreaterThanOrEqual('hello'.length);
    await driver.until('nothing pending', () => driver.link.pendingBytes === 0);
  });

  test('carries bytes as bytes where its traits say so', async ({ skip }) => {
    const driver = await start();
    if (!driver.link.traits.binary) skip('the link carries text only');
    const bytes = Uint8Array.of(0, 255, 10, 13, 128);
    driver.call((link) => {
      link.send(bytes);
      link.sendShared(new SharedBatch(bytes, false));
      link.send('text');
    });
    await driver.untilCame(() => driver.peer.frames, bytes, bytes, 'text');
  });
}

function draining(start: () => Promise<Driver>): void {
  test('announces a drain once, in a later turn, when nothing is pending', async () => {
    const driver = await start();
    driver.call((link) => {
      link.requestDrain();
      link.requestDrain();
    });
    expect(driver.recorder.drains).toBe(0);
    await driver.until('a drain', () => driver.recorder.drains === 1);
    await driver.rest();
    expect(driver.recorder.drains).toBe(1);
  });

  test('announces no drain that nobody asked for', async () => {
    const driver = await start();
    driver.call((link) => link.send('hello'));
    await driver.until('the frame', () => driver.peer.frames.length === 1);
    await driver.rest();
    expect(driver.recorder.drains).toBe(0);
  });

  test('waits with the drain until the peer has taken everything', async () => {
    const driver = await start();
    await driver.fill();
    driver.call((link) => link.requestDrain());
    await driver.rest();
    expect(driver.recorder.drains).toBe(0);
    driver.peer.setReading(true);
    await driver.until('a drain', () => driver.recorder.drains === 1);
    expect(driver.link.pendingBytes).toBe(0);
    await driver.rest();
    expect(driver.recorder.drains).toBe(1);
    driver.call((link) => link.requestDrain());
    await driver.until('a second drain', () => driver.recorder.drains === 2);
  });
}

function receiving(start: () => Promise<Driver>): void {
  test('hands on what the peer sends, frame by frame and in order', async ({ skip }) => {
    const driver = await start();
    if (!driver.link.traits.duplex) skip('the peer can only listen');
    for (const frame of ['one', 'two', 'three']) driver.peer.send(frame);
    await driver.untilCame(() => driver.recorder.frames, 'one', 'two', 'three');
  });

  test('hands on nothing while paused, and everything afterwards', async ({ skip }) => {
    const driver = await start();
    if (!driver.link.traits.duplex) skip('the peer can only listen');
    driver.call((link) => {
      link.setPaused(true);
      link.setPaused(true);
    });
    driver.peer.send('one');
    driver.peer.send('two');
    await driver.rest();
    expect(driver.recorder.frames).toEqual([]);
    driver.call((link) => link.setPaused(false));
    await driver.untilCame(() => driver.recorder.frames, 'one', 'two');
  });
}

function ending(start: () => Promise<Driver>): void {
  test('says what it had to say, closes, and tells its handler once', async () => {
    const driver = await start();
    driver.call((link) => {
      link.send('last words');
      link.close({ code: 'draining' });
      link.close({ code: 'internal' });
    });
    await driver.until('the end', () => driver.peer.ended && driver.recorder.closes.length === 1);
    await driver.rest();
    expect(driver.comparable(driver.peer.frames)[0]).toBe('last words');
    expect(driver.recorder.closes).toMatchObject([{ code: 'draining' }]);
  });

  test('does nothing after it was closed', async () => {
    const driver = await start();
    driver.call((link) => {
      link.close({ code: 'normal' });
      link.send('too late');
      link.sendShared(textBatch('too late'));
      link.requestDrain();
      link.setPaused(false);
    });
    await driver.until('the end', () => driver.recorder.closes.length === 1);
    driver.call((link) => {
      link.send('too late');
      link.close({ code: 'normal' });
    });
    await driver.rest();
    expect(Buffer.concat(driver.peer.frames.map(bytesOf)).includes('too late')).toBe(false);
    expect(driver.recorder.drains).toBe(0);
    expect(driver.recorder.closes).toHaveLength(1);
  });

  test('tells its handler once when the peer breaks off', async () => {
    const driver = await start();
    driver.peer.drop();
    await driver.until('the end', () => driver.recorder.closes.length === 1);
    driver.call((link) => {
      link.send('into the void');
      link.close({ code: 'normal' });
    });
    await driver.rest();
    expect(driver.recorder.closes).toHaveLength(1);
  });

  test('ends when the peer breaks off with bytes pending', async () => {
    const driver = await start();
    await driver.fill();
    driver.call((link) => link.requestDrain());
    driver.peer.drop();
    await driver.until('the end', () => driver.recorder.closes.length === 1);
    await driver.rest();
    expect(driver.recorder.drains).toBe(0);
  });
}

function textBatch(text: string): SharedBatch {
  return new SharedBatch(encoder.encode(text), true);
}

function bytesOf(frame: Frame): Uint8Array {
  return typeof frame === 'string' ? encoder.encode(frame) : frame;
}

function sizeOf(frames: readonly Frame[]): number {
  return frames.reduce((size, frame) => size + bytesOf(frame).length, 0);
}
