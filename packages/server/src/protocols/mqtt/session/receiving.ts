/**
 * Receiving: what a client publishes, on its way to the hub.
 *
 * An acknowledgement says that the message is in the log, and they leave in the order in which the
 * messages came ([MQTT-4.6.0-2], [MQTT-4.6.0-3]). With QoS 2 the packet identifier is kept until
 * PUBREL: what comes with it meanwhile is the same message ([MQTT-4.3.3-10]). A session that outlives
 * its connection stores the identifier before it publishes, with a word that becomes the message's key:
 * whatever fails in between, the log has it once.
 */
import { channelNameFault, CodedError } from '@trunkline/wire';
import type { Sender } from '@trunkline/wire';
import type { Caller, PublishRequest } from '../../../hub/hub-types.ts';
import type { Hub } from '../../../hub/hub.ts';
import { MqttError } from '../codec/faults.ts';
import type { Publish } from '../codec/packets.ts';
import { REASONS } from '../codec/reasons.ts';
import type { Terms } from '../connection/terms.ts';
import { toRequest } from '../messages/request.ts';
import { reasonOf } from '../refusal.ts';

/** What receiving needs of its session. */
export interface ReceivingSession {
  readonly terms: Pick<Terms, 'version'>;
  caller(): Caller;
  /** The same object in all of the session's messages. */
  sender(): Sender;
  /** Resolves when all that the session keeps by now is stored; absent where it keeps nothing. */
  readonly store: (() => Promise<void>) | undefined;
  /** An unguessable word. */
  word(): string;
  /** Answers a PUBLISH of QoS 1 or 2. */
  answer(kind: 'puback' | 'pubrec', packetId: number, reason: number, message: string): void;
  /** A message of QoS 0 was refused: nobody is told. */
  onDropped(error: CodedError): void;
  /** Something was finished: more may be received. */
  onSettled(): void;
}

/** An answer that is owed, in the order in which the messages came. */
interface Owed {
  readonly kind: 'puback' | 'pubrec';
  readonly packetId: number;
  reason: number | undefined;
  message: string;
}

/**
 * A message of QoS 2 that came over this connection, until PUBREL. `under way`: it is being published,
 * and an answer is owed. `refused`: it is not published any more, and the answer has not left.
 */
interface Incoming {
  /** The key with which it is published, however often that is tried. */
  readonly word: string;
  /** True where it may be in the log since it was tried before. */
  readonly isDoubtful: boolean;
  state: 'under way' | 'published' | 'refused';
  /** Answers owed to repetitions, which the first one settles. */
  readonly repeated: Owed[];
}

/** Kept in place of the word of a message that is in the log: it is not published any more. */
const PUBLISHED = '';

/** Stands before the word of a message that was refused and may be in the log all the same. */
const REFUSED = '!';

/** Messages of the last kind that are kept: of more the oldest are forgotten. */
const REFUSED_COUNT_MAX = 256;

/** Messages of QoS 2 without PUBREL: as many as have room in the record of a session. */
const RELEASES_MAX = 16_384;

/** What publishing with QoS 2 needs. */
interface OnceOptions {
  /** Resolves when it may be published; what comes behind it waits for that too. */
  readonly stored?: Promise<void> | undefined;
  /** The key of its packet identifier. */
  readonly word?: string;
}

/** Bytes that a message under way is taken to cost beside its payload. */
const OVERHEAD_SIZE = 512;

export class Receiving {
  readonly #hub: Hub;
  readonly #session: ReceivingSession;
  #owed: Owed[] = [];
  readonly #incoming = new Map<number, Incoming>();
  /**
   * What an earlier connection kept: the words of keys, or `PUBLISHED`. It counts once the client
   * sends it again, since a limit holds for one connection (5.0 §4.9).
   */
  readonly #earlier = new Map<number, string>();
  /**
   * Messages of QoS 2 that were refused while nobody knew whether they are in the log, and the words
   * of their keys: who has not heard of the refusal sends them again.
   */
  readonly #refused = new Map<number, string>();
  /** What has to be done before the next one is published: offsets are given in the order sent. */
  #before: Promise<unknown> | undefined;
  /** True for a session that goes on. */
  #isRestored = false;
  /** Bytes of what is not in the log yet, roughly. */
  underWaySize = 0;

  constructor(hub: Hub, session: ReceivingSession) {
    this.#hub = hub;
    this.#session = session;
  }

