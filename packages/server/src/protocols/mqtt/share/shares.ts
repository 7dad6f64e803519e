/**
 * Shares: the shared subscriptions of one session, as far as it takes part in their groups. They are
 * subscriptions of the session like others: kept in its record, and begun again with it.
 */
import { CodedError } from '@trunkline/wire';
import { filterFault, isShared, parseShared, sharedFilterFault } from '../codec/topics.ts';
import { formOf } from '../messages/form.ts';
import type { FilterOptions, Form } from '../messages/form.ts';
import type { Place } from '../messages/place.ts';
import type { FiltersSession } from '../subscriptions/filters.ts';
import type { KeptSubscription } from '../subscriptions/subscriptions.ts';
import type { KeptMember } from './group-record.ts';
import type { ShareGroup } from './group.ts';
import type { Member } from './member.ts';
import { placeKey, SharedPlace } from './shared-place.ts';

/** What most sessions have. Nobody writes to them. */
const NO_SHARES = new Map<string, Share>();
const NONE_RETIRED = new Set<Share>();

/** Bytes of the name of a group, as of a filter: both are in the record of a session. */
const GROUP_LENGTH_MAX = 255;

/** One of them. */
interface Share {
  readonly group: ShareGroup;
  readonly member: Member;
  options: FilterOptions;
}

export class Shares {
  readonly #session: FiltersSession;
  #all = NO_SHARES;
  /** Unsubscribed, with something left to finish. */
  #retired = NONE_RETIRED;
  #ended = false;

  constructor(session: FiltersSession) {
    this.#session = session;
  }

  get count(): number {
    return this.#all.size;
  }

  /** What is shared of them. */
  get filters(): Iterable<string> {
    return [...this.#all.keys()].map((filter) => parseShared(filter)?.filter ?? filter);
  }

  /**
   * Subscribes; where the filter is subscribed to, its options change.
   *
   * @param filter what is shared of `options.filter`, checked.
   * @param countMax how many it may have here.
   * @throws {CodedError} that says why not.
   */
  async subscribe(options: FilterOptions, filter: string, countMax: number): Promise<void> {
    const { hub } = this.#session.parts;
    hub.demand(this.#session.caller().identity, 'subscribe', filter);
    const known = this.#all.get(options.filter);
    if (known !== undefined) {
      known.options = options;
      known.group.change(known.member, this.#formOf(options));
      return;
    }
    if (this.#all.size >= countMax) {
      throw new CodedError('rate_limited', 'no more subscriptions a session');
    }
    await this.#join(options, false);
  }

  /** Goes on with one of an earlier connection, if it is still allowed. */
  async resume(options: FilterOptions, filter: string): Promise<void> {
    const { hub, groups } = this.#session.parts;
    const { identity } = this.#session.caller();
    if (hub.permits(identity, 'subscribe', filter)) await this.#join(options, true);
    else await groups.of(options.filter).drop(this.#session.terms.key);
  }

  /** @returns false when there was nothing to unsubscribe from. */
  unsubscribe(filter: string): boolean {
    const share = this.#all.get(filter);
    if (share === undefined) return false;
    this.#all.delete(filter);
    share.group.retire(share.member);
    for (const retired of this.#retired) {
      if (retired.member.lent.size === 0) this.#retired.delete(retired);
    }
    if (share.member.lent.size === 0) return true;
    if (this.#retired === NONE_RETIRED) this.#retired = new Set();
    this.#retired.add(share);
    return true;
  }

  /** The link has drained, or the window. */
  onRoom(): void {
    for (const { group } of this.#all.values()) group.onRoom();
  }

  /** How a message of this place is sent again. */
  formFor({ share }: SharedPlace): Form {
    return this.#formOf(this.#all.get(share)?.options);
  }

  /** What a record keeps of them. */
  kept(): readonly KeptSubscription[] {
    return [...this.#all.values()].map(({ options }) => options);
  }

  /**
   * The session's connection has ended. What goes to others is gone from its window.
   *
   * @param expirySeconds how long the session is kept from here on; 0: it has ended.
   * @returns a promise for when the groups have handed to the store what they keep.
   */
  async end(expirySeconds: number): Promise<void> {
    this.#ended = true;
    const all = [...this.#all.values(), ...this.#retired];
    const left = all.map(({ group, member }) => group.leave(member, expirySeconds));
    this.#forgetTaken();
    await Promise.all(left);
  }

  async #join(options: FilterOptions, isResumed: boolean): Promise<void> {
    const { parts, terms } = this.#session;
    const group = parts.groups.of(options.filter);
    const member = await group.join({
      kept: this.#keptMember(options),
      session: this.#session,
      form: this.#formOf(options),
      held: this.#held(options.filter),
      finishes: this.#finishes(options.filter),
      isResumed,
    });
    this.#forgetTaken();
    if (this.#ended) {
      // Of a session that goes on later it is stored that it takes part, if that is so.
      void group.leave(member, isResumed ? terms.expirySeconds : 0);
      throw new CodedError('unavailable', 'the session has ended');
    }
    if (this.#all === NO_SHARES) this.#all = new Map();
    this.#all.set(options.filter, { group, member, options });
    group.begin(member);
  }

  /** What the window has of a group with QoS 1. */
  #held(share: string): readonly SharedPlace[] {
    return [...this.#session.window.sent()].flatMap(({ place, awaited }) => {
      const isHeld = awaited === 'puback' && isOf(place, share) && !place.isTakenBack;
      return isHeld ? [place] : [];
    });
  }

  /** The keys of what the window has of a group with QoS 2. */
  #finishes(share: string): ReadonlySet<string> {
    const sent = [...this.#session.window.sent()];
    const own = sent.filter(({ awaited, place }) => awaited !== 'puback' && isOf(place, share));
    return new Set(own.map(({ place }) => placeKey(place)));
  }

  #forgetTaken(): void {
    const { window } = this.#session;
    for (const { packetId, place } of [...window.sent()]) {
      if (place instanceof SharedPlace && place.isTakenBack) window.acknowledge(packetId, 'puback');
    }
  }

  #keptMember({ qos }: FilterOptions): KeptMember {
    const { key, expirySeconds } = this.#session.terms;
    return { key, qos, expirySeconds };
  }

  /** Overlaps are no matter: what is shared is apart from what a session reads by itself. */
  #formOf(options: FilterOptions | undefined): Form {
    return formOf(this.#session.terms, options === undefined ? [] : [options]);
  }
}

/**
 * What of a shared filter is the filter; `undefined` for one that shares nothing.
 *
 * @throws {CodedError} for one that is malformed, as 3.1.1 may send it.
 */
export function sharedPart(filter: string): string | undefined {
  if (!isShared(filter)) return undefined;
  const fault = sharedFilterFault(filter);
  const { filter: part, group = '' } = parseShared(filter) ?? {};
  if (Buffer.byteLength(group) > GROUP_LENGTH_MAX) {
    throw new CodedError('not_found', `a share name may have ${GROUP_LENGTH_MAX} bytes`);
  }
  if (fault !== undefined || part === undefined || filterFault(part) !== undefined) {
    throw new CodedError('not_found', fault?.message ?? 'the filter shares nothing');
  }
  return part;
}

function isOf(place: Place, share: string): place is SharedPlace {
  return place instanceof SharedPlace && place.share === share;
}
