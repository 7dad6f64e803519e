/**
 * SessionQuota: how many sessions are stored, in all and of each owner, so that a client can't leave any
 * number of them behind.
 *
 * An owner is a user, or the address of who is nobody; applications are none. What is stored says whose it
 * is, and is counted when the server starts. From then on a session counts from its CONNECT on until it
 * is removed. One that ends by itself is told to nobody: when a limit comes near everything is counted
 * anew, in pages and seldom. So a count may be too high by what ended since the last time, and off by what
 * changed while a page was read; and the next time puts it right.
 */
import type { Identity } from '../../../auth/identity.ts';
import type { Clock } from '../../../clock.ts';
import { MqttError } from '../codec/faults.ts';
import { REASONS } from '../codec/reasons.ts';
import type { MqttConfig } from '../parts.ts';
import type { SessionRecord } from './record.ts';

/** What a record says of whose it is. */
export type Owner = Pick<SessionRecord, 'user' | 'address'>;

/** Reads all that is stored, and says of each record whose it is. */
export type ReadSessions = (see: (key: string, owner: Owner) => void) => Promise<void>;

/** What a quota is built from. */
export interface SessionQuotaParts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly config: Pick<MqttConfig, 'sessionsMax' | 'sessionsPerUserMax'>;
  /** Reads everything again. Never rejects. */
  readonly read: ReadSessions;
}

/** From this part of a limit on it is worth to count anew. */
const NEAR_PART = 7 / 8;

/** Nothing is counted anew sooner than so long after the last time. */
const PAUSE_MS = 60_000;

/** Nor before so many times as long as that took: counting is a small part of what a server does. */
const PAUSE_FACTOR = 20;

/** An owner as a key; `undefined` for an application. */
export function ownerName({ user, address }: Owner): string | undefined {
  if (user !== undefined) return `user ${user}`;
  return address === undefined ? undefined : `address ${address}`;
}

/** Whose the sessions of a client are, as a record says it. */
export function ownerOf(
  { kind, user }: Pick<Identity, 'kind' | 'user'>,
  remoteAddress: string,
): Owner {
  if (user !== undefined) return { user };
  return kind === 'server' ? {} : { address: remoteAddress };
}

/** Sessions, in all and by owner. */
class Counts {
  /** Without zeros. */
  readonly #ofOwner = new Map<string, number>();
  total = 0;

  of(owner: string | undefined): number {
    return owner === undefined ? 0 : (this.#ofOwner.get(owner) ?? 0);
  }

  add(owner: string | undefined): void {
    this.total += 1;
    if (owner !== undefined) this.#ofOwner.set(owner, this.of(owner) + 1);
  }

  remove(owner: string | undefined): void {
    this.total = Math.max(0, this.total - 1);
    if (owner === undefined) return;
    const left = this.of(owner) - 1;
    if (left > 0) this.#ofOwner.set(owner, left);
    else this.#ofOwner.delete(owner);
  }
}

/** The stored sessions of one node. */
export class SessionQuota {
  readonly #parts: SessionQuotaParts;
  #counts = new Counts();
  /** While everything is counted: what was counted by now, and up to which key. */
  #anew: { readonly counts: Counts; seenTo: string } | undefined;
  /** Before this nothing is counted anew. */
  #restMs = 0;

  constructor(parts: SessionQuotaParts) {
    this.#parts = parts;
  }

  /** Sessions that are stored, as far as it is known. */
  get count(): number {
    return this.#counts.total;
  }

  /**
   * Whether one more may be stored.
   *
   * @throws {MqttError} quota exceeded.
   */
  demandRoom(owner: string | undefined): void {
    const { sessionsMax, sessionsPerUserMax } = this.#parts.config;
    const own = this.#counts.of(owner);
    if (isNear(this.count, sessionsMax) || isNear(own, sessionsPerUserMax)) this.#countSoon();
    if (isFull(this.count, sessionsMax)) {
      throw exceeded(`at most ${sessionsMax} sessions are stored`);
    }
    if (isFull(own, sessionsPerUserMax)) {
      throw exceeded(`at most ${sessionsPerUserMax} sessions are stored of the ${owner}`);
    }
  }

  /** One more is stored. */
  add(key: string, owner: string | undefined): void {
    this.#counts.add(owner);
    if (this.#isSeen(key)) this.#anew?.counts.add(owner);
  }

  /** One is stored no more. */
  remove(key: string, owner: string | undefined): void {
    this.#counts.remove(owner);
    if (this.#isSeen(key)) this.#anew?.counts.remove(owner);
  }

  /** Counts what is stored, at the start and again. What is added meanwhile counts once. Never rejects. */
  async recount(read: ReadSessions = this.#parts.read): Promise<void> {
    if (this.#anew !== undefined) return;
    const { clock } = this.#parts;
    const beginMs = clock.monotonicMs();
    const anew = { counts: new Counts(), seenTo: '' };
    this.#anew = anew;
    await read((key, owner) => {
      // What fails after it was seen comes again.
      if (key <= anew.seenTo) return;
      anew.counts.add(ownerName(owner));
      anew.seenTo = key;
    });
    this.#anew = undefined;
    this.#counts = anew.counts;
    const tookMs = clock.monotonicMs() - beginMs;
    this.#restMs = clock.monotonicMs() + Math.max(PAUSE_MS, PAUSE_FACTOR * tookMs);
  }

  #countSoon(): void {
    if (this.#parts.clock.monotonicMs() >= this.#restMs) void this.recount();
  }

  /** True for what will not come any more while everything is counted. */
  #isSeen(key: string): boolean {
    return this.#anew !== undefined && key <= this.#anew.seenTo;
  }
}

/** A limit of 0 is none. */
function isFull(count: number, countMax: number): boolean {
  return countMax > 0 && count >= countMax;
}

function isNear(count: number, countMax: number): boolean {
  return countMax > 0 && count >= countMax * NEAR_PART;
}

function exceeded(message: string): MqttError {
  return new MqttError(REASONS.quotaExceeded, '§3.2.2.2', message);
}
