/**
 * ShareGroup: a subscription that several sessions share (5.0 §4.8.2). It reads as one, and gives each
 * message to one member.
 *
 * 1. The group's place is where everything before was given. It is stored together with what was given
 *    with QoS 1 and is not acknowledged, so after a crash of the server that is given again.
 * 2. With QoS 2 a message is in its member's window, which is stored before the group's place, and both
 *    before the PUBLISH leaves: after a crash nobody is given what a window may have. The record of the
 *    group may be written sooner, for another member; then it has what is in no stored window as well,
 *    to be given again.
 * 3. While nobody is connected the group stands where it is; without members it is gone.
 */
import { CodedError } from '@trunkline/wire';
import type { StateStore } from '../../../broker/state.ts';
import type { Clock } from '../../../clock.ts';
import type { Hub } from '../../../hub/hub.ts';
import type { Log } from '../../../observe/log.ts';
import { SentPlace } from '../delivery/sent-place.ts';
import type { Form } from '../messages/form.ts';
import type { MqttConfig } from '../parts.ts';
import type { Loss } from '../session/losses.ts';
import type { SessionStore } from '../session/session-store.ts';
import { Giving } from './giving.ts';
import { loadGroup } from './group-loading.ts';
import type { GroupRecord, KeptMember } from './group-record.ts';
import { GroupStore } from './group-store.ts';
import type { Member } from './member.ts';
import { Members } from './members.ts';
import { Seat } from './seat.ts';
import type { SeatSession } from './seat.ts';
import { ShareReader } from './share-reader.ts';
import type { Portion, ShareSink } from './share-reader.ts';
import { placeKey } from './shared-place.ts';
import type { SharedPlace } from './shared-place.ts';

/** What groups are built from. */
export interface GroupParts {
  readonly hub: Hub;
  readonly state: StateStore;
  readonly sessions: Pick<SessionStore, 'load'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly config: Pick<MqttConfig, 'ackSaveMs' | 'highWaterSize'>;
}

/** Who comes. */
export interface Joining {
  readonly kept: KeptMember;
  readonly session: SeatSession;
  readonly form: Form;
  /** What its window has of the group with QoS 1. */
  readonly held: readonly SharedPlace[];
  /** The keys of the places that its window has with QoS 2. */
  readonly finishes: ReadonlySet<string>;
  /** True for a session that goes on: there was room for it once. */
  readonly isResumed: boolean;
}

/** Messages with QoS 1 that the members of a group have at most, together: all of them are stored. */
export const OWED_MAX = 1_000;

/** Members of one group; all of them are stored. */
export const MEMBERS_MAX = 1_000;

/** After so long what could not be read is tried again. */
const RETRY_MS = 1_000;

export class ShareGroup implements ShareSink {
  readonly share: string;
  readonly #filter: string;
  readonly #parts: GroupParts;
  readonly #onIdle: (group: ShareGroup) => void;
  readonly #reader: ShareReader;
  readonly #giving: Giving;
  readonly #members = new Members(() => this.#onSettled());
  readonly #store: GroupStore;
  #isLoaded = false;
  #isEnded = false;
  /** Joins and drops are done one after the other. */
  #turn: Promise<void> = Promise.resolve();
  #turnCount = 0;

