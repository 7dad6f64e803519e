/**
 * Connection: one client over one link, from CONNECT to the end.
 *
 * `greeting` until CONNECT is accepted, then `ready`, then `ended`. Packets are begun one after the
 * other in the order they came; SUBSCRIBE and what else takes time holds up what is behind it, so that
 * a client which subscribes and then publishes gets its own message.
 */
import type { Identity } from '../../auth/identity.ts';
import { refusal } from '../../hub/refusals.ts';
import type { Close, Frame, Link, LinkHandler } from '../../link/link.ts';
import type { Alarm, AlarmMarks } from '../../wheel.ts';
import { PacketDecoder } from './codec/decoder.ts';
import { encode, packetSize } from './codec/encode.ts';
import { MqttError } from './codec/faults.ts';
import type { Auth, Connect, Disconnect, Packet, Subscribe, Unsubscribe } from './codec/packets.ts';
import { connackCode, REASONS } from './codec/reasons.ts';
import type { Accepted, Greeting } from './greeting.ts';
import { paceFor } from './pace.ts';
import type { Pace } from './pace.ts';
import type { NodeParts } from './parts.ts';
import { closeFor, disconnectReason } from './refusal.ts';
import { Renewal } from './renewal.ts';
import type { MqttSession, SessionConnection } from './session.ts';
import { subscribeAll, unsubscribeAll } from './subscribing.ts';
import { keepAliveFor, silenceMs } from './terms.ts';

type ConnectionState = 'greeting' | 'ready' | 'ended';

/** What was read and not begun; an error stands where the stream broke. */
type Waiting = Packet | MqttError;

/** What nearly all connections have at any time. Nobody writes to it. */
const NOTHING: Waiting[] = [];

/** Bytes received that are not in the log yet, above which nothing more is read. */
const UNDER_WAY_SIZE_MAX = 256 * 1024;

/** Writes that wait for the store, above which nothing more is read: each answers something read. */
const HELD_COUNT_MAX = 1_000;

/** Above this part of the high-water mark unsent, nothing more is read: a quarter. */
const UNREAD_PART = 4;

/** One client's connection. */
export class MqttConnection implements LinkHandler, SessionConnection, Alarm {
  readonly link: Link;
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly #parts: NodeParts;
  readonly #greeting: Greeting;
  readonly #carried: Identity | undefined;
  readonly #onEnd: (connection: MqttConnection) => void;
  readonly #decoder: PacketDecoder;
  #state: ConnectionState = 'greeting';
  #accepted: Accepted | undefined;
  /** CONNECT, while it is judged. */
  #asked: Connect | undefined;
  #waiting = NOTHING;
  /** How many of those are begun. */
  #begun = 0;
  /** How fast it is read; absent where no rate holds. */
  #pace: Pace | undefined;
  /** Something takes time; what waits is begun after it. */
  #isBusy = false;
  #isPaused = false;
  /** When the client gave the last sign of life. */
  #heardMs: number;
  #silenceMs = 0;
  /** Bytes of the largest packet that the client takes. */
  #packetSizeMax = Number.POSITIVE_INFINITY;
  /** Once it has ended: resolves when all that the session keeps is stored. */
  #left: Promise<void> | undefined;

  /** @param carried who the carrier says it is; absent where CONNECT tells. */
  constructor(
    parts: NodeParts,
    greeting: Greeting,
    link: Link,
    carried: Identity | undefined,
    onEnd: (connection: MqttConnection) => void,
  ) {
    this.#parts = parts;
    this.#greeting = greeting;
    this.link = link;
    this.#carried = carried;
    this.#onEnd = onEnd;
    this.#decoder = new PacketDecoder({ packetSizeMax: parts.config.packetBytesMax });
    this.#heardMs = parts.clock.monotonicMs();
  }

  /** The session, once CONNECT is accepted. */
  get session(): MqttSession | undefined {
    return this.#accepted?.session;
  }

  /** True once nothing is sent or read any more. */
  get isOver(): boolean {
    return this.#state === 'ended';
  }

