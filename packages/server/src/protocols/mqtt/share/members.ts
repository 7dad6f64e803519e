/**
 * Members: who shares one subscription, and what of it each of them has. Pure bookkeeping: it neither
 * sends nor stores.
 *
 * A member is connected, or away with a session that is kept. One that has unsubscribed gets nothing
 * more, and finishes what it was sent ([MQTT-3.10.4-3]) unless its connection ends before.
 */
import type { Place } from '../messages/place.ts';
import type { GroupRecord, KeptMember, OwedPlace } from './group-record.ts';
import { Member } from './member.ts';
import type { Lending } from './member.ts';
import { placeKey, SharedPlace } from './shared-place.ts';

const NO_KEYS: ReadonlySet<string> = new Set();

export class Members {
  readonly #all = new Map<string, Member>();
  /** Those that have unsubscribed and still have something. */
  readonly #leaving = new Set<Member>();
  readonly #lending: Lending;

  /** @param onSettled called when one is done with something it was lent. */
  constructor(onSettled: () => void) {
    this.#lending = { count: 0, onSettled };
  }

  get count(): number {
    return this.#all.size;
  }

  /** True where somebody's session is stored: then the group is. */
  get isKept(): boolean {
    for (const { expirySeconds } of this.#all.values()) if (expirySeconds > 0) return true;
    return false;
  }

  /** Those whose sessions are stored, as a record keeps them. */
  get kept(): readonly KeptMember[] {
    return [...this.#all.values()].flatMap(({ kept }) => (kept === undefined ? [] : [kept]));
  }

  /** True where messages are kept for somebody who is away: QoS 0 goes on from what comes then. */
  get keepsPlace(): boolean {
    return this.kept.some(({ qos }) => qos > 0);
  }

  /** How much is lent. */
  get lentCount(): number {
    return this.#lending.count;
  }

  /** True while one that has unsubscribed has something to finish. */
  get hasLeaving(): boolean {
    for (const member of this.#leaving) if (member.lent.size === 0) this.#leaving.delete(member);
    return this.#leaving.size > 0;
  }

  /** What is lent, with the keys of those who have it as far as a record knows them. */
  get lent(): readonly OwedPlace[] {
    const owed: OwedPlace[] = [];
    for (const { key, lent } of this.#all.values()) {
      for (const place of lent) owed.push({ place, holder: key });
    }
    for (const { lent } of this.#leaving) for (const place of lent) owed.push({ place });
    return owed;
  }

  /** What was given with QoS 2 and may be in no window that is stored. */
  get unstored(): readonly SharedPlace[] {
    return [...this.#all.values()].flatMap(({ unstored }) => [...unstored]);
  }

  get(key: string): Member | undefined {
    return this.#all.get(key);
  }

  /** Takes in what a record says. @returns what nobody of those has, to be given again. */
  restore({ members, owed }: Pick<GroupRecord, 'members' | 'owed'>, share: string): Place[] {
    for (const kept of members) this.#all.set(kept.key, new Member(kept, this.#lending));
    return owed.flatMap(({ place, holder = '' }): Place[] => {
      const member = this.#all.get(holder);
      member?.lend(new SharedPlace(place, share));
      return member === undefined ? [place] : [];
    });
  }

  /** Sessions that have ended by themselves are no members. @returns what they had. */
  removeOver(nowMs: number): readonly Place[] {
    const over = [...this.#all.values()].filter((member) => member.isOver(nowMs));
    return over.flatMap((member) => this.remove(member));
  }

  /**
   * A session has a connection and takes part from here on.
   *
   * @param held what its window has of the group with QoS 1, of an earlier connection or from before it
   *   unsubscribed: what others have by now is marked as taken back.
   * @param again what is to be given again to whoever comes.
   * @returns the member, and what it had and does not know of.
   */
  admit(
    kept: KeptMember,
    held: readonly SharedPlace[],
    again: readonly Place[],
  ): { readonly member: Member; readonly unknown: readonly Place[] } {
    const known = this.#all.get(kept.key);
    const member = known ?? new Member(kept, this.#lending);
    const had = new Map([...member.lent].map((place) => [placeKey(place), place]));
    if (known === undefined) this.#takeFromLeaving(kept.key, held);
    const elsewhere = known === undefined && held.length > 0 ? this.#keysOf(again) : NO_KEYS;
    for (const place of held) {
      const key = placeKey(place);
      const before = had.get(key);
      had.delete(key);
      if (before !== undefined) member.letGo([before]);
      const isItsOwn = known === undefined ? !elsewhere.has(key) : before !== undefined;
      if (isItsOwn) member.lend(place);
      else place.isTakenBack = true;
    }
    const unknown = member.takeBack(had.values());
    member.qos = kept.qos;
    member.expirySeconds = kept.expirySeconds;
    member.expiresAt = undefined;
    this.#all.set(kept.key, member);
    return { member, unknown };
  }

  /** It unsubscribed, and finishes what it has. */
  retire(member: Member): void {
    if (this.#all.get(member.key) === member) this.#all.delete(member.key);
    if (member.lent.size > 0) this.#leaving.add(member);
  }

  /** It is gone. @returns what it had. */
  remove(member: Member): readonly Place[] {
    if (this.#all.get(member.key) === member) this.#all.delete(member.key);
    this.#leaving.delete(member);
    return [...member.takeBack(), ...member.takeUnstored(() => false)];
  }

  /** @returns what those have who are away: they need not be waited for. */
  takeBackFromAway(): readonly Place[] {
    return [...this.#all.values()].flatMap((member) =>
      member.seat === undefined ? member.takeBack() : [],
    );
  }

  /** There is nobody to take anything back for. Who has something finishes it, and nobody is told. */
  letGo(): void {
    for (const member of this.#leaving) member.letGo();
    this.#leaving.clear();
  }

  /** It subscribed again before it was done. */
  #takeFromLeaving(key: string, places: readonly SharedPlace[]): void {
    for (const member of this.#leaving) if (member.key === key) member.letGo(places);
  }

  /** All that somebody has or is to have. */
  #keysOf(again: readonly Place[]): ReadonlySet<string> {
    return new Set([...this.lent.map(({ place }) => place), ...again].map(placeKey));
  }
}
