/**
 * Presence: who is in which channel of this node, and who wants to know.
 *
 * People are counted, not connections: a user has come when her first session enters, and has gone
 * when the last one left and her grace time passed without a return. Until then she is listed, and
 * nobody is told anything. What a change costs does not depend on how many are there.
 */
import { CodedError } from '@trunkline/wire';
import type { MemberPage } from '@trunkline/wire';
import type { Clock } from '../../clock.ts';
import type { Turn } from '../../link/turn.ts';
import type { Log } from '../../observe/log.ts';
import type { Wheel } from '../../wheel.ts';
import { Audience } from './audience.ts';
import type { AudienceParts, Watch } from './audience.ts';
import {
  BATCH_MS,
  BUSY_MS,
  FIRST_COUNT_MAX,
  FIRST_SIZE_MAX,
  MEMBERS_MAX,
  REPLACED_COUNT_MAX,
  WATCHERS_MAX,
} from './config.ts';
import type { PresenceConfig } from './config.ts';
import { DelayQueue } from './delay-queue.ts';
import type { Entry } from './person.ts';
import type { Newcomer, PageRequest, PresenceEvent, PresenceWatcher } from './presence-types.ts';
import { Roster } from './roster.ts';

/** What a presence is built from. */
export interface PresenceParts {
  readonly clock: Clock;
  readonly wheel: Wheel;
  readonly turn: Turn;
  readonly log: Log;
  readonly config: PresenceConfig;
}

/** Holds a member in a channel until it is given back by `leave`. */
export class Stay {
  /** Absent once it was given back. */
  entry: Entry | undefined;

  constructor(entry: Entry | undefined) {
    this.entry = entry;
  }
}

