/**
 * Wills: what clients asked to be published when they go without a word ([MQTT-3.1.2-8]).
 *
 * A will is a record from before CONNACK until it is published or dropped, so that it outlives a crash
 * of the server; its message is in memory only while that is done. Each connection has a record of its
 * own, whose last word is the key with which it is published.
 */
import { channelNameFault, CodedError } from '@trunkline/wire';
import type { StateRecord } from '../../../broker/state.ts';
import type { Caller, PublishRequest } from '../../../hub/hub-types.ts';
import { refusal } from '../../../hub/refusals.ts';
import type { Alarm, AlarmMarks } from '../../../wheel.ts';
import { MqttError } from '../codec/faults.ts';
import type { Will } from '../codec/packets.ts';
import { toRequest } from '../messages/request.ts';
import { WORD_LENGTH } from '../parts.ts';
import type { MqttParts } from '../parts.ts';
import { reasonOf } from '../refusal.ts';
import { StoredRecords } from '../stored-records.ts';
import { WillPublisher } from './will-publisher.ts';
import { decodeWill, encodeWill } from './will-record.ts';
import type { WillRecord } from './will-record.ts';

/** What wills are built from. */
export type WillsParts = Pick<MqttParts, 'hub' | 'state' | 'clock' | 'wheel' | 'random' | 'log'>;

/** The will of one connection. */
export interface KeptWill {
  readonly recordKey: string;
  /** The key of the session. */
  readonly session: string;
  readonly delaySeconds: number;
  /** True once it is decided what becomes of it. */
  isOver: boolean;
}

/** The session of a client that leaves a will. */
export interface WillSession {
  /** The key of the session. */
  readonly key: string;
  readonly expirySeconds: number;
  readonly caller: Caller;
}

/** All of their keys begin with this; then comes the key of the session, and a word. */
export const WILL_PREFIX = 'mqtt/will/';

/** Wills that wait for their delay; one more is published without it, as if its session had ended. */
const WAITING_MAX = 100_000;

/** A will that waits for its delay. */
class WaitingWill implements Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly session: string;
  readonly recordKey: string;
  readonly #onDue: (will: WaitingWill) => void;

  constructor(session: string, recordKey: string, onDue: (will: WaitingWill) => void) {
    this.session = session;
    this.recordKey = recordKey;
    this.#onDue = onDue;
  }

  onAlarm(): void {
    this.#onDue(this);
  }
}

/** The wills of one node's clients. */
export class Wills {
  readonly #parts: WillsParts;
  readonly #publisher: WillPublisher;
  readonly #records: StoredRecords;
  readonly #life: string;
  /** By the key of the session. */
  readonly #waiting = new Map<string, WaitingWill>();
  /** While records of an earlier life are read: those that are known. */
  #found: Set<string> | undefined = new Set();

  constructor(parts: WillsParts) {
    this.#parts = parts;
    this.#publisher = new WillPublisher(parts);
    this.#records = new StoredRecords(parts);
    this.#life = parts.random.word(WORD_LENGTH);
  }

  /**
   * Takes up the wills that are there: their clients were cut off when the server went. The delay
   * counts from now. Never rejects.
   */
  async start(): Promise<void> {
    await this.#records.each(WILL_PREFIX, (record) => this.#takeUp(record));
    this.#found = undefined;
  }

  /** Nothing more is published: what is left is found at the next start. */
  stop(): void {
    this.#records.stop();
    this.#publisher.stop();
  }

  /** Wills that wait for their delay. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  /**
   * Whether a client may leave this will; asked before anything is done for it.
   *
   * @throws {MqttError} that says why not, with not authorized where its rights don't allow it.
   */
  check(caller: Caller, will: Will): void {
    try {
      const fault = channelNameFault(will.topic);
      if (fault !== undefined) throw new CodedError('not_found', `the will topic ${fault}`);
      this.#parts.hub.checkPublish(caller, will.topic, requestOf(will, caller));
    } catch (error) {
      const { coded, reason } = reasonOf(error);
      throw new MqttError(reason, '§3.1.2.5', coded.message);
    }
  }

