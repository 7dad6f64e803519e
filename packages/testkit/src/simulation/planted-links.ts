/** Links that deliver wrongly on purpose. */
import type { Close, Frame, Link } from '@trunkline/server/internal/link/link.ts';
import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import type { SeededRandom } from '../random.ts';

/** How often a mistake happens where it can. */
export const CHANCE = 0.1;

/** Hands everything on; its subclasses do it wrongly. */
export class PassingLink implements Link {
  protected readonly link: Link;
  protected readonly random: SeededRandom;

  constructor(link: Link, random: SeededRandom) {
    this.link = link;
    this.random = random;
  }

  get info(): Link['info'] {
    return this.link.info;
  }

  get traits(): Link['traits'] {
    return this.link.traits;
  }

  get pendingBytes(): number {
    return this.link.pendingBytes;
  }

  send(frame: Frame): void {
    this.link.send(frame);
  }

  sendShared(batch: SharedBatch): void {
    this.link.sendShared(batch);
  }

  requestDrain(): void {
    this.link.requestDrain();
  }

  setPaused(paused: boolean): void {
    this.link.setPaused(paused);
  }

  close(close: Close): void {
    this.link.close(close);
  }
}

/** Delivers twice. */
export class RepeatingLink extends PassingLink {
  override sendShared(batch: SharedBatch): void {
    this.link.sendShared(batch);
    if (this.random.chance(CHANCE)) this.link.sendShared(batch);
  }
}

/** Delivers in the wrong order. */
export class SwappingLink extends PassingLink {
  #held: SharedBatch | undefined;

  override sendShared(batch: SharedBatch): void {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined && this.random.chance(CHANCE)) {
      this.#held = batch;
      return;
    }
    this.link.sendShared(batch);
    if (held !== undefined) this.link.sendShared(held);
  }
}

/** The place of a mark in the order of everything, and where channels stand elsewhere. */
const MARK = /(~e\.\w+\.\d+\.)(\d+)(\.\d+)(~[\w-]+)?/g;

/** Tells who is behind the newest mark that anybody was told. */
export class EarlyMarkLink extends PassingLink {
  static readonly #newest = new WeakMap<SeededRandom, number>();

  override sendShared(batch: SharedBatch): void {
    if (!batch.text) {
      this.link.sendShared(batch);
      return;
    }
    const text = Buffer.from(batch.payload).toString();
    const early = text.replace(MARK, (_, head: string, sequence: string, memory: string) => {
      const newest = Math.max(Number(sequence), EarlyMarkLink.#newest.get(this.random) ?? 0);
      EarlyMarkLink.#newest.set(this.random, newest);
      return `${head}${newest}${memory}`;
    });
    this.link.sendShared(new SharedBatch(Buffer.from(early), true));
  }
}

/** Does not tell who has gone. */
export class SilentLeaveLink extends PassingLink {
  override sendShared(batch: SharedBatch): void {
    const isLeave = Buffer.from(batch.payload).toString().includes('"type":"leave"');
    if (!isLeave) this.link.sendShared(batch);
  }
}

/** Gives a subscription that stands apart only what no other one of its link was given. */
export class ComparingLink extends PassingLink {
  readonly #given = new Set<string>();

  override sendShared(batch: SharedBatch): void {
    const text = Buffer.from(batch.payload).toString();
    const said = text.replaceAll(/,"(?:as":\d+|mark":"[^"]*")/g, '');
    const isKnown = this.#given.has(said);
    this.#given.add(said);
    if (!isKnown || !text.includes('"as":')) this.link.sendShared(batch);
  }
}
