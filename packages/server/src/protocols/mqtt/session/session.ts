/**
 * Session: what one client identifier has at the server while it is connected: its subscriptions, what
 * it was sent and what it sent. One that outlives its connection is stored, and begun again from there.
 */
import type { CodedError, Sender } from '@trunkline/wire';
import type { Identity } from '../../../auth/identity.ts';
import type { Caller } from '../../../hub/hub-types.ts';
import type { Link } from '../../../link/link.ts';
import type { AckKind } from '../codec/acks.ts';
import { AliasTable, ClientAliases } from '../codec/aliases.ts';
import { encode } from '../codec/encode.ts';
import { MqttError } from '../codec/faults.ts';
import type { Ack, Packet, Publish } from '../codec/packets.ts';
import { REASONS } from '../codec/reasons.ts';
import { inflightMax } from '../connection/terms.ts';
import type { Terms } from '../connection/terms.ts';
import { Delivery } from '../delivery/delivery.ts';
import { resend } from '../delivery/resend.ts';
import { Window } from '../delivery/window.ts';
import type { Awaited } from '../delivery/window.ts';
import type { Encodings } from '../messages/encoding.ts';
import type { FilterOptions } from '../messages/form.ts';
import { WORD_LENGTH } from '../parts.ts';
import type { NodeParts } from '../parts.ts';
import type { ShareGroups } from '../share/groups.ts';
import { Filters } from '../subscriptions/filters.ts';
import type { FiltersSession } from '../subscriptions/filters.ts';
import { Losses } from './losses.ts';
import type { Loss } from './losses.ts';
import { Receiving } from './receiving.ts';
import type { ReceivingSession } from './receiving.ts';
import type { SessionRecord } from './record.ts';
import { ownerOf } from './session-quota.ts';
import { SessionSaver } from './session-saver.ts';
import type { SessionStore } from './session-store.ts';

/** What a session needs of its connection. */
export interface SessionConnection {
  readonly link: Link;
  send(packet: Packet): void;
  /** Ends the connection with a reason code, which 5.0 is told. */
  fail(reason: number, message: string): void;
  /** More may be read. */
  onSettled(): void;
}

/** What a session is built from, as all others of its node. */
export interface SessionParts extends NodeParts {
  readonly encodings: Encodings;
  readonly store: SessionStore;
  readonly groups: ShareGroups;
}

/** The client that a session is of. */
export interface SessionClient {
  readonly connection: SessionConnection;
  readonly terms: Terms;
  readonly identity: Identity;
}

/** One session with a connection. */
export class MqttSession implements FiltersSession, ReceivingSession {
  readonly terms: Terms;
  readonly delivery: Delivery;
  readonly store: (() => Promise<void>) | undefined;
  readonly #parts: SessionParts;
  readonly #connection: SessionConnection;
  readonly #window: Window;
  // Made for the first message that comes: most clients only listen.
  #receiving: Receiving | undefined;
  #aliases: ClientAliases | undefined;
  readonly #filters: Filters;
  readonly #saver: SessionSaver | undefined;
  #identity: Identity;
  /** The session's word: whose messages its own are. */
  #word: string;
  #sender: Sender | undefined;
  #expirySeconds: number;
  readonly #losses = new Losses();
  /** True while the session before stays stored, until the client was heard. */
  #isUnheard = false;
  #isBegun = false;
  /** Answers to PUBREL that wait until what they say is stored. */
  #releasing = 0;
  #ended: Promise<void> | undefined;