  /** Messages of QoS 1 and 2 that are not acknowledged, as the client counts them. */
  get count(): number {
    const unanswered = this.#owed.filter(({ kind }) => kind === 'puback').length;
    // With QoS 2 a message counts from PUBLISH to PUBREL, answered by PUBREC or not.
    return unanswered + this.#incoming.size;
  }

  /** Messages of QoS 1 and 2 whose PUBACK or PUBREC has not left. */
  get unansweredCount(): number {
    return this.#owed.length;
  }

  /** True for a packet identifier of QoS 2 that is in use. */
  has(packetId: number): boolean {
    return this.#incoming.has(packetId) || this.#earlier.has(packetId);
  }

  /** What was received with QoS 2 and not released: the words of their keys, while these are needed. */
  kept(): readonly (readonly [packetId: number, word: string])[] {
    const incoming = Array.from(this.#incoming)
      .filter(([, { state }]) => state !== 'refused')
      .map(([packetId, { word, state }]) => {
        return [packetId, state === 'published' ? PUBLISHED : word] as const;
      });
    const refused = Array.from(this.#refused, ([packetId, word]) => {
      return [packetId, `${REFUSED}${word}`] as const;
    });
    return [...this.#earlier, ...incoming, ...refused];
  }

  /** Takes in what an earlier connection kept. */
  restore(kept: readonly (readonly [packetId: number, word: string])[]): void {
    this.#isRestored = true;
    for (const [packetId, word] of kept) {
      if (word.startsWith(REFUSED)) this.#refused.set(packetId, word.slice(REFUSED.length));
      else this.#earlier.set(packetId, word);
    }
  }

  /**
   * @param topic what the PUBLISH or its alias names.
   * @param countMax messages that may be unacknowledged.
   * @throws {MqttError} for one more.
   */
  onPublish(publish: Publish, topic: string, countMax = RELEASES_MAX): void {
    const { qos, packetId } = publish;
    this.#demandRoom(publish, countMax);
    const request = toRequest(publish, this.#session.sender());
    if (qos === 0) this.#publish(topic, request, undefined);
    else if (qos === 1) this.#publish(topic, request, this.#owe('puback', packetId));
    else this.#publishOnce(topic, request, publish);
  }

  /**
   * The client gives a packet identifier of QoS 2 free.
   *
   * @returns false when it was not in use, and never had been as far as is known. One that came free
   *   over an earlier connection may be given free again: the client has not seen the answer (5.0
   *   §3.7.2.1). To call it unknown then makes clients report a message as failed that is stored.
   */
  release(packetId: number): boolean {
    this.#refused.delete(packetId);
    const wasKnown = this.#earlier.delete(packetId);
    return this.#incoming.delete(packetId) || wasKnown || this.#isRestored;
  }

  #demandRoom({ qos, packetId }: Publish, countMax: number): void {
    if (qos === 0 || (qos === 2 && this.#incoming.has(packetId))) return;
    const isNew = qos === 2 && !this.#earlier.has(packetId);
    const isCrowded = isNew && this.#incoming.size + this.#earlier.size >= RELEASES_MAX;
    if (this.count < countMax && !isCrowded) return;
    const message = `at most ${countMax} messages may be unacknowledged`;
    throw new MqttError(REASONS.receiveMaximumExceeded, '[MQTT-3.3.4-7]', message);
  }

  #publishOnce(topic: string, request: PublishRequest, { packetId, dup }: Publish): void {
    const { store } = this.#session;
    const owed = this.#owe('pubrec', packetId);
    const earlier = this.#earlier.get(packetId);
    this.#earlier.delete(packetId);
    if (earlier === PUBLISHED) {
      this.#enter(packetId, PUBLISHED, { isDoubtful: false }).state = 'published';
    }
    const known = this.#incoming.get(packetId);
    if (known?.state === 'published') {
      this.#settle(owed, REASONS.success, '');
      return;
    }
    if (known !== undefined) {
      known.repeated.push(owed);
      return;
    }
    // Without DUP it is a new message, whose client has heard of the refusal ([MQTT-3.3.1-1]).
    const refused = dup ? this.#refused.get(packetId) : undefined;
    this.#refused.delete(packetId);
    const word = earlier ?? refused ?? this.#session.word();
    const isDoubtful = earlier !== undefined || refused !== undefined;
    this.#enter(packetId, word, { isDoubtful });
    // What was sent before may be in the log by its word; what is new needs it to be known later.
    const isKeyed = isDoubtful || store !== undefined;
    const keyed = isKeyed ? { ...request, key: request.key ?? word } : request;
    const stored = earlier === undefined ? store?.() : undefined;
    this.#publish(topic, keyed, owed, { stored, word });
  }

  #publish(
    topic: string,
    request: PublishRequest,
    owed: Owed | undefined,
    { stored, word }: OnceOptions = {},
  ): void {
    const size = request.payload.length + OVERHEAD_SIZE;
    this.underWaySize += size;
    const last = this.#before;
    const before =
      last === undefined || stored === undefined ? (stored ?? last) : last.then(() => stored);
    this.#before = before;
    const work =
      before === undefined
        ? this.#ask(topic, request)
        : before.then(() => {
            if (this.#before === before) this.#before = undefined;
            return this.#ask(topic, request);
          });
    work.then(
      () => {
        this.underWaySize -= size;
        if (owed !== undefined) this.#settle(owed, REASONS.success, '');
        this.#session.onSettled();
      },
      (error: unknown) => {
        this.underWaySize -= size;
        // What was published with this word had its packet identifier, and so it is that message.
        const isKnown = isConflict(error) && request.key === word;
        if (isKnown && owed !== undefined) this.#settle(owed, REASONS.success, '');
        else this.#refuse(error, owed);
        this.#session.onSettled();
      },
    );
  }

  async #ask(topic: string, request: PublishRequest): Promise<void> {
    const fault = channelNameFault(topic);
    if (fault !== undefined) throw new CodedError('not_found', `the topic name ${fault}`);
    await this.#hub.publish(this.#session.caller(), topic, request);
  }

  #refuse(error: unknown, owed: Owed | undefined): void {
    const { coded, reason } = reasonOf(error);
    if (owed === undefined) {
      this.#session.onDropped(coded);
      return;
    }
    const incoming = owed.kind === 'pubrec' ? this.#incoming.get(owed.packetId) : undefined;
    if (incoming !== undefined) {
      incoming.state = 'refused';
      const { isDoubtful, word } = incoming;
      if (isDoubtful || coded.stored === 'unknown') this.#keepRefused(owed.packetId, word);
    }
    // Who hears of it may use the identifier anew: that must not be taken for the message before.
    const isHeard = incoming !== undefined && this.#session.terms.version === 5;
    this.#settleOnce(isHeard ? this.#session.store?.() : undefined, owed, reason, coded.message);
  }

