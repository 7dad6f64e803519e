/**
 * Session: what one client identifier has at the server while it is connected: its subscriptions, what
 * it was sent and what it sent. One that outlives its connection is stored, and begun again from there.
 */
import type { CodedError, Sender } from '@trunkline/wire';
import type { Identity } from '../../auth/identity.ts';
import type { Caller } from '../../hub/hub-types.ts';
import { refusal } from '../../hub/refusals.ts';
import type { Link } from '../../link/link.ts';
import { AliasTable, ClientAliases } from './aliases.ts';
import type { AckKind } from './codec/acks.ts';
import { encode } from './codec/encode.ts';
import { MqttError } from './codec/faults.ts';
import type { Ack, Packet, Publish } from './codec/packets.ts';
import { REASONS } from './codec/reasons.ts';
import { Delivery } from './delivery.ts';
import type { Encodings } from './encoding.ts';
import { Filters } from './filters.ts';
import type { FiltersSession } from './filters.ts';
import type { FilterOptions } from './form.ts';
import type { NodeParts } from './parts.ts';
import { Receiving } from './receiving.ts';
import type { ReceivingSession } from './receiving.ts';
import type { SessionRecord } from './record.ts';
import { resend } from './resend.ts';
import { Saver } from './saver.ts';
import { ownerFor } from './session-quota.ts';
import type { SessionStore } from './session-store.ts';
import type { ShareGroups } from './share/groups.ts';
import { boundLosses } from './subscription.ts';
import type { Loss } from './subscription.ts';
import { inflightMax } from './terms.ts';
import type { Terms } from './terms.ts';
import { Window } from './window.ts';
import type { Awaited } from './window.ts';

/** How long after a failure the end of a session is stored again; twice as long each time, up to a bound. */
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;

/** Characters of a word that nobody guesses. */
const WORD_LENGTH = 16;

/** What a session needs of its connection. */
export interface Wire {
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

/** Whose session it is. */
export interface SessionOwner {
  readonly wire: Wire;
  readonly terms: Terms;
  readonly identity: Identity;
}

/** What nearly all sessions have lost. */
const NO_LOSSES: readonly Loss[] = [];

/** One session with a connection. */
export class MqttSession implements FiltersSession, ReceivingSession {
  readonly terms: Terms;
  readonly delivery: Delivery;
  readonly store: (() => Promise<void>) | undefined;
  readonly #parts: SessionParts;
  readonly #wire: Wire;
  readonly #window: Window;
  // Made for the first message that comes: most clients only listen.
  #receiving: Receiving | undefined;
  #aliases: ClientAliases | undefined;
  readonly #filters: Filters;
  readonly #saver: Saver | undefined;
  #identity: Identity;
  /** The session's word: whose messages its own are. */
  #word: string;
  #sender: Sender | undefined;
  #expirySeconds: number;
  /** What was lost while it was away; from `begin` on a loss is told at once. */
  #losses = NO_LOSSES;
  /** Losses of which the client may not know; the next CONNACK tells them again. */
  #untold = NO_LOSSES;
  /** Whose acknowledgement says that it does; 0 where nothing but a CONNACK has told them all. */
  #toldBy: 'connack' | number = 'connack';
  /** True while the session before stays stored, until the client was heard. */
  #isUnheard = false;
  #isBegun = false;
  /** Answers to PUBREL that wait until what they say is stored. */
  #releasing = 0;
  #ended: Promise<void> | undefined;

