/**
 * TroubledLine: a line to a real server through a proxy that a test makes trouble with, and somebody
 * who reads a channel over it. Client and server have one time, of which the test skips pieces.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { connect } from '@trunkline/client';
import type { ConnectOptions, GapEvent, Line, StateEvent } from '@trunkline/client';
import { seededRandom } from '@trunkline/testkit';
import type { ServerConfigInput } from '@trunkline/server';
import { expect } from 'vitest';
import { UncaughtErrors } from '../../src/faults.ts';
import { post } from '../../src/http.ts';
import { OPEN_AND_LISTED } from '../../src/listening.ts';
import { Proxy } from '../../src/proxy.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { API_KEY } from '../../src/tokens.ts';

/** What is read. */
export const CHANNEL = 'room/1';

/** Time passes in such pieces, and sockets have so many turns of the loop in each. */
const STEP_MS = 200;
const TURNS = 30;

/** Pieces of time in which something that must come has come. */
const STEPS_MAX = 3000;

export class TroubledLine implements AsyncDisposable {
  readonly clock: SkipClock;
  readonly server: LabServer;
  readonly proxy: Proxy;
  readonly line: Line;
  readonly states: StateEvent[] = [];
  readonly offsets: number[] = [];
  readonly gaps: GapEvent[] = [];
  readonly ends: unknown[] = [];
  readonly errors: Error[] = [];
  /** Real time that each piece takes at least: where a token is checked it takes some. */
  realMs = 0;
  readonly #uncaught = new UncaughtErrors();
  #published = 0;
  /** Offsets up to here were read, or it was said that they were not. */
  #toldTo = 0;
  /** Those that were read behind a hole of which nobody told. */
  readonly #silent: number[] = [];

  private constructor(
    clock: SkipClock,
    server: LabServer,
    proxy: Proxy,
    options: ConnectOptions,
    isReading: boolean,
  ) {
    this.clock = clock;
    this.server = server;
    this.proxy = proxy;
    const random = seededRandom(7);
    this.line = connect(proxy.url, {
      clock,
      unixMs: () => clock.unixMs(),
      random: () => random.fraction(),
      ...options,
    });
    this.line.on('state', (event) => this.states.push(event));
    this.line.on('error', (error) => this.errors.push(error));
    if (isReading) this.#read();
  }

  /** @param trouble begins before the line is dialed. */
  static async open(
    options: ConnectOptions | ((clock: SkipClock) => ConnectOptions) = {},
    trouble: (proxy: Proxy) => void = () => {},
    isReading = true,
    config: ServerConfigInput = OPEN_AND_LISTED,
  ): Promise<TroubledLine> {
    const clock = new SkipClock();
    const server = await startServer(config, { clock });
    const proxy = await Proxy.before(server.port);
    trouble(proxy);
    const own = typeof options === 'function' ? options(clock) : options;
    return new TroubledLine(clock, server, proxy, own, isReading);
  }

  /** Lets so much time pass, and what is on its way arrive meanwhile. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      await this.#arrive();
      this.clock.skip(Math.min(STEP_MS, left));
    }
    await this.#arrive();
  }

  /** What is on its way arrives. */
  async #arrive(): Promise<void> {
    const endMs = performance.now() + this.realMs;
    for (let count = 0; count < TURNS || performance.now() < endMs; count += 1) await turn();
  }

  /** Lets time pass until it holds. @throws {Error} when it never does. */
  async until(what: string, holds: () => boolean): Promise<void> {
    for (let step = 0; step < STEPS_MAX && !holds(); step += 1) await this.pass(STEP_MS);
    if (!holds()) throw new Error(`expected ${what}, but ${this.story}`);
  }

  /** The next messages of the channel. */
  async publish(count = 1): Promise<void> {
    const values = Array.from({ length: count }, () => (this.#published += 1));
    const body = values.map((data) => ({ channel: CHANNEL, data }));
    const headers = { authorization: `Bearer ${API_KEY}` };
    if (count === 0) return;
    const { status, text } = await post(`${this.server.url}/v1/publish`, body, headers);
    expect([status, text]).toEqual([200, text]);
  }

  /** What was asked of the proxy since the last call. */
  asked(): string[] {
    return this.proxy.asked.splice(0);
  }

  /** Why the last attempt ended. */
  get reason(): string | undefined {
    return this.states.findLast(({ reason }) => reason !== undefined)?.reason;
  }

  /** How it stands, for whoever wonders why. */
  get story(): string {
    const { state, transport } = this.line;
    const tried = this.line.explain().tried.map(({ name, reason }) => `${name}: ${reason}`);
    return `it is ${state} over ${transport}, because ${this.reason}; ${tried.join('; ')}`;
  }

  /** Everything that was published was read once, in order, and nothing broke. */
  async expectAll(): Promise<void> {
    await this.publish();
    await this.until('all messages', () => (this.offsets.at(-1) ?? 0) >= this.#published);
    const all = Array.from({ length: this.#published }, (_, index) => index + 1);
    expect(this.offsets).toEqual(all);
    expect(this.gaps).toEqual([]);
    expect(this.ends).toEqual([]);
    this.expectSound();
  }

  /** Everything that was published was read once, in order, or told as lost. */
  async expectTold(): Promise<void> {
    await this.publish();
    await this.until('all messages', () => (this.offsets.at(-1) ?? 0) >= this.#published);
    expect(this.offsets).toEqual([...new Set(this.offsets)].sort((one, other) => one - other));
    expect(this.#silent).toEqual([]);
    expect(this.ends).toEqual([]);
    this.expectSound();
  }

  /** Nothing broke, on either side. */
  expectSound(): void {
    expect(this.#uncaught.found).toEqual([]);
    expect(this.server.faults).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.line.close();
    await this.proxy[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    this.#uncaught[Symbol.dispose]();
  }

  #read(): void {
    this.line.channel(CHANNEL, { after: 'start' }).subscribe({
      onMessage: ({ offset = 0 }) => {
        if (offset > this.#toldTo + 1) this.#silent.push(offset);
        this.#toldTo = Math.max(this.#toldTo, offset);
        this.offsets.push(offset);
      },
      onGap: (gap) => {
        this.#toldTo = Math.max(this.#toldTo, Number(gap.position.split(':')[1]));
        this.gaps.push(gap);
      },
      onEnd: (error) => this.ends.push(error),
    });
  }
}