/** One node's presence. */
export class Presence {
  readonly #parts: PresenceParts;
  readonly #audienceParts: AudienceParts;
  /** Channels with members, and channels with watchers: nothing is kept of others. */
  readonly #rosters = new Map<string, Roster>();
  readonly #audiences = new Map<string, Audience>();
  /** Members who may come back, by how long they may be away. */
  readonly #graces = new Map<number, DelayQueue<Entry>>();
  /** What watchers were told since the start, each once for all of them; for the metrics. */
  readonly toldCounts = new Map<PresenceEvent['kind'], number>();
  #memberCount = 0;
  #closed = false;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
    const { turn, log, config } = parts;
    const onPauseOver = (audience: Audience): void => audience.onPauseOver();
    this.#audienceParts = {
      turn,
      log,
      highWaterSize: config.highWaterSize,
      toldCounts: this.toldCounts,
      pauses: {
        batch: new DelayQueue<Audience>(parts, BATCH_MS, onPauseOver),
        busy: new DelayQueue<Audience>(parts, BUSY_MS, onPauseOver),
      },
      firstPage: (channel) =>
        this.#read(channel, { countMax: FIRST_COUNT_MAX, sizeMax: FIRST_SIZE_MAX }),
    };
  }

  /** Members of all channels, those in their grace time included; for the metrics. */
  get memberCount(): number {
    return this.#memberCount;
  }

  /** Watchers of all channels; for the metrics. */
  get watcherCount(): number {
    let count = 0;
    for (const audience of this.#audiences.values()) count += audience.size;
    return count;
  }

  /**
   * A session is in a channel until the stay is given back. The same session of the same user may
   * enter several times, or again within its grace time: it is one member.
   *
   * @throws {CodedError} `rate_limited` when the channel has too many members.
   */
  enter(channel: string, newcomer: Newcomer): Stay {
    if (this.#closed) return new Stay(undefined);
    const roster = this.#rosters.get(channel) ?? this.#newRoster(channel);
    const known = roster.find(newcomer);
    if (known !== undefined) this.#comeBack(known, newcomer);
    const entry = known ?? this.#add(roster, newcomer);
    entry.holds += 1;
    return new Stay(entry);
  }

  /** Gives a stay back; the member goes when nothing else holds it. Idempotent. */
  leave(stay: Stay): void {
    const { entry } = stay;
    stay.entry = undefined;
    if (entry === undefined || this.#closed) return;
    entry.holds -= 1;
    if (entry.holds > 0) return;
    const { person } = entry;
    const { graceMs } = person.roster;
    if (graceMs === 0) {
      this.#remove(entry);
      return;
    }
    person.setGone(entry, true);
    this.#graceOf(graceMs).add(entry);
  }

  /**
   * Part of the list of a channel, and how many users are there. Who is there all the time is on
   * exactly one of the pages that follow each other by `next`.
   *
   * @throws {CodedError} `bad_request` when `after` is the `next` of no page.
   */
  page(channel: string, request: PageRequest): MemberPage {
    const page = this.#read(channel, request);
    this.#audiences.get(channel)?.look();
    return page;
  }

  /** How many users are in a channel. */
  count(channel: string): number {
    return this.#rosters.get(channel)?.count ?? 0;
  }

  /**
   * Wants to be told who comes and goes. Nothing is told before either `show`, which gives the list
   * to the caller, or `advance`, which sends it.
   *
   * @throws {CodedError} `rate_limited` when the channel has too many watchers.
   */
  watch(channel: string, watcher: PresenceWatcher): Watch {
    const known = this.#audiences.get(channel);
    const { watchersMax = WATCHERS_MAX } = this.#parts.config;
    if (known !== undefined && known.size >= watchersMax) {
      const message = `${channel} may have ${watchersMax} who watch its presence`;
      throw new CodedError('rate_limited', message);
    }
    const audience = known ?? new Audience(channel, this.#audienceParts);
    if (!this.#closed) this.#audiences.set(channel, audience);
    return audience.add(watcher);
  }

  /** The first page of the list, which the caller tells the watcher now; changes follow. */
  show(watch: Watch): MemberPage {
    return watch.audience.show(watch);
  }

  /**
   * Sends the list to a watcher that does not know it, as soon as its link has room: one that was
   * not shown it, or one whose link has drained. Changes follow.
   */
  advance(watch: Watch): void {
    if (!this.#closed) watch.audience.advance(watch);
  }

  /** The watcher is told nothing any more. Idempotent. */
  unwatch(watch: Watch): void {
    const { audience } = watch;
    audience.delete(watch);
    if (audience.size > 0 || this.#audiences.get(audience.channel) !== audience) return;
    this.#audiences.delete(audience.channel);
  }

  /** Forgets everyone; nobody is told. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const audience of this.#audiences.values()) audience.close();
    for (const grace of this.#graces.values()) grace.clear();
    this.#rosters.clear();
    this.#audiences.clear();
    this.#memberCount = 0;
  }

  #read(channel: string, request: PageRequest): MemberPage {
    // A channel without members is asked all the same, so that a wrong request is refused there too.
    return (this.#rosters.get(channel) ?? this.#newRoster(channel)).page(request);
  }

  #newRoster(channel: string): Roster {
    return new Roster(channel, this.#parts.config.graceMsOf(channel));
  }

  #comeBack(entry: Entry, newcomer: Newcomer): void {
    const { roster } = entry.person;
    entry.person.setGone(entry, false);
    this.#graceOf(roster.graceMs).remove(entry);
    if (roster.renew(entry, newcomer)) this.#audiences.get(roster.channel)?.onQuietChange();
  }

  #add(roster: Roster, newcomer: Newcomer): Entry {
    const { clock, config } = this.#parts;
    const { membersMax = MEMBERS_MAX } = config;
    const { channel } = roster;
    if (roster.size >= membersMax) {
      throw new CodedError('rate_limited', `${channel} may have ${membersMax} members`);
    }
    const { entry, isFirst } = roster.add(newcomer, clock.unixMs(), config.node);
    this.#rosters.set(channel, roster);
    this.#memberCount += 1;
    const audience = this.#audiences.get(channel);
    if (isFirst) audience?.onJoin(entry.person, entry.member);
    else {
      audience?.onQuietChange();
      this.#replaceGone(entry);
    }
    return entry;
  }

  /** Who comes back by another session need not be listed by those that she lost. */
  #replaceGone({ person }: Entry): void {
    let count = 0;
    for (const gone of person.gone) {
      if (count === REPLACED_COUNT_MAX) return;
      count += 1;
      this.#remove(gone);
    }
  }

  #graceOf(graceMs: number): DelayQueue<Entry> {
    let grace = this.#graces.get(graceMs);
    if (grace === undefined) {
      grace = new DelayQueue(this.#parts, graceMs, (entry: Entry) => this.#remove(entry));
      this.#graces.set(graceMs, grace);
    }
    return grace;
  }

  #remove(entry: Entry): void {
    const { person, member } = entry;
    const { roster } = person;
    const { channel } = roster;
    this.#graceOf(roster.graceMs).remove(entry);
    const isLast = roster.delete(entry);
    this.#memberCount -= 1;
    if (roster.size === 0) this.#rosters.delete(channel);
    const audience = this.#audiences.get(channel);
    if (isLast) audience?.onLeave(person, member);
    else audience?.onQuietChange();
  }
}