  constructor(parts: SessionParts, { wire, terms, identity }: SessionOwner) {
    const { config, clock, counts } = parts;
    this.#parts = parts;
    this.terms = terms;
    this.#wire = wire;
    this.#identity = identity;
    this.#word = this.word();
    this.#expirySeconds = terms.expirySeconds;
    if (terms.expirySeconds > 0) {
      this.#saver = new Saver({
        write: () => this.#write(true),
        clock,
        delayMs: config.ackSaveMs,
        onFailed: (error) => this.#onUnstored(error),
      });
      this.store = () => this.save();
    }
    const { topicAliasMaximum, packetSizeMax } = terms;
    this.#window = new Window(inflightMax(terms, config));
    this.delivery = new Delivery({
      ...{ link: wire.link, window: this.#window, packetSizeMax, store: this.store, counts },
      aliases: topicAliasMaximum === 0 ? undefined : new AliasTable(topicAliasMaximum),
      ...(terms.version === 5 && { onTold: (packetId) => void (this.#toldBy = packetId) }),
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

  /** Messages received that are not acknowledged, as the client counts them. */
  get receivedCount(): number {
    return this.#receiving?.count ?? 0;
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
    this.#untold = boundLosses([...(record.untold ?? []), ...this.#losses]);
    this.#losses = NO_LOSSES;
    return this.#untold;
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
    if (this.#saver !== undefined) await this.#write(true);
  }

  /** The client has sent something: so it has its CONNACK, and knows what that told. */
  onHeard(): void {
    if (this.#isUnheard) {
      this.#isUnheard = false;
      void this.save();
    }
    if (this.#toldBy === 'connack') this.#onTold();
  }

  #onTold(): void {
    if (this.#untold.length === 0) return;
    this.#untold = NO_LOSSES;
    this.#saver?.saveSoon();
  }

  /** The client has its CONNACK: what it was sent before is sent again, then all that is new. */
  async begin(): Promise<void> {
    const { hub, clock } = this.#parts;
    this.#isBegun = true;
    // What came to light since its answer was made.
    const losses = this.#losses;
    this.#losses = NO_LOSSES;
    for (const loss of losses) this.onLoss(loss);
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
    if (packetId === this.#toldBy && outcome !== 'unknown') this.#onTold();
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
      this.#wire.send({ kind: 'pubcomp', packetId, reason, properties: {} });
    };
    // A number that came free must not be taken for the message before.
    if (this.#saver === undefined || !isKnown) answer();
    else {
      this.#releasing += 1;
      void this.save().then(() => {
        this.#releasing -= 1;
        answer();
        this.#wire.onSettled();
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

  /** A new end of its life, told by DISCONNECT. */
  setExpiry(seconds: number): void {
    this.#expirySeconds = seconds;
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
    const { log, store, clock } = this.#parts;
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
    if (this.#isUnheard) {
      await shares;
      return;
    }
    for (let delayMs = RETRY_MS; ; delayMs = Math.min(delayMs * 2, RETRY_MS_MAX)) {
      try {
        if (this.#expirySeconds > 0) await this.#writeRecord(record);
        else await store.remove(this.terms.key);
        break;
      } catch (error) {
        log.warn({ error }, 'the end of an MQTT session could not be stored');
        // Until it is stored nobody goes on: a place from before sends again what came already.
        const isLater = refusal(error).code === 'unavailable';
        if (!isLater || !(await store.pause(this.terms.key, clock, delayMs))) break;
      }
    }
    await shares;
  }

  #makeReceiving(): Receiving {
    this.#receiving ??= new Receiving(this.#parts.hub, this);
    return this.#receiving;
  }

  #onUnstored(error: unknown): void {
    const { clientId } = this.terms;
    this.#parts.log.warn({ clientId, error }, 'an MQTT session could not be stored');
    // It is larger than a record may be, and does not become smaller by waiting.
    const isTooLarge = error instanceof RangeError;
    if (isTooLarge) this.#wire.fail(REASONS.quotaExceeded, 'the session is too large to be stored');
  }

  #write(isConnected: boolean): Promise<void> {
    return this.#writeRecord(this.#record(isConnected));
  }

  #writeRecord(record: SessionRecord): Promise<void> {
    const { store, clock } = this.#parts;
    const expiresAt = clock.unixMs() + record.expirySeconds * 1000;
    return store.save(this.terms.key, record, record.isConnected ? undefined : expiresAt);
  }

  #record(isConnected: boolean): SessionRecord {
    return {
      clientId: this.terms.clientId,
      ...ownerFor(this.#identity, this.#wire.link.info.remoteAddress),
      session: this.#word,
      expirySeconds: this.#expirySeconds,
      isConnected,
      ...this.#filters.kept(),
      ...(this.delivery.quietBefore === 0 ? {} : { quietBefore: this.delivery.quietBefore }),
      ...(this.#untold.length === 0 ? {} : { untold: this.#untold }),
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
      void this.save().then(() => this.#wire.onSettled());
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
        this.#wire.fail(reason, message);
        return;
      }
    }
    const properties = wantsProblems && message !== '' ? { reasonString: message } : {};
    this.#wire.send({ kind, packetId, reason, properties });
  }

  onDropped(error: CodedError): void {
    const { clientId } = this.terms;
    this.#parts.counts.dropped.refused += 1;
    this.#parts.log.debug({ clientId, message: error.message }, 'an MQTT message was dropped');
  }

  onSettled(): void {
    this.#wire.onSettled();
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
      this.#losses = boundLosses([...this.#losses, loss]);
      return;
    }
    this.#untold = boundLosses([...this.#untold, loss]);
    this.#toldBy = 0;
    if (this.terms.version === 5) this.delivery.tellLoss(loss);
    else {
      const message = `messages of ${loss.channel} are lost: ${loss.gap.reason}`;
      this.#wire.fail(REASONS.unspecifiedError, message);
    }
  }
}
