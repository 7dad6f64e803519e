/**
 * Groups: the share groups of one node that somebody is connected to, or is about to be.
 *
 * A group is of the node, not of a user: who is granted the filter may share it with all others who are.
 */
import type { StateRecord } from '../../../broker/state.ts';
import { parseShared } from '../codec/topics.ts';
import type { SessionRecord } from '../session/record.ts';
import { decodeGroup, encodeGroup, expiryOf, withEnds } from './group-record.ts';
import { ShareGroup } from './group.ts';
import type { GroupParts } from './group.ts';

/** The groups by their names. */
export class ShareGroups {
  readonly #parts: GroupParts;
  readonly #groups = new Map<string, ShareGroup>();

  constructor(parts: GroupParts) {
    this.#parts = parts;
  }

  /** Those that are in memory. */
  get count(): number {
    return this.#groups.size;
  }

  /** The group of this name. @param share the whole filter, well-formed. */
  of(share: string): ShareGroup {
    const known = this.#groups.get(share);
    if (known !== undefined) return known;
    const { filter = '' } = parseShared(share) ?? {};
    const made = new ShareGroup(share, filter, this.#parts, this.#forget);
    this.#groups.set(share, made);
    return made;
  }

  /**
   * A session that had no connection is gone, and its record with it.
   *
   * @throws {CodedError} when a group can't be read now.
   */
  async onSessionGone(key: string, { subscriptions }: SessionRecord): Promise<void> {
    for (const { filter } of subscriptions) {
      if (parseShared(filter) !== undefined) await this.of(filter).drop(key);
    }
  }

  /** A group whose members an earlier life of the server left connected: it runs out with them. */
  async takeUp({ key, value, version }: StateRecord): Promise<void> {
    const { state, clock } = this.#parts;
    const stored = decodeGroup(value);
    if (stored?.isOpen !== true || this.#groups.has(stored.share)) return;
    const record = withEnds(stored, clock.unixMs());
    // Only over what was read: somebody may have come by now.
    await state.put(key, encodeGroup(record), { ifVersion: version, ...expiryOf(record) });
  }

  /** What it had to keep is stored; the next one who comes finds it there. */
  readonly #forget = (group: ShareGroup): void => {
    group.end();
    if (this.#groups.get(group.share) === group) this.#groups.delete(group.share);
  };
}