  /**
   * A session has a connection again, or a new one has begun in its place. A will that waits is
   * dropped with the one ([MQTT-3.1.3-9]) and published at once with the other.
   *
   * @throws {CodedError} when the store does not answer.
   */
  async onConnect(session: string, goesOn: boolean): Promise<void> {
    try {
      if (this.#found !== undefined) await this.#takeUpOf(session);
      const waiting = this.#waiting.get(session);
      if (waiting === undefined) return;
      // Before the client hears that it is connected: a crash must not publish it any more.
      if (goesOn) await this.#parts.state.delete(waiting.recordKey);
      else this.#publisher.publish(waiting.recordKey);
      this.#forget(waiting);
    } catch (error) {
      throw refusal(error);
    }
  }

  /**
   * Keeps a will. Resolves when it is stored.
   *
   * @throws {CodedError} when it can't be stored.
   */
  async keep({ key, expirySeconds, caller }: WillSession, will: Will): Promise<KeptWill> {
    const { state, random } = this.#parts;
    const recordKey = `${WILL_PREFIX}${key}/${random.word(WORD_LENGTH)}`;
    const delaySeconds = will.properties.willDelayInterval ?? 0;
    const record: WillRecord = {
      life: this.#life,
      session: key,
      channel: will.topic,
      identity: caller.identity,
      request: requestOf(will, caller),
      delayMs: Math.min(delaySeconds, expirySeconds) * 1000,
    };
    try {
      await state.put(recordKey, encodeWill(record));
    } catch (error) {
      // Nobody knows whether it is stored, and nobody is to hear of it.
      this.#publisher.remove(recordKey);
      throw refusal(error);
    }
    return { recordKey, session: key, delaySeconds, isOver: false };
  }

  /** The client said goodbye, and wants nothing to be said [MQTT-3.14.4-3]. */
  drop(will: KeptWill): void {
    if (will.isOver) return;
    will.isOver = true;
    this.#publisher.remove(will.recordKey);
  }

  /**
   * It did not: the will is published after its delay, or when the session ends, whichever is first
   * (5.0 §3.1.3.2.2). Nothing happens when that was decided before.
   *
   * @param expirySeconds how long the session is kept from now on.
   */
  release(will: KeptWill, expirySeconds: number): void {
    if (will.isOver) return;
    will.isOver = true;
    const { recordKey, session, delaySeconds } = will;
    const delayMs = Math.min(delaySeconds, expirySeconds) * 1000;
    this.#wait(session, recordKey, delayMs);
    if (delayMs > 0) void this.#storeDue(recordKey, delayMs);
  }

  #wait(session: string, recordKey: string, delayMs: number): void {
    if (delayMs <= 0 || this.#waiting.size >= WAITING_MAX) {
      this.#publisher.publish(recordKey);
      return;
    }
    const waiting = new WaitingWill(session, recordKey, this.#onDue);
    const before = this.#waiting.get(session);
    if (before !== undefined) this.#onDue(before);
    this.#waiting.set(session, waiting);
    this.#parts.wheel.arm(waiting, delayMs);
  }

  readonly #onDue = (waiting: WaitingWill): void => {
    this.#forget(waiting);
    this.#publisher.publish(waiting.recordKey);
  };

  #forget(waiting: WaitingWill): void {
    this.#parts.wheel.cancel(waiting);
    if (this.#waiting.get(waiting.session) === waiting) this.#waiting.delete(waiting.session);
  }

  /** So that a restart of the server does not begin the delay anew; where it fails, it does. */
  async #storeDue(recordKey: string, delayMs: number): Promise<void> {
    const { state, clock, log } = this.#parts;
    const dueAt = clock.unixMs() + delayMs;
    try {
      const found = await state.get(recordKey);
      const record = found === undefined ? undefined : decodeWill(found.value);
      if (found === undefined || record === undefined) return;
      // Only over what was read: it may be published or dropped by now.
      await state.put(recordKey, encodeWill({ ...record, dueAt }), { ifVersion: found.version });
    } catch (error) {
      log.warn({ error }, 'the delay of an MQTT will could not be stored');
    }
  }

  /** All that an earlier life of the server left of one session, before it has a connection. */
  async #takeUpOf(session: string): Promise<void> {
    const records = await this.#parts.state.list(`${WILL_PREFIX}${session}/`, { countMax: 100 });
    for (const record of records) this.#takeUp(record);
  }

  #takeUp({ key, value }: StateRecord): void {
    const record = decodeWill(value);
    if (record === undefined) {
      this.#parts.log.warn({ key }, 'an MQTT will is of another version of the server');
      return;
    }
    if (record.life === this.#life || this.#found?.has(key) === true) return;
    this.#found?.add(key);
    const { session, delayMs, dueAt } = record;
    const leftMs = dueAt === undefined ? delayMs : dueAt - this.#parts.clock.unixMs();
    this.#wait(session, key, leftMs);
    if (dueAt === undefined && leftMs > 0) void this.#storeDue(key, leftMs);
  }
}

function requestOf(will: Will, { identity: { user }, session }: Caller): PublishRequest {
  return toRequest(will, user === undefined ? { session } : { user, session });
}
