/** Roster: who is in one channel, by session and by user. It sets no timer and tells nobody. */
import type { Member, MemberPage } from '@trunkline/wire';
import { PAGE_COUNT_MAX, PAGE_SIZE_MAX } from './config.ts';
import { MemberList } from './member-list.ts';
import { Entry, Person } from './person.ts';
import { formatPlace, parsePlace } from './place.ts';
import type { Newcomer, PageRequest } from './presence-types.ts';

/** Bytes of a member without its user and info, roughly. */
const MEMBER_SIZE = 80;

/** The members of one channel, each listed once. */
export class Roster {
  readonly channel: string;
  /** How long a member may be away; one and the same for all of them. */
  readonly graceMs: number;
  // Most channels have only the one or the other.
  #users: Map<string, Person> | undefined;
  #strangers: Map<string, Person> | undefined;
  readonly #list = new MemberList<Entry>();

  constructor(channel: string, graceMs: number) {
    this.channel = channel;
    this.graceMs = graceMs;
  }

  /** Users; a session without one counts as a user of its own. */
  get count(): number {
    return (this.#users?.size ?? 0) + (this.#strangers?.size ?? 0);
  }

  /** Sessions. */
  get size(): number {
    return this.#list.size;
  }

  /** The entry of a session that is there already. */
  find({ session, user }: Newcomer): Entry | undefined {
    return this.#personOf(session, user)?.find(session);
  }

  /** What is told of a session from now on. @returns true when that is something else. */
  renew(entry: Entry, newcomer: Newcomer): boolean {
    if (entry.member.info === newcomer.info) return false;
    entry.member = toMember(newcomer, entry.member.since);
    return true;
  }

  /**
   * Lists a session that is not there.
   *
   * @param since unix milliseconds.
   * @returns its entry, and whether it is the first of its person.
   */
  add(newcomer: Newcomer, since: number, node: string): { entry: Entry; isFirst: boolean } {
    const { session, user } = newcomer;
    const known = this.#personOf(session, user);
    const person = known ?? new Person(this);
    if (known === undefined) this.#people(user).set(user ?? session, person);
    const entry = new Entry(person, toMember(newcomer, since), node);
    person.add(entry);
    this.#list.add(entry);
    return { entry, isFirst: known === undefined };
  }

  /** Lists a session no more. @returns true when it was the last of its person. */
  delete(entry: Entry): boolean {
    const { person, member } = entry;
    this.#list.delete(entry);
    person.delete(entry);
    if (!person.isEmpty) return false;
    this.#people(member.user).delete(member.user ?? member.session);
    return true;
  }

  /**
   * Part of the list, the longest there first: whoever is there all the time is on exactly one of
   * the pages that follow each other. @throws {CodedError} `bad_request` when `after` is no place.
   */
  page({ countMax, sizeMax = PAGE_SIZE_MAX, after }: PageRequest): MemberPage {
    const place = after === undefined ? undefined : parsePlace(after);
    const members: Member[] = [];
    const { count } = this;
    let size = 0;
    for (const { member } of this.#list.after(place)) {
      const last = members.at(-1);
      const memberSize = sizeOf(member);
      const isFull = members.length >= Math.min(countMax, PAGE_COUNT_MAX);
      if (last !== undefined && (isFull || size + memberSize > sizeMax)) {
        return { members, count, next: formatPlace(last) };
      }
      members.push(member);
      size += memberSize;
    }
    return { members, count };
  }

  /** People by user, or by session. */
  #people(user: string | undefined): Map<string, Person> {
    if (user === undefined) return (this.#strangers ??= new Map<string, Person>());
    return (this.#users ??= new Map<string, Person>());
  }

  #personOf(session: string, user: string | undefined): Person | undefined {
    return user === undefined ? this.#strangers?.get(session) : this.#users?.get(user);
  }
}

function toMember({ session, user, info }: Newcomer, since: number): Member {
  // Written out: an object that is made by spreading costs twice the memory.
  if (user === undefined) return info === undefined ? { session, since } : { session, info, since };
  return info === undefined ? { session, user, since } : { session, user, info, since };
}

/** Bytes of a member, roughly. Its info is small, as tokens are held to that. */
function sizeOf({ user, info }: Member): number {
  const infoSize = info === undefined ? 0 : JSON.stringify(info).length;
  return MEMBER_SIZE + (user?.length ?? 0) + infoSize;
}
