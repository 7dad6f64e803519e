/**
 * Attendance: who is in one channel, as far as the server has told. People are counted, sessions
 * are listed [PRES-3]; of many members only the pages asked for are held.
 */
import type { Member } from '@trunkline/wire';
import type { PresenceNews } from './lines/line.ts';

/** Members held of one channel; who comes beyond it is counted and not listed. */
const MEMBERS_MAX = 5_000;

/** What happened last, newest first. */
const CHANGES_MAX = 5;

/** One who came or went. */
export interface Coming {
  readonly kind: 'join' | 'leave';
  readonly member: Member;
}

/** Who is in one channel. */
export class Attendance {
  /** By session, those who came last at the end. */
  readonly #members = new Map<string, Member>();
  /** Users, as the server counts them. */
  count = 0;
  /** Where the next page begins; absent when all are listed. */
  next: string | undefined;
  changes: readonly Coming[] = [];
  /** Why nothing is told. */
  refusal: string | undefined;

  /** The first `countMax` of those listed. */
  members(countMax: number): Member[] {
    const found: Member[] = [];
    for (const member of this.#members.values()) {
      if (found.length === countMax) break;
      found.push(member);
    }
    return found;
  }

  /** Members that are listed. */
  get size(): number {
    return this.#members.size;
  }

  /** Follows what the server tells. */
  take(news: PresenceNews): void {
    switch (news.kind) {
      case 'refused':
        this.refusal = news.reason;
        return;
      case 'page':
        this.refusal = undefined;
        this.#members.clear();
        this.add(news.members, news.count, news.next);
        return;
      case 'join':
        // One who is on the list has come by another session [PRES-5].
        if (!this.#remove(news.member)) this.count += 1;
        this.#add(news.member);
        break;
      case 'leave':
        this.#remove(news.member);
        this.count = Math.max(0, this.count - 1);
        break;
    }
    this.changes = [{ kind: news.kind, member: news.member }, ...this.changes].slice(
      0,
      CHANGES_MAX,
    );
  }

  /** Adds another page of the list. */
  add(members: readonly Member[], count: number, next: string | undefined): void {
    for (const member of members) this.#add(member);
    this.count = count;
    this.next = next;
  }

  #add(member: Member): void {
    if (this.#members.size < MEMBERS_MAX) this.#members.set(member.session, member);
  }

  /** Takes out the session, or every session of the user. */
  #remove({ session, user }: Member): boolean {
    if (user === undefined) return this.#members.delete(session);
    let found = false;
    for (const [key, member] of this.#members) {
      if (member.user === user) found = this.#members.delete(key);
    }
    return found;
  }
}
