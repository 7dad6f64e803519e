/**
 * Person: a user in one channel, with as many sessions as she has, or a session of nobody known.
 *
 * There may be very many with one session each: what few need is made when needed.
 */
import type { Member } from '@trunkline/wire';
import type { Delayed } from './delay-queue.ts';
import type { Roster } from './roster.ts';

/** A session in a channel: what is told of it, and what keeps it there. */
export class Entry implements Delayed<Entry> {
  /** Its `info` may be replaced, its place never. */
  member: Member;
  readonly person: Person;
  /** The node it is connected to. Those of other nodes are there as long as these say so. */
  readonly node: string;
  /** Stays that hold it; at 0 it is gone, and let go when its grace time is over. */
  holds = 0;
  dueMs = 0;
  earlier: Entry | undefined = undefined;
  later: Entry | undefined = undefined;

  constructor(person: Person, member: Member, node: string) {
    this.person = person;
    this.member = member;
    this.node = node;
  }
}

/** Who counts as one. */
export class Person {
  readonly roster: Roster;
  #only: Entry | undefined;
  #several: Map<string, Entry> | undefined;
  /** Of several; one that is alone says it itself. */
  #gone: Set<Entry> | undefined;

  constructor(roster: Roster) {
    this.roster = roster;
  }

  /** True when no session is left. */
  get isEmpty(): boolean {
    return this.#only === undefined && this.#several === undefined;
  }

  /** Sessions that nothing holds, the first to go first. */
  get gone(): Iterable<Entry> {
    if (this.#only !== undefined) return this.#only.holds === 0 ? [this.#only] : [];
    return this.#gone ?? [];
  }

  find(session: string): Entry | undefined {
    if (this.#several !== undefined) return this.#several.get(session);
    return this.#only?.member.session === session ? this.#only : undefined;
  }

  /** Adds a session that is not there. */
  add(entry: Entry): void {
    if (this.isEmpty) {
      this.#only = entry;
      return;
    }
    this.#several ??= new Map();
    const only = this.#only;
    if (only !== undefined) {
      this.#only = undefined;
      this.#several.set(only.member.session, only);
      this.setGone(only, only.holds === 0);
    }
    this.#several.set(entry.member.session, entry);
  }

  delete(entry: Entry): void {
    this.setGone(entry, false);
    if (this.#only === entry) this.#only = undefined;
    this.#several?.delete(entry.member.session);
    if (this.#several?.size === 0) this.#several = undefined;
  }

  /** Remembers whether anything holds the session. Idempotent. */
  setGone(entry: Entry, gone: boolean): void {
    if (entry === this.#only) return;
    if (gone) (this.#gone ??= new Set()).add(entry);
    else this.#gone?.delete(entry);
    if (this.#gone?.size === 0) this.#gone = undefined;
  }
}