  constructor(parts: SessionParts, { connection, terms, identity }: SessionClient) {
    const { config, counts } = parts;
    this.#parts = parts;
    this.terms = terms;
    this.#connection = connection;
    this.#identity = identity;
    this.#word = this.word();
    this.#expirySeconds = terms.expirySeconds;
    if (terms.expirySeconds > 0) {
      const tooLarge = 'the session is too large to be stored';
      this.#saver = new SessionSaver({
        ...parts,
        ...{ key: terms.key, clientId: terms.clientId, delayMs: config.ackSaveMs },
        record: () => this.#record(true),
        onTooLarge: () => connection.fail(REASONS.quotaExceeded, tooLarge),
      });
      this.store = () => this.save();
    }
    const { topicAliasMaximum, packetSizeMax } = terms;
    this.#window = new Window(inflightMax(terms, config));
    this.delivery = new Delivery({
      ...{ link: connection.link, window: this.#window, packetSizeMax, store: this.store, counts },
      aliases: topicAliasMaximum === 0 ? undefined : new AliasTable(topicAliasMaximum),
      losses: terms.version === 5 ? this.#losses : undefined,
    });
    this.#filters = new Filters(this);
  }

  /** Who it is, now. */
  get identity(): Identity {
    return this.#identity;
  }

  /** The token was renewed. @returns false when it does not allow all that is subscribed to. */
  renew(identity: Identity): boolean {
    this.#identity = identity;
    this.#sender = undefined;
    return !this.#filters.hasForbidden();
  }

  caller(): Caller {
    return { identity: this.#identity, session: this.#word };
  }

  sender(): Sender {
    const { user } = this.#identity;
    const session = this.#word;
    this.#sender ??= user === undefined ? { session } : { user, session };
    return this.#sender;
  }

  /** What it is built from, as all others of its node. */
  get parts(): SessionParts {
    return this.#parts;
  }

  /** What it was sent and has not acknowledged. */
  get window(): Window {
    return this.#window;
  }

  word(): string {
    return this.#parts.random.word(WORD_LENGTH);
  }

  /** Seconds that it is kept without a connection. */
  get expirySeconds(): number {
    return this.#expirySeconds;
  }

  /** Bytes of what was received and is not in the log yet. */
  get underWaySize(): number {
    return this.#receiving?.underWaySize ?? 0;
  }

  /** Filters that it subscribes to. */
  get subscriptionCount(): number {
    return this.#filters.count;
  }

  /** Writes that wait until what they say is stored. */
  get heldCount(): number {
    return this.delivery.heldCount + this.#releasing;
  }

  /** Those that wait for the server: for PUBREL the client has to be read. */
  get unansweredCount(): number {
    return this.#receiving?.unansweredCount ?? 0;
  }

  /**
   * Goes on where an earlier connection ended.
   *
   * @returns what is lost of it.
   * @throws {CodedError} when it can't be read now.
   */
  async resume(record: SessionRecord): Promise<readonly Loss[]> {
    this.#word = record.session;
    this.#makeReceiving().restore(record.received);
    this.#window.restore(record.sent);
    await this.#filters.resume(record);
    // One that is connected as it is read was cut off from its record.
    const quietBefore = record.isConnected ? this.#parts.clock.unixMs() : record.quietBefore;
    this.delivery.quietBefore = quietBefore ?? 0;
    return this.#losses.resume(record.untold ?? []);
  }

  /**
   * It begins in place of one that lost something, and says so by `Session Present`. Until the client
   * was heard it is not stored, but the one before is: who has not got this answer gets it again.
   */
  replace(): void {
    this.#isUnheard = true;
  }

  /**
   * Stores that it has a connection.
   *
   * @throws {BrokerError} when that can't be done now.
   */
  async storeConnected(): Promise<void> {
    await this.#saver?.saveNow();
  }

  /** The client has sent something: so it has its CONNACK, and knows what that told. */
  onHeard(): void {
    if (this.#isUnheard) {
      this.#isUnheard = false;
      void this.save();
    }
    if (this.#losses.onHeard()) this.#saver?.saveSoon();
  }

  /** The client has its CONNACK: what it was sent before is sent again, then all that is new. */
  async begin(): Promise<void> {
    const { hub, clock } = this.#parts;
    this.#isBegun = true;
    for (const loss of this.#losses.takeEarly()) this.onLoss(loss);
    if (this.#window.count > 0) {
      await resend({
        ...{ hub, identity: this.#identity },
        ...{ window: this.#window, delivery: this.delivery },
        nowMs: () => clock.unixMs(),
        onLoss: (loss) => this.onLoss(loss),
        formFor: (place) => this.#filters.formFor(place),
      });
    }
    if (this.#ended !== undefined) return;
    this.delivery.open();
    this.#filters.begin();
  }

  /**
   * Subscribes.
   *
   * @returns what sends the retained messages, where they are wanted; to be called after the answer.
   * @throws {CodedError} that says why not.
   */
  subscribe(options: FilterOptions, retainHandling: 0 | 1 | 2): Promise<() => void> {
    return this.#filters.subscribe(options, retainHandling);
  }

  /** @returns false when there was nothing to unsubscribe from. */
  unsubscribe(filter: string): boolean {
    return this.#filters.unsubscribe(filter);
  }

  /** @throws {MqttError} that ends the connection. */
  onPublish(publish: Publish): void {
    const receiving = this.#makeReceiving();
    this.#aliases ??= new ClientAliases(this.#parts.config.topicAliasMax);
    const topic = this.#aliases.topicOf(publish);
    const { receiveMaximum } = this.#parts.config;
    // 3.1.1 knows no limit.
    receiving.onPublish(publish, topic, this.terms.version === 5 ? receiveMaximum : undefined);
  }

  /** True for an answer to something, said for the first time. */
  awaits({ kind, packetId }: Ack<AckKind>): boolean {
    if (kind === 'pubrel') return this.#receiving?.has(packetId) === true;
    return this.#window.awaitedOf(packetId) === kind;
  }

  /** @throws {MqttError} for what does not belong to the QoS that a message was sent with. */
  onAck({ kind, packetId, reason }: Ack<Awaited>): void {
    const isRefused = reason >= REASONS.unspecifiedError;
    const outcome = this.#window.acknowledge(packetId, kind, isRefused);
    if (outcome === 'wrong') {
      const message = `packet ${packetId} was not sent with the QoS that ${kind} belongs to`;
      throw new MqttError(REASONS.protocolError, '§4.3', message);
    }
    if (outcome !== 'unknown' && this.#losses.onAcknowledged(packetId)) this.#saver?.saveSoon();
    if (kind === 'pubrec' && !isRefused) this.#sendPubrel(packetId, outcome === 'released');
    if (outcome !== 'done') return;
    this.#saver?.saveSoon();
    this.delivery.onRoom();
  }

  /** The client gives a packet identifier free that it sent with QoS 2. */
  onPubrel({ packetId }: Ack<'pubrel'>): void {
    const isKnown = this.#makeReceiving().release(packetId);
    const reason = isKnown ? REASONS.success : REASONS.packetIdentifierNotFound;
    const answer = (): void => {
      this.#connection.send({ kind: 'pubcomp', packetId, reason, properties: {} });
    };
    // A number that came free must not be taken for the message before.
    if (this.#saver === undefined || !isKnown) answer();
    else {
      this.#releasing += 1;
      void this.save().then(() => {
        this.#releasing -= 1;
        answer();
        this.#connection.onSettled();
      });
    }
  }

  /** The link has drained. */
  onDrain(): void {
    this.delivery.onRoom();
    this.#filters.advance();
  }

  /** Resolves when all that the session keeps by now is stored. */
  async save(): Promise<void> {
    await this.#saver?.save();
  }

  /**
   * A new end of its life, told by DISCONNECT.
   *
   * @throws {MqttError} where it was to end with its connection.
   */
  setExpiry(seconds: number): void {
    if (seconds > 0 && this.#expirySeconds === 0) {
      const message = 'a session that was to end with its connection can not be kept any more';
      throw new MqttError(REASONS.protocolError, '[MQTT-3.14.2-2]', message);
    }
    this.#expirySeconds = Math.min(seconds, this.#parts.config.sessionExpirySecondsMax);
  }

  /** It was not begun, and what is stored of it stays as it is. */
  async abandon(): Promise<void> {
    this.#ended ??= Promise.resolve();
    this.#filters.end();
    await Promise.all([this.#saver?.end(), this.#filters.leaveShares(this.#expirySeconds)]);
  }

  /** Ends the connection's part of it. Resolves when what outlives that is stored. Idempotent. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    const { log } = this.#parts;
    const shares = this.#filters.leaveShares(this.#expirySeconds).catch((error: unknown) => {
      log.warn({ error }, 'an MQTT session could not leave its share groups');
    });
    const record = this.#record(false);
    this.#filters.end();
    if (this.#saver === undefined) {
      await shares;
      return;
    }
    // An older record must not come over this one.
    await this.#saver.end();
    if (!this.#isUnheard) await this.#saver.saveLast(record);
    await shares;
  }

  #makeReceiving(): Receiving {
    this.#receiving ??= new Receiving(this.#parts.hub, this);
    return this.#receiving;
  }

  #record(isConnected: boolean): SessionRecord {
    return {
      clientId: this.terms.clientId,
      ...ownerOf(this.#identity, this.#connection.link.info.remoteAddress),
      session: this.#word,
      expirySeconds: this.#expirySeconds,
      isConnected,
      ...this.#filters.kept(),
      ...(this.delivery.quietBefore === 0 ? {} : { quietBefore: this.delivery.quietBefore }),
      ...(this.#losses.untold.length === 0 ? {} : { untold: this.#losses.untold }),
      sent: [...this.#window.sent()],
      received: this.#receiving?.kept() ?? [],
    };
  }

  /** [MQTT-4.3.3-4] in 3.1.1 and 5.0: PUBREL leaves when it is stored that PUBREC came. */
  #sendPubrel(packetId: number, isKnown: boolean): void {
    const reason = isKnown ? REASONS.success : REASONS.packetIdentifierNotFound;
    const pubrel: Packet = { kind: 'pubrel', packetId, reason, properties: {} };
    this.#parts.counts.sent.pubrel += 1;
    this.delivery.send(encode(pubrel, this.terms.version), isKnown);
    if (isKnown && this.#saver !== undefined) {
      void this.save().then(() => this.#connection.onSettled());
    }
  }

  answer(kind: 'puback' | 'pubrec', packetId: number, reason: number, message: string): void {
    const { log, counts } = this.#parts;
    const { version, wantsProblems, clientId } = this.terms;
    if (reason >= REASONS.unspecifiedError) {
      counts.dropped.refused += 1;
      log.debug({ clientId, message }, 'an MQTT message was refused');
      if (version === 4) {
        // 3.1.1 has no other word: an acknowledgement would say that it is in the log.
        this.#connection.fail(reason, message);
        return;
      }
    }
    const properties = wantsProblems && message !== '' ? { reasonString: message } : {};
    this.#connection.send({ kind, packetId, reason, properties });
  }

  onDropped(error: CodedError): void {
    const { clientId } = this.terms;
    this.#parts.counts.dropped.refused += 1;
    this.#parts.log.debug({ clientId, message: error.message }, 'an MQTT message was dropped');
  }

  onSettled(): void {
    this.#connection.onSettled();
  }

  onProgress(): void {
    this.#saver?.saveSoon();
  }

  /**
   * While it is connected, 3.1.1 has no word for a loss but the end of the connection. Then the next
   * CONNECT is told that there is no session.
   */
  onLoss(loss: Loss): void {
    if (!this.#isBegun) {
      this.#losses.addEarly(loss);
      return;
    }
    this.#losses.add(loss);
    if (this.terms.version === 4) {
      const message = `messages of ${loss.channel} are lost: ${loss.gap.reason}`;
      this.#connection.fail(REASONS.unspecifiedError, message);
    }
  }
}
