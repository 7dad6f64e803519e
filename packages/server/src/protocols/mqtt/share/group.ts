/**
 * ShareGroup: a subscription that several sessions share (5.0 §4.8.2). It reads as one, and gives each
 * message to one member.
 *
 * 1. The group's place is where everything before was given. It is stored together with what was given
 *    with QoS 1 and is not acknowledged, so after a crash of the server that is given again.
 * 2. With QoS 2 a message is in its member's window, which is stored before the group's place, and both
 *    before the PUBLISH leaves: after a crash nobody is given what a window may have.
 * 3. While nobody is connected the group stands where it is; without members it is gone.
 */
import { CodedError } from '@trunkline/wire';
import type { StateStore } from '../../../broker/state.ts';
import type { Clock } from '../../../clock.ts';
import type { Hub } from '../../../hub/hub.ts';
import type { Log } from '../../../observe/log.ts';
import type { Form, Place } from '../encoding.ts';
import type { MqttConfig } from '../parts.ts';
import { Saver } from '../saver.ts';
import { SentPlace } from '../sent-place.ts';
import type { SessionStore } from '../session-store.ts';
import type { Loss } from '../subscription.ts';
import { Backlog } from './backlog.ts';
import { Circle } from './circle.ts';
import type { Outcome } from './circle.ts';
import { encodeGroup, shareKey } from './group-record.ts';
import type { GroupRecord, KeptMember } from './group-record.ts';
import { loadGroup } from './group-loading.ts';
import type { Member } from './member.ts';
import { Members } from './members.ts';
import { Seat } from './seat.ts';
import type { Item, SeatSession } from './seat.ts';
import { ShareReader } from './share-reader.ts';
import type { Portion, ShareSink } from './share-reader.ts';
import type { SharedPlace } from './shared-place.ts';
import { placeKey } from './shared-place.ts';
import { Waiting } from './waiting.ts';

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
  readonly #circle = new Circle();
  readonly #members = new Members(() => this.#onSettled());
  readonly #backlog = new Backlog();
  readonly #saver: Saver;
  /** What the hub has given and no member has yet. */
  #waiting = new Waiting();
  #place: SentPlace | undefined;
  /** Messages of QoS 2 that windows of members may have from before a crash: nobody else gets them. */
  #taken: ReadonlySet<string> = new Set();
  #isLoaded = false;
  /** True when there is a record, or may be. */
  #isStored = false;
  /** The last write, done or not; never rejects. */
  #written: Promise<void> = Promise.resolve();
  /** Writes that somebody waits for. */
  #storeCount = 0;
  #isEnded = false;
  /** Joins and drops are done one after the other. */
  #turn: Promise<void> = Promise.resolve();
  #turnCount = 0;
  #wantsRoom = false;
  #isScheduled = false;

  constructor(share: string, filter: string, parts: GroupParts, onIdle: (g: ShareGroup) => void) {
    const { hub, clock, log, config } = parts;
    this.share = share;
    this.#filter = filter;
    this.#parts = parts;
    this.#onIdle = onIdle;
    this.#reader = new ShareReader(hub, this);
    this.#saver = new Saver({
      write: () => this.#write(),
      clock,
      delayMs: config.ackSaveMs,
      onFailed: (error) => log.warn({ share, error }, 'an MQTT share group could not be stored'),
    });
  }

  get highWaterSize(): number {
    return this.#parts.config.highWaterSize;
  }

  get isFull(): boolean {
    const isBusy = !this.#waiting.isEmpty || this.#backlog.size > 0;
    return isBusy || this.#isOwing || !this.#circle.hasRoom;
  }

  /**
   * Takes a session in, or back. What of `held` it has no more is marked as taken back. Resolves when
   * that is stored, and what the group has begins to be given.
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
      this.#goOnSoon();
      return member;
    });
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
    this.#goOnSoon();
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
      if (this.#circle.count > 0) this.#backlog.add(member.takeBack());
    } else {
      this.#backlog.add(this.#members.remove(member));
    }
    this.#goOnSoon();
    return this.#settleDown();
  }

  /** A session that is away has ended, or must not share any more. */
  drop(key: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#load();
      const member = this.#members.get(key);
      if (member === undefined || member.seat !== undefined) return;
      this.#backlog.add(this.#members.remove(member));
      this.#goOnSoon();
    });
  }

  /** A member has room that had none. */
  onRoom(): void {
    if (this.#wantsRoom) this.#goOn();
  }

  /** Resolves when it is stored where the group stands, as far as anybody could need that. */
  async store(): Promise<void> {
    if (this.#isEnded || !this.#isKept) return;
    this.#storeCount += 1;
    await this.#saver.save(); // It never rejects, and tries until it can be done.
    this.#storeCount -= 1;
    if (this.#storeCount === 0) this.#forgetSelf();
  }

  /** All is stored, and nobody is left who could bring anything. */
  end(): void {
    this.#isEnded = true;
    void this.#saver.end(); // It never rejects.
  }

  take(portion: Portion): void {
    this.#waiting.add(portion);
    this.#give();
  }

  onWanted(): void {
    this.#wantsRoom = true;
    if (this.isFull) this.#circle.requestRoom();
    else this.#goOnSoon();
  }

  /** 5.0 is told. 3.1.1 has only the end of a connection for it, and one member is enough to hear. */
  onLoss(loss: Loss): void {
    const all = this.#circle.seats.filter(({ form }) => form.qos > 0);
    const able = all.filter(({ form }) => form.version === 5);
    for (const { session } of able.length > 0 ? able : all.slice(0, 1)) session.onLoss(loss);
  }

  onBroken(): void {
    this.#reader.close();
    this.#parts.clock.after(RETRY_MS, () => void this.#reopen());
  }

  /** True when no more may be lent. */
  get #isOwing(): boolean {
    return this.#members.lentCount >= OWED_MAX;
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
    const { clock } = this.#parts;
    if (!this.#isLoaded) {
      const loaded = await loadGroup(this.#parts, this.share);
      this.#isLoaded = true;
      if (loaded !== undefined) {
        const { record, taken } = loaded;
        this.#isStored = true;
        this.#taken = taken;
        this.#place = record.place === undefined ? undefined : new SentPlace(record.place);
        this.#backlog.add(this.#members.restore(record, this.share));
      }
    }
    this.#backlog.add(this.#members.removeOver(clock.unixMs()));
    if (this.#members.count === 0) this.#beginAnew();
  }

  /** What is known is of sessions that have ended. */
  #beginAnew(): void {
    this.#place = undefined;
    this.#taken = new Set();
    this.#backlog.clear();
    this.#members.letGo();
  }

  #checkCount({ kept }: Joining): void {
    if (this.#members.get(kept.key) !== undefined || this.#members.count < MEMBERS_MAX) return;
    throw new CodedError('rate_limited', `at most ${MEMBERS_MAX} members a group`);
  }

  async #open({ session, form }: Pick<Joining, 'session' | 'form'>): Promise<void> {
    if (this.#reader.isOpen) return;
    const kept = this.#place?.toString();
    const { losses, place } = await this.#reader.open(session.caller(), this.#filter, kept);
    this.#place = new SentPlace(place);
    if (form.qos > 0) for (const loss of losses) session.onLoss(loss);
  }

  #admit({ kept, session, form, held }: Joining): Member {
    const { member, unknown } = this.#members.admit(kept, held, this.#backlog.places);
    const seat = new Seat(member, session, form, this);
    member.seat = seat;
    this.#circle.add(seat);
    this.#backlog.add(unknown);
    // Nobody need wait any more for those who are away.
    this.#backlog.add(this.#members.takeBackFromAway());
    return member;
  }

  #vacate(member: Member): void {
    if (member.seat !== undefined) this.#circle.remove(member.seat);
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
    this.#waiting = new Waiting();
    this.#backlog.unload();
    if (this.#members.count === 0) this.#beginAnew();
    if (!this.#members.keepsPlace) this.#place = undefined;
    try {
      await this.#write();
      this.#forgetSelf();
    } catch (error) {
      this.#parts.log.warn({ share: this.share, error }, 'an MQTT share group could not be stored');
      void this.store(); // Until it can be done, which nobody waits for.
    }
  }

  /** Nobody is connected, and nothing is under way. */
  get #isIdle(): boolean {
    return this.#circle.count === 0 && this.#turnCount === 0;
  }

  #forgetSelf(): void {
    const isNeeded = this.#storeCount > 0 || this.#members.hasLeaving;
    if (this.#isIdle && !isNeeded && !this.#isEnded) this.#onIdle(this);
  }

  /** True where there is something to store: a group that ends with its connections has nothing. */
  get #isKept(): boolean {
    return this.#isStored || this.#members.kept.length > 0;
  }

  async #reopen(): Promise<void> {
    try {
      await this.#inTurn(async () => {
        const [seat] = this.#circle.seats;
        if (seat === undefined || this.#reader.isOpen) return;
        this.#waiting = new Waiting();
        await this.#open(seat);
        this.#reader.start();
      });
    } catch (error) {
      this.#parts.log.warn({ share: this.share, error }, 'an MQTT share group can not be read');
      this.#parts.clock.after(RETRY_MS, () => void this.#reopen());
    }
  }

  #onSettled(): void {
    if (this.#isIdle)
      void this.#settleDown(); // The last one that had unsubscribed, maybe.
    else this.#saveSoon();
    if (this.#wantsRoom) this.#goOnSoon();
  }

  #goOnSoon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#parts.clock.defer(this.#goOnScheduled);
  }

  readonly #goOnScheduled = (): void => {
    this.#isScheduled = false;
    this.#goOn();
  };

  /** Gives what there is, and lets the hub go on if that is all. */
  #goOn(): void {
    this.#give();
    if (!this.#wantsRoom) return;
    if (this.isFull) {
      this.#circle.requestRoom();
      return;
    }
    this.#wantsRoom = false;
    this.#reader.advance();
  }

  /** What was given before comes first. */
  #give(): void {
    if (this.#circle.count === 0) return;
    const nowMs = this.#parts.clock.unixMs();
    let given = 0;
    for (let item = this.#backlog.next; item !== undefined; item = this.#backlog.next) {
      if (this.#giveOne(item, nowMs) === 'full') break;
      this.#backlog.shift();
      given += 1;
    }
    if (this.#backlog.isUnread) void this.#readBacklog();
    if (this.#backlog.size === 0) {
      given += this.#waiting.give(this.#place, (item) => {
        return this.#isOwing ? 'full' : this.#giveOne(item, nowMs);
      });
    }
    if (given > 0) this.#saveSoon();
    if (this.#backlog.next === undefined && this.#waiting.isEmpty) return;
    this.#wantsRoom = true;
    this.#circle.requestRoom();
  }

  #giveOne(item: Item, nowMs: number): Outcome {
    // [MQTT-3.3.2-5]
    if ((item.message.expiresAt ?? Number.POSITIVE_INFINITY) <= nowMs) return 'dropped';
    if (this.#taken.size > 0 && this.#isTaken(item)) return 'dropped';
    return this.#circle.give(item, nowMs);
  }

  #isTaken({ run, message }: Item): boolean {
    const key = placeKey({ channel: run.channel, epoch: run.epoch, offset: message.offset });
    return this.#taken.has(key);
  }

  async #readBacklog(): Promise<void> {
    const { hub, clock, log } = this.#parts;
    const { seats } = this.#circle;
    try {
      await this.#backlog.read((places: readonly Place[]) => {
        const [first] = seats;
        return first === undefined
          ? Promise.resolve([])
          : hub.messagesAt(first.session.caller().identity, places);
      });
      this.#wantsRoom = true;
      this.#goOnSoon();
    } catch (error) {
      log.warn({ share: this.share, error }, 'messages of an MQTT share group can not be read');
      clock.after(RETRY_MS, this.#goOnScheduled);
    }
  }

  #saveSoon(): void {
    if (this.#isKept) this.#saver.saveSoon();
  }

  /** One after the other, so that none overtakes a newer one. */
  #write(): Promise<void> {
    const writing = this.#written.then(() => this.#writeNow());
    this.#written = writing.catch(() => {});
    return writing;
  }

  async #writeNow(): Promise<void> {
    const { state, clock } = this.#parts;
    const key = shareKey(this.share);
    const record = this.#record();
    if (record.members.length === 0) {
      if (this.#isStored) await state.delete(key);
      // Unless something is to be stored by now, which is done by whoever brought that.
      this.#isStored = this.#members.kept.length > 0;
      return;
    }
    this.#isStored = true;
    const expiresAt = Math.max(
      ...record.members.map((member) => member.expiresAt ?? Number.POSITIVE_INFINITY),
    );
    const options = expiresAt <= clock.unixMs() || expiresAt === Infinity ? {} : { expiresAt };
    await state.put(key, encodeGroup(record), options);
  }

  #record(): GroupRecord {
    const place = this.#members.keepsPlace ? this.#place?.toString() : undefined;
    return {
      share: this.share,
      isOpen: this.#circle.count > 0 || this.#taken.size > 0,
      ...(place === undefined ? {} : { place }),
      members: this.#members.kept,
      owed: [...this.#members.lent, ...this.#backlog.places.map((one) => ({ place: one }))],
    };
  }
}
