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
import type { Hub } from '../../hub/hub.ts';
import type { Caller, PublishRequest } from '../../hub/hub-types.ts';
import type { Publish } from './codec/packets.ts';
import { REASONS } from './codec/reasons.ts';
import { reasonOf } from './refusal.ts';
import { toRequest } from './request.ts';

/** What receiving needs of its session. */
export interface ReceivingSession {
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
 * A message of QoS 2 until PUBREL. `known`: an earlier connection stored it, and maybe published it.
 * `under way`: it is being published, and an answer is owed.
 */
interface Incoming {
  /** The key with which it is published, however often that is tried. */
  readonly word: string;
  state: 'known' | 'under way' | 'published';
  /** Answers owed to repetitions, which the first one settles. */
  readonly repeated: Owed[];
}

/** Kept in place of the word of a message that is in the log: it is not published any more. */
const PUBLISHED = '';

/** Stands before the word of a message that was refused and may be in the log all the same. */
const REFUSED = '!';

/** Messages of the last kind that are kept: of more the oldest are forgotten. */
const REFUSED_COUNT_MAX = 256;

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

  /** True for a packet identifier of QoS 2 that is known: it counts already. */
  has(packetId: number): boolean {
    return this.#incoming.has(packetId);
  }

  /** What was received with QoS 2 and not released: the words of their keys, while these are needed. */
  kept(): readonly (readonly [packetId: number, word: string])[] {
    const incoming = Array.from(this.#incoming, ([packetId, { word, state }]) => {
      return [packetId, state === 'published' ? PUBLISHED : word] as const;
    });
    const refused = Array.from(this.#refused, ([packetId, word]) => {
      return [packetId, `${REFUSED}${word}`] as const;
    });
    return [...incoming, ...refused];
  }

  /** Takes in what an earlier connection kept. */
  restore(kept: readonly (readonly [packetId: number, word: string])[]): void {
    this.#isRestored = true;
    for (const [packetId, word] of kept) {
      if (word.startsWith(REFUSED)) {
        this.#refused.set(packetId, word.slice(REFUSED.length));
        continue;
      }
      const state = word === PUBLISHED ? 'published' : 'known';
      this.#incoming.set(packetId, { word, state, repeated: [] });
    }
  }

  /** @param topic what the PUBLISH or its alias names. */
  onPublish(publish: Publish, topic: string): void {
    const { qos, packetId } = publish;
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
    return this.#incoming.delete(packetId) || this.#isRestored;
  }

  #publishOnce(topic: string, request: PublishRequest, { packetId, dup }: Publish): void {
    const { store } = this.#session;
    const known = this.#incoming.get(packetId);
    const owed = this.#owe('pubrec', packetId);
    if (known?.state === 'published') {
      this.#settle(owed, REASONS.success, '');
      return;
    }
    if (known?.state === 'under way') {
      known.repeated.push(owed);
      return;
    }
    // Without DUP it is a new message, whose client has heard of the refusal ([MQTT-3.3.1-1]).
    const refused = dup ? this.#refused.get(packetId) : undefined;
    this.#refused.delete(packetId);
    const word = known?.word ?? refused ?? this.#session.word();
    this.#incoming.set(packetId, { word, state: 'under way', repeated: [] });
    // What was sent before may be in the log by its word; what is new needs it to be known later.
    const isKeyed = known !== undefined || refused !== undefined || store !== undefined;
    const keyed = isKeyed ? { ...request, key: request.key ?? word } : request;
    const stored = known === undefined ? store?.() : undefined;
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
    if (incoming !== undefined && coded.stored === 'unknown') {
      this.#keepRefused(owed.packetId, incoming.word);
    }
    this.#settle(owed, reason, coded.message);
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
    if (reason < REASONS.unspecifiedError) {
      incoming.state = 'published';
    } else {
      this.#incoming.delete(packetId);
      void this.#session.store?.();
    }
  }
}

/** True when another message has its key. */
function isConflict(error: unknown): boolean {
  return error instanceof CodedError && error.code === 'conflict';
}