  /** From here on it has a session, and who takes that over may end it. */
  accept(accepted: Accepted): void {
    this.#accepted = accepted;
    // It left while it was judged.
    if (this.#state === 'ended') this.#leave(accepted, true);
  }

  /** Waits for CONNECT, but not for long. */
  begin(): void {
    this.#parts.wheel.arm(this, this.#parts.config.connectMs);
  }

  onFrame(frame: Frame): void {
    if (this.#state === 'ended') return;
    this.#heardMs = this.#parts.clock.monotonicMs();
    if (typeof frame === 'string') {
      this.#receive(new MqttError(REASONS.protocolError, '[MQTT-6.0.0-1]', 'expected bytes'));
    } else {
      this.#parts.counts.receivedSize += frame.length;
      this.#decode(frame);
    }
    if (this.#waiting.length > 0) this.#beginPackets();
  }

  onDrain(): void {
    if (this.#state === 'ended') return;
    // Whoever takes what was sent is there, even if it was not read meanwhile.
    this.#heardMs = this.#parts.clock.monotonicMs();
    this.#beginPackets();
    this.session?.onDrain();
  }

  onClose(): void {
    this.#end(true);
  }

  /** CONNECT did not come, the client is silent, or its token has ended. */
  onAlarm(): void {
    if (this.#state === 'ended') return;
    if (this.#state === 'greeting') {
      if (this.#isBusy) this.fail(REASONS.serverUnavailable, 'CONNECT could not be judged in time');
      else this.fail(REASONS.keepAliveTimeout, 'no CONNECT in time');
      return;
    }
    const { clock } = this.#parts;
    const { expiresAt = Number.POSITIVE_INFINITY } = this.session?.identity ?? {};
    // A client that is not read can't be heard.
    if (this.#isPaused && !this.#isUnread()) this.#heardMs = clock.monotonicMs();
    if (expiresAt <= clock.unixMs()) this.fail(REASONS.notAuthorized, 'the token has ended');
    else if (this.#silenceMs > 0 && clock.monotonicMs() - this.#heardMs >= this.#silenceMs) {
      this.fail(REASONS.keepAliveTimeout, 'nothing came within one and a half times keep alive');
    } else this.#arm();
  }

  send(packet: Packet): void {
    if (this.#state === 'ended') return;
    const bytes = this.#encode(packet);
    if (bytes !== undefined) {
      this.#parts.counts.sent[packet.kind] += 1;
      this.#parts.counts.sentSize += bytes.length;
      this.link.send(bytes);
      return;
    }
    // Without its answer the client would wait for ever.
    this.#end(true);
    this.link.close(closeFor(REASONS.packetTooLarge));
  }

  onSettled(): void {
    if (this.#isPaused) this.#beginPackets();
  }

  /** Ends the connection with a reason code, which 5.0 is told, and 3.1.1 where CONNACK has one. */
  fail(reason: number, message: string): void {
    if (this.#state === 'ended') return;
    const { counts, endings } = this.#parts;
    const { remoteAddress } = this.link.info;
    const wasAccepted = this.#state === 'ready';
    const { terms, identity } = this.session ?? {};
    const clientId = terms?.clientId ?? this.#asked?.clientId;
    const user = identity?.user ?? this.#asked?.userName;
    endings.tell({ wasAccepted, reason, message, remoteAddress, clientId, user });
    if (wasAccepted) counts.onEnded(reason);
    else counts.onRefused(reason);
    this.#sayGoodbye(reason, message);
    this.#end(true);
    this.link.close(closeFor(reason));
  }

  /** Ends the connection in the words of MQTT, as a link is closed. */
  close({ code }: Pick<Close, 'code'>): void {
    if (code === 'draining') this.fail(REASONS.serverShuttingDown, 'this node is going away');
    else this.fail(REASONS.administrativeAction, code);
  }

  /** The same client identifier connected again. */
  async giveWay(): Promise<void> {
    this.fail(REASONS.sessionTakenOver, 'the same client identifier connected again');
    await this.#left;
  }

  #decode(bytes: Uint8Array): void {
    const decoder = this.#decoder;
    const chunk = asBuffer(bytes);
    for (let next = read(decoder, chunk); next !== undefined; next = read(decoder, chunk)) {
      this.#receive(next);
    }
  }

  /** Nearly always a packet is begun as it comes: while one may not be, the link is paused. */
  #receive(received: Waiting): void {
    if (this.#state === 'ended') return;
    if (this.#isPaused || !this.#isInPace(received)) {
      if (this.#waiting === NOTHING) this.#waiting = [received];
      else this.#waiting.push(received);
      if (!this.#isPaused) this.#pause();
      return;
    }
    this.#begin(received);
    // An acknowledgement only makes room.
    const isAck = !(received instanceof MqttError) && received.kind === 'puback';
    if (!isAck || this.#pace?.isShort === true) this.#pause();
  }

  /** Begins what waits, until something takes time, or too much is owed, unread or not stored. */
  #beginPackets(): void {
    while (this.#begun < this.#waiting.length && this.#mayGoOn()) {
      const waiting = this.#waiting[this.#begun];
      if (waiting === undefined || !this.#isInPace(waiting)) break;
      this.#begun += 1;
      this.#begin(waiting);
    }
    if (this.#state === 'ended') return;
    // Not each time: what waits may be very many small packets.
    if (this.#begun * 2 >= this.#waiting.length) {
      const isEmpty = this.#begun === this.#waiting.length;
      this.#waiting = isEmpty ? NOTHING : this.#waiting.slice(this.#begun);
      this.#begun = 0;
    }
    this.#pause();
  }

  #isInPace(received: Waiting): boolean {
    return this.#pace === undefined || received instanceof MqttError || this.#pace.admits(received);
  }

  #pause(): void {
    if (this.#state === 'ended') return;
    const isFull = this.#isFull();
    if (isFull && this.link.pendingBytes > 0) this.link.requestDrain();
    const isHeldBack = this.#isBusy || this.#pace?.isShort === true;
    const paused = isFull || isHeldBack || this.#waiting.length > 0;
    if (paused === this.#isPaused) return;
    this.#isPaused = paused;
    // What it sent meanwhile comes now.
    if (!paused) this.#heardMs = this.#parts.clock.monotonicMs();
    this.link.setPaused(paused);
  }

  #mayGoOn(): boolean {
    if (this.#state === 'ended' || this.#isBusy || this.#pace?.isShort === true) return false;
    return !this.#isFull();
  }

  /** The client does not take what it is sent. */
  #isUnread(): boolean {
    return this.link.pendingBytes > this.#parts.config.highWaterSize / UNREAD_PART;
  }

  #isFull(): boolean {
    const { receiveMaximum } = this.#parts.config;
    if (this.#isUnread()) return true;
    const session = this.session;
    if (session === undefined) return false;
    if (session.underWaySize > UNDER_WAY_SIZE_MAX || session.heldCount > HELD_COUNT_MAX)
      return true;
    // 5.0 is told a limit and has to keep it, but for what it says again; 3.1.1 is not read.
    const isTold = session.terms.version === 5;
    return session.unansweredCount >= (isTold ? 2 * receiveMaximum : receiveMaximum);
  }

  #begin(waiting: Waiting): void {
    try {
      if (waiting instanceof MqttError) throw waiting;
      this.#parts.counts.received[waiting.kind] += 1;
      const session = this.session;
      if (waiting.kind === 'connect') this.#take(this.#connect(waiting));
      else if (session !== undefined) this.#onPacket(session, waiting);
    } catch (error) {
      this.#onFault(error);
    }
  }

  #onPacket(session: MqttSession, packet: Packet): void {
    // Who has waited for CONNACK in vain says goodbye too.
    if (packet.kind !== 'disconnect') session.onHeard();
    this.#pace?.charge(packet, session);
    switch (packet.kind) {
      case 'publish':
        session.onPublish(packet);
        break;
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        session.onAck(packet);
        break;
      case 'pubrel':
        session.onPubrel(packet);
        break;
      case 'subscribe':
        this.#take(this.#subscribe(session, packet));
        break;
      case 'unsubscribe':
        this.#take(this.#unsubscribe(session, packet));
        break;
      case 'pingreq':
        this.send({ kind: 'pingresp' });
        break;
      case 'disconnect':
        this.#disconnect(session, packet);
        break;
      case 'auth':
        this.#take(this.#renew(session, packet));
        break;
    }
  }

  /** Does something that takes time; what is behind it waits. */
  #take(work: Promise<void>): void {
    this.#isBusy = true;
    const goOn = (): void => {
      this.#isBusy = false;
      this.#beginPackets();
    };
    work.then(goOn, (error: unknown) => {
      this.#onFault(error);
      goOn();
    });
  }

  async #connect(connect: Connect): Promise<void> {
    const { maximumPacketSize = Number.POSITIVE_INFINITY } = connect.properties;
    this.#asked = connect;
    this.#packetSizeMax = maximumPacketSize;
    const { session, connack } = await this.#greeting.greet(connect, this, this.#carried);
    if (this.#state === 'ended') return;
    this.#state = 'ready';
    this.#asked = undefined;
    this.#silenceMs = silenceMs(keepAliveFor(connect, this.#parts.config));
    this.#heardMs = this.#parts.clock.monotonicMs();
    this.#arm();
    this.#pace = paceFor(session.identity, this.#parts, () => this.#beginPackets());
    this.send(connack);
    const { version, clientId } = session.terms;
    const { transport, remoteAddress } = this.link.info;
    this.#parts.log.debug(
      { clientId, user: session.identity.user, version, transport, remoteAddress },
      'an MQTT client connected',
    );
    await session.begin();
  }

  async #subscribe(session: MqttSession, packet: Subscribe): Promise<void> {
    await subscribeAll(session, packet, (suback) => this.send(suback));
  }

  async #unsubscribe(session: MqttSession, packet: Unsubscribe): Promise<void> {
    this.send(await unsubscribeAll(session, packet));
  }

  async #renew(session: MqttSession, packet: Auth): Promise<void> {
    const answer = await new Renewal(this.#parts.authenticator).renew(session, packet);
    this.#arm();
    this.send(answer);
  }

  #disconnect(session: MqttSession, { reason, properties }: Disconnect): void {
    const { sessionExpiryInterval: wanted } = properties;
    if (wanted !== undefined) {
      if (wanted > 0 && session.expirySeconds === 0) {
        const message = 'a session that was to end with its connection can not be kept any more';
        throw new MqttError(REASONS.protocolError, '[MQTT-3.14.2-2]', message);
      }
      session.setExpiry(Math.min(wanted, this.#parts.config.sessionExpirySecondsMax));
    }
    // [MQTT-3.14.4-3]: after a normal end the will is gone.
    this.#end(reason !== REASONS.success);
    this.link.close({ code: 'normal' });
  }

  #onFault(error: unknown): void {
    if (error instanceof MqttError) {
      this.fail(error.reason, error.message);
      return;
    }
    const { code, message } = refusal(error);
    if (code !== 'internal') {
      this.fail(REASONS.serverUnavailable, message);
      return;
    }
    this.#parts.log.error({ error }, 'an MQTT packet could not be handled');
    this.fail(REASONS.unspecifiedError, 'the server failed');
  }

  /** The last packet of the server: CONNACK where CONNECT was not answered yet. */
  #sayGoodbye(reason: number, message: string): void {
    const version = this.#decoder.version;
    if (version === undefined) return;
    const properties = { reasonString: message };
    if (this.#state === 'ready') {
      const last = disconnectReason(reason);
      if (version === 5) this.send({ kind: 'disconnect', reason: last, properties });
      return;
    }
    const isGoing = reason === REASONS.serverShuttingDown;
    const code = connackCode(isGoing ? REASONS.serverUnavailable : reason, version);
    if (code === undefined) return;
    this.send({ kind: 'connack', sessionPresent: false, reason: code, properties });
  }

  /**
   * Reasons and the like are left out where they make a packet too large ([MQTT-3.1.2-24]). A packet
   * that is too large without them too can't be sent.
   */
  #encode(packet: Packet): Uint8Array | undefined {
    const version = this.#decoder.version ?? 5;
    const sizeMax = version === 5 ? this.#packetSizeMax : Number.POSITIVE_INFINITY;
    const isSmall = sizeMax === Number.POSITIVE_INFINITY || packetSize(packet, version) <= sizeMax;
    if (isSmall) return encode(packet, version);
    const bare = withoutReasons(packet);
    return packetSize(bare, version) > sizeMax ? undefined : encode(bare, version);
  }

  #arm(): void {
    if (this.#state === 'ended') return;
    const { clock, wheel } = this.#parts;
    const { expiresAt } = this.session?.identity ?? {};
    const silentMs =
      this.#silenceMs === 0
        ? Number.POSITIVE_INFINITY
        : this.#heardMs + this.#silenceMs - clock.monotonicMs();
    const tokenMs = expiresAt === undefined ? Number.POSITIVE_INFINITY : expiresAt - clock.unixMs();
    const delayMs = Math.min(silentMs, tokenMs);
    if (delayMs === Number.POSITIVE_INFINITY) wheel.cancel(this);
    else wheel.arm(this, Math.max(0, delayMs));
  }

  /** @param withWill true unless the client said goodbye. */
  #end(withWill: boolean): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#parts.wheel.cancel(this);
    this.#pace?.end();
    this.#waiting = NOTHING;
    this.#onEnd(this);
    if (this.#accepted !== undefined) this.#leave(this.#accepted, withWill);
  }

  #leave(accepted: Accepted, withWill: boolean): void {
    const { clientId } = accepted.session.terms;
    this.#parts.log.debug({ clientId, withWill }, 'an MQTT client is gone');
    this.#left = this.#greeting.leave(accepted, withWill).catch((error: unknown) => {
      this.#parts.log.error({ error }, 'an MQTT connection could not be ended');
    });
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The next packet of a chunk, or the error that stands in its place. */
function read(decoder: PacketDecoder, chunk: Buffer): Waiting | undefined {
  try {
    return decoder.next(chunk);
  } catch (error) {
    if (error instanceof MqttError) return error;
    throw error;
  }
}

/** What only explains is left out. */
function withoutReasons(packet: Packet): Packet {
  if (!('properties' in packet)) return packet;
  const properties: Record<string, unknown> = { ...packet.properties };
  delete properties['reasonString'];
  delete properties['userProperties'];
  return { ...packet, properties };
}