  /** @param stored resolves when the answer may leave; absent where it may now. */
  #settleOnce(
    stored: Promise<void> | undefined,
    owed: Owed,
    reason: number,
    message: string,
  ): void {
    const settle = (): void => this.#settle(owed, reason, message);
    if (stored === undefined) settle();
    else void stored.then(settle);
  }

  #enter(packetId: number, word: string, { isDoubtful }: { isDoubtful: boolean }): Incoming {
    const incoming: Incoming = { word, isDoubtful, state: 'under way', repeated: [] };
    this.#incoming.set(packetId, incoming);
    return incoming;
  }

  #owe(kind: Owed['kind'], packetId: number): Owed {
    const owed: Owed = { kind, packetId, reason: undefined, message: '' };
    this.#owed.push(owed);
    return owed;
  }

  /** An answer is known; it leaves when all before it have left. */
  #settle(owed: Owed, reason: number, message: string): void {
    const repeated =
      owed.kind === 'pubrec' ? this.#incoming.get(owed.packetId)?.repeated : undefined;
    for (const one of [owed, ...(repeated?.splice(0) ?? [])]) {
      one.reason = reason;
      one.message = message;
    }
    let count = 0;
    for (const { kind, packetId, reason: settled, message: text } of this.#owed) {
      if (settled === undefined) break;
      count += 1;
      if (kind === 'pubrec') this.#onAnswered(packetId, settled);
      this.#session.answer(kind, packetId, settled, text);
    }
    if (count > 0) this.#owed = this.#owed.slice(count);
  }

  #keepRefused(packetId: number, word: string): void {
    this.#refused.set(packetId, word);
    if (this.#refused.size <= REFUSED_COUNT_MAX) return;
    const [oldest = 0] = this.#refused.keys();
    this.#refused.delete(oldest);
  }

  /** A refusal ends the exchange ([MQTT-4.3.3-9] has nothing left to release). */
  #onAnswered(packetId: number, reason: number): void {
    const incoming = this.#incoming.get(packetId);
    if (incoming === undefined) return;
    if (reason < REASONS.unspecifiedError) incoming.state = 'published';
    else this.#incoming.delete(packetId);
  }
}

/** True when another message has its key. */
function isConflict(error: unknown): boolean {
  return error instanceof CodedError && error.code === 'conflict';
}