  constructor(share: string, filter: string, parts: GroupParts, onIdle: (g: ShareGroup) => void) {
    const { hub, config } = parts;
    this.share = share;
    this.#filter = filter;
    this.#parts = parts;
    this.#onIdle = onIdle;
    this.#reader = new ShareReader(hub, this);
    this.#giving = new Giving({
      ...parts,
      share,
      isOwing: () => this.#members.lentCount >= OWED_MAX,
      onGiven: () => this.#saveSoon(),
      advance: () => this.#reader.advance(),
      onLoss: (loss) => this.onLoss(loss),
    });
    this.#store = new GroupStore({
      ...{ ...parts, share, delayMs: config.ackSaveMs },
      record: () => this.#record(),
    });
  }

  get highWaterSize(): number {
    return this.#parts.config.highWaterSize;
  }

  get isFull(): boolean {
    return this.#giving.isFull;
  }

  /**
   * Takes a session in, or back, which is given nothing before `begin`. What of `held` it has no more is
   * marked as taken back. Resolves when that is stored.
   *
   * @throws {CodedError} when it can't be read now.
   */
  join(joining: Joining): Promise<Member> {
    return this.#inTurn(async () => {
      await this.#load();
      this.#checkCount(joining);
      await this.#open(joining);
      const member = this.#admit(joining);
      await this.store();
      this.#reader.start();
      return member;
    });
  }

  /** Who has joined is given messages from here on. */
  begin({ seat }: Member): void {
    if (seat === undefined) return;
    seat.isOpen = true;
    this.#giving.goOnSoon();
  }

  /** It is subscribed to with other options. */
  change(member: Member, form: Form): void {
    member.seat?.change(form);
    this.#saveSoon();
  }

  /** It unsubscribed: it gets nothing more, and finishes what it was sent [MQTT-3.10.4-3]. */
  retire(member: Member): void {
    if (this.#isEnded) return;
    member.seat?.leave();
    this.#vacate(member);
    this.#members.retire(member);
    this.#giving.goOnSoon();
    void this.#settleDown();
  }

  /**
   * Its connection has ended, unsubscribed or not. What it had with QoS 1 goes to another one if there
   * is one, or if the session ends with it, and is marked as taken back.
   *
   * @returns a promise for when that is handed to the store.
   */
  leave(member: Member, expirySeconds: number): Promise<void> {
    if (this.#isEnded) return Promise.resolve();
    const isMember = this.#members.get(member.key) === member;
    this.#vacate(member);
    if (isMember && expirySeconds > 0) {
      member.expirySeconds = expirySeconds;
      member.expiresAt = this.#parts.clock.unixMs() + expirySeconds * 1000;
      if (this.#giving.circle.count > 0) this.#giving.backlog.add(member.takeBack());
    } else {
      this.#giving.backlog.add(this.#members.remove(member));
    }
    this.#giving.goOnSoon();
    return this.#settleDown();
  }

  /** A session that is away has ended, or must not share any more. */
  drop(key: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#load();
      const member = this.#members.get(key);
      if (member === undefined || member.seat !== undefined) return;
      this.#giving.backlog.add(this.#members.remove(member));
      this.#giving.goOnSoon();
    });
  }

  /** A member has room that had none. */
  onRoom(): void {
    this.#giving.onRoom();
  }

  /** Resolves when it is stored where the group stands, as far as anybody could need that. */
  async store(): Promise<void> {
    if (!this.#isKept) return;
    await this.#store.save();
    this.#forgetSelf();
  }

  /** All is stored, and nobody is left who could bring anything. */
  end(): void {
    this.#isEnded = true;
    this.#store.end();
  }

  take(portion: Portion): void {
    this.#giving.take(portion);
  }

  onWanted(): void {
    this.#giving.onWanted();
  }

  /** 5.0 is told. 3.1.1 has only the end of a connection for it, and one member is enough to hear. */
  onLoss(loss: Loss): void {
    const all = this.#giving.circle.seats.filter(({ form }) => form.qos > 0);
    const able = all.filter(({ form }) => form.version === 5);
    for (const { session } of able.length > 0 ? able : all.slice(0, 1)) session.onLoss(loss);
  }

  onBroken(): void {
    this.#reader.close();
    this.#parts.clock.after(RETRY_MS, () => void this.#reopen());
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    this.#turnCount += 1;
    try {
      await before;
      return await work();
    } finally {
      this.#turnCount -= 1;
      resolve();
      void this.#settleDown();
    }
  }

  async #load(): Promise<void> {
    if (!this.#isLoaded) {
      const loaded = await loadGroup(this.#parts, this.share);
      this.#isLoaded = true;
      if (loaded !== undefined) {
        const { record, taken } = loaded;
        this.#store.isStored = true;
        this.#giving.taken = taken;
        this.#giving.place = record.place === undefined ? undefined : new SentPlace(record.place);
        this.#giving.backlog.add(this.#members.restore(record, this.share));
      }
    }
    this.#removeOver();
  }

  /** Sessions that have ended by themselves are no members, and without members nothing goes on. */
  #removeOver(): void {
    this.#giving.backlog.add(this.#members.removeOver(this.#parts.clock.unixMs()));
    if (this.#members.count === 0) this.#beginAnew();
  }

  /** What is known is of sessions that have ended. */
  #beginAnew(): void {
    this.#giving.place = undefined;
    this.#giving.taken = new Set();
    this.#giving.backlog.clear();
    this.#members.letGo();
  }

  #checkCount({ kept, isResumed }: Joining): void {
    const isKnown = isResumed || this.#members.get(kept.key) !== undefined;
    if (isKnown || this.#members.count < MEMBERS_MAX) return;
    throw new CodedError('rate_limited', `at most ${MEMBERS_MAX} members a group`);
  }

  async #open({ session, form }: Pick<Joining, 'session' | 'form'>): Promise<void> {
    if (this.#reader.isOpen) return;
    const kept = this.#giving.place?.toString();
    const { losses, place } = await this.#reader.open(session.caller(), this.#filter, kept);
    this.#giving.place = new SentPlace(place);
    if (form.qos > 0) for (const loss of losses) session.onLoss(loss);
  }

  #admit({ kept, session, form, held, finishes }: Joining): Member {
    const { member, unknown } = this.#members.admit(kept, held, this.#giving.backlog.places);
    this.#vacate(member);
    const seat = new Seat(member, session, form, this);
    member.seat = seat;
    this.#giving.circle.add(seat);
    this.#giving.backlog.add(unknown);
    this.#giving.backlog.add(member.takeUnstored((place) => finishes.has(placeKey(place))));
    // Nobody need wait any more for those who are away.
    this.#giving.backlog.add(this.#members.takeBackFromAway());
    return member;
  }

  #vacate(member: Member): void {
    if (member.seat !== undefined) this.#giving.circle.remove(member.seat);
    member.seat = undefined;
  }

  /** Without members it is gone, and without connected ones it reads nothing. */
  async #settleDown(): Promise<void> {
    if (this.#isEnded) return;
    if (!this.#isIdle) {
      this.#saveSoon();
      return;
    }
    this.#reader.close();
    this.#giving.stop();
    this.#removeOver();
    if (!this.#members.keepsPlace) this.#giving.place = undefined;
    if (await this.#store.handOver()) this.#forgetSelf();
    else void this.store(); // It is tried until it can be done, and nobody waits for that.
  }

  /** Nobody is connected, and nothing is under way. */
  get #isIdle(): boolean {
    return this.#giving.circle.count === 0 && this.#turnCount === 0;
  }

  #forgetSelf(): void {
    const isNeeded = this.#store.isAwaited || this.#members.hasLeaving;
    if (this.#isIdle && !isNeeded && !this.#isEnded) this.#onIdle(this);
  }

  /** True where there is something to store: a group that ends with its connections has nothing. */
  get #isKept(): boolean {
    return this.#store.isStored || this.#members.isKept;
  }

  async #reopen(): Promise<void> {
    try {
      await this.#inTurn(async () => {
        const [seat] = this.#giving.circle.seats;
        if (seat === undefined || this.#reader.isOpen) return;
        this.#giving.stop();
        await this.#open(seat);
        this.#reader.start();
      });
    } catch (error) {
      this.#parts.log.warn({ share: this.share, error }, 'an MQTT share group can not be read');
      this.#parts.clock.after(RETRY_MS, () => void this.#reopen());
    }
  }

  #onSettled(): void {
    // It may be the last that somebody had who has unsubscribed.
    if (this.#isIdle) void this.#settleDown();
    else this.#saveSoon();
    this.#giving.onRoom();
  }

  #saveSoon(): void {
    if (this.#isKept) this.#store.saveSoon();
  }

  #record(): GroupRecord {
    const place = this.#members.keepsPlace ? this.#giving.place?.toString() : undefined;
    const { unstored } = this.#members;
    const mayBeTaken = this.#giving.taken.size > 0 || unstored.length > 0;
    return {
      share: this.share,
      isOpen: this.#giving.circle.count > 0 || mayBeTaken,
      ...(place === undefined ? {} : { place }),
      members: this.#members.kept,
      // What is stored in a window nobody else is given, whatever stands here.
      owed: [
        ...this.#members.lent,
        ...[...unstored, ...this.#giving.backlog.places].map((one) => ({ place: one })),
      ],
    };
  }
}
