/**
 * Loading: a group as it was stored. Where members were connected then, after a crash of the server,
 * their sessions are asked what they have.
 */
import { CodedError } from '@trunkline/wire';
import type { StateStore } from '../../../broker/state.ts';
import type { Clock } from '../../../clock.ts';
import type { SessionRecord } from '../session/record.ts';
import type { SessionStore } from '../session/session-store.ts';
import { decodeGroup, shareKey, withEnds } from './group-record.ts';
import type { GroupRecord, KeptMember } from './group-record.ts';
import { placeKey, SharedPlace } from './shared-place.ts';

/** What loading needs. */
export interface LoadingParts {
  readonly state: StateStore;
  readonly sessions: Pick<SessionStore, 'load'>;
  readonly clock: Clock;
}

/** A group that was stored. */
export interface LoadedGroup {
  readonly record: GroupRecord;
  /** By their keys, the places of messages with QoS 2 that members may have. */
  readonly taken: ReadonlySet<string>;
}

/** Members whose sessions are read at once. */
const READ_COUNT_MAX = 64;

/** @throws {CodedError} when it can't be read now. */
export async function loadGroup(
  { state, sessions, clock }: LoadingParts,
  share: string,
): Promise<LoadedGroup | undefined> {
  try {
    const found = await state.get(shareKey(share));
    const stored = found === undefined ? undefined : decodeGroup(found.value);
    if (stored === undefined) return undefined;
    const record = withEnds(stored, clock.unixMs());
    if (!record.isOpen) return { record, taken: new Set() };
    const members: KeptMember[] = [];
    const taken = new Set<string>();
    for (let at = 0; at < record.members.length; at += READ_COUNT_MAX) {
      const some = record.members.slice(at, at + READ_COUNT_MAX);
      const records = await Promise.all(some.map(({ key }) => sessions.load(key)));
      for (const [index, member] of some.entries()) {
        const session = records[index];
        if (session === undefined || !isMember(session, share)) continue;
        members.push(member);
        for (const key of takenBy(session, share)) taken.add(key);
      }
    }
    const owed = record.owed.filter(({ place }) => !taken.has(placeKey(place)));
    return { record: { ...record, members, owed }, taken };
  } catch (error) {
    const message = `the share group ${share} can not be read now`;
    throw new CodedError('unavailable', message, { cause: error });
  }
}

function isMember({ subscriptions }: SessionRecord, share: string): boolean {
  return subscriptions.some(({ filter }) => filter === share);
}

function* takenBy({ sent }: SessionRecord, share: string): Generator<string, void, undefined> {
  for (const { place, awaited } of sent) {
    if (awaited === 'puback' || !(place instanceof SharedPlace)) continue;
    if (place.share === share) yield placeKey(place);
  }
}
