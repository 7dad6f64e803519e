/**
 * Member: a session that shares a subscription, with a connection or without one, and what it was lent.
 */
import type { Qos } from '../codec/packets.ts';
import type { KeptMember } from './group-record.ts';
import type { Seat } from './seat.ts';
import type { Lender, SharedPlace } from './shared-place.ts';

/** What all members of a group are lent together. */
export interface Lending {
  /** Messages with QoS 1 that are not acknowledged. */
  count: number;
  /** A member is done with one. */
  onSettled(): void;
}

export class Member implements Lender {
  /** The key of its session. */
  readonly key: string;
  qos: Qos;
  /** Seconds that its session is kept without a connection; 0: it ends with that. */
  expirySeconds: number;
  /** Unix milliseconds at which the session ends; absent while it has a connection. */
  expiresAt: number | undefined;
  /** Present while it is given messages. */
  seat: Seat | undefined;
  /** What it was given with QoS 1 and has not acknowledged. */
  readonly lent = new Set<SharedPlace>();
  /** What it was given with QoS 2 and its session has not stored: so nobody was sent it yet. */
  readonly unstored = new Set<SharedPlace>();
  readonly #lending: Lending;

  constructor(kept: KeptMember, lending: Lending) {
    this.key = kept.key;
    this.qos = kept.qos;
    this.expirySeconds = kept.expirySeconds;
    this.expiresAt = kept.expiresAt;
    this.#lending = lending;
  }

  /** What a record keeps of it; `undefined` of one whose session is not stored. */
  get kept(): KeptMember | undefined {
    const { key, qos, expirySeconds, expiresAt } = this;
    if (expirySeconds === 0) return undefined;
    return { key, qos, expirySeconds, ...(expiresAt === undefined ? {} : { expiresAt }) };
  }

  /** True when its session has ended by itself. */
  isOver(nowMs: number): boolean {
    return this.expiresAt !== undefined && this.expiresAt <= nowMs;
  }

  /** It has this one from here on. */
  lend(place: SharedPlace): void {
    place.lender = this;
    this.lent.add(place);
    this.#lending.count += 1;
  }

  onDone(place: SharedPlace): void {
    if (!this.lent.delete(place)) return;
    this.#lending.count -= 1;
    this.#lending.onSettled();
  }

  /** These are not its any more; without any named, all. @returns them. */
  takeBack(places: Iterable<SharedPlace> = this.lent): readonly SharedPlace[] {
    const taken = [...places].filter((place) => this.#letGo(place));
    for (const place of taken) place.isTakenBack = true;
    return taken;
  }

  /** Whether it is stored is known now. @returns what its session does not know of. */
  takeUnstored(isKnown: (place: SharedPlace) => boolean): readonly SharedPlace[] {
    const unknown = [...this.unstored].filter((place) => !isKnown(place));
    this.unstored.clear();
    return unknown;
  }

  /** It keeps what it has, and nobody waits for that any more. */
  letGo(places: Iterable<SharedPlace> = this.lent): void {
    for (const place of [...places]) this.#letGo(place);
  }

  /** @returns false for what it does not have. */
  #letGo(place: SharedPlace): boolean {
    if (!this.lent.delete(place)) return false;
    place.lender = undefined;
    this.#lending.count -= 1;
    return true;
  }
}
