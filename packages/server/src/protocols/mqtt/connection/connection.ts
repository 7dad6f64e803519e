/**
 * Connection: one client over one link, from CONNECT to the end.
 *
 * `greeting` until CONNECT is accepted, then `ready`, then `ended`. It turns bytes into packets and gives
 * each to who does what it asks for; in which order and how fast is the intake's to say.
 */
import type { Identity } from '../../../auth/identity.ts';
import { refusal } from '../../../hub/refusals.ts';
import type { Close, Frame, Link, LinkHandler } from '../../../link/link.ts';
import type { Alarm, AlarmMarks } from '../../../wheel.ts';
import { PacketDecoder } from '../codec/decoder.ts';
import { encodeWithin } from '../codec/encode.ts';
import { MqttError } from '../codec/faults.ts';
import type {
  Auth,
  Connect,
  Disconnect,
  Packet,
  Subscribe,
  Unsubscribe,
} from '../codec/packets.ts';
import { connackCode, REASONS } from '../codec/reasons.ts';
import type { NodeParts } from '../parts.ts';
import { closeFor, disconnectReason } from '../refusal.ts';
import type { MqttSession, SessionConnection } from '../session/session.ts';
import { subscribeAll, unsubscribeAll } from '../subscriptions/subscribing.ts';
import type { Accepted, Greeting } from './greeting.ts';
import { Intake } from './intake.ts';
import type { IntakeConnection, Received } from './intake.ts';
import { paceFor } from './pace.ts';
import { Renewal } from './renewal.ts';
import { keepAliveFor, silenceMs } from './terms.ts';

type ConnectionState = 'greeting' | 'ready' | 'ended';

/** Bytes received that are not in the log yet, above which nothing more is read. */
const UNDER_WAY_SIZE_MAX = 256 * 1024;

/** Writes that wait for the store, above which nothing more is read: each answers something read. */
const HELD_COUNT_MAX = 1_000;

/** Above this part of the high-water mark unsent, nothing more is read: a quarter. */
const UNREAD_PART = 4;

/** What a connection is built from. */
export interface ConnectionParts {
  readonly node: NodeParts;
  readonly greeting: Greeting;
  /** Whom the carrier of the link proved; absent where CONNECT tells. */
  readonly proved: Identity | undefined;
  /** Called once, when nothing is sent or read any more. */
  onEnd(connection: MqttConnection): void;
}

/** One client's connection. */
export class MqttConnection implements LinkHandler, IntakeConnection, SessionConnection, Alarm {
  readonly link: Link;
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly #parts: NodeParts;
  readonly #greeting: Greeting;
  readonly #proved: Identity | undefined;
  readonly #onEnd: (connection: MqttConnection) => void;
  readonly #decoder: PacketDecoder;
  readonly #intake: Intake;
  #state: ConnectionState = 'greeting';
  #accepted: Accepted | undefined;
  /** CONNECT, while it is judged. */
  #asked: Connect | undefined;
  /** When the client gave the last sign of life; kept where it has a keep alive. */
  #heardMs: number;
  #silenceMs = 0;
  /** Bytes of the largest packet that the client takes. */
  #packetSizeMax = Number.POSITIVE_INFINITY;
  /** Once it has ended: resolves when all that the session keeps is stored. */
  #left: Promise<void> | undefined;

  constructor(link: Link, { node, greeting, proved, onEnd }: ConnectionParts) {
    this.link = link;
    this.#parts = node;
    this.#greeting = greeting;
    this.#proved = proved;
    this.#onEnd = onEnd;
    this.#decoder = new PacketDecoder({ packetSizeMax: node.config.packetBytesMax });
    this.#intake = new Intake(this);
    this.#heardMs = node.clock.monotonicMs();
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
    if (this.#silenceMs > 0) this.#heardMs = this.#parts.clock.monotonicMs();
    if (typeof frame === 'string') {
      this.#intake.add(new MqttError(REASONS.protocolError, '[MQTT-6.0.0-1]', 'expected bytes'));
    } else {
      this.#parts.counts.receivedSize += frame.length;
      this.#decode(frame);
    }
    if (this.#intake.isWaiting) this.#intake.proceed();
  }

  onDrain(): void {
    if (this.#state === 'ended') return;
    // Whoever takes what was sent is there, even if it was not read meanwhile.
    this.#heardMs = this.#parts.clock.monotonicMs();
    this.#intake.proceed();
    this.session?.onDrain();
  }

  onClose(): void {
    this.#end(true);
  }

  /** CONNECT did not come, the client is silent, or its token has ended. */
  onAlarm(): void {
    if (this.#state === 'ended') return;
    if (this.#state === 'greeting') {
      if (this.#intake.isBusy)
        this.fail(REASONS.serverUnavailable, 'CONNECT could not be judged in time');
      else this.fail(REASONS.keepAliveTimeout, 'no CONNECT in time');
      return;
    }
    const { clock } = this.#parts;
    const { expiresAt = Number.POSITIVE_INFINITY } = this.session?.identity ?? {};
    // A client that is not read can't be heard.
    if (this.#intake.isPaused && !this.#isUnread) this.#heardMs = clock.monotonicMs();
    if (expiresAt <= clock.unixMs()) this.fail(REASONS.notAuthorized, 'the token has ended');
    else if (this.#silenceMs > 0 && clock.monotonicMs() - this.#heardMs >= this.#silenceMs) {
      this.fail(REASONS.keepAliveTimeout, 'nothing came within one and a half times keep alive');
    } else this.#arm();
  }

  send(packet: Packet): void {
    if (this.#state === 'ended') return;
    const version = this.#decoder.version ?? 5;
    const sizeMax = version === 5 ? this.#packetSizeMax : Number.POSITIVE_INFINITY;
    const bytes = encodeWithin(packet, version, sizeMax);
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

  /** So much is unsent, owed or not stored that nothing more is read. */
  get isFull(): boolean {
    const { receiveMaximum } = this.#parts.config;
    if (this.#isUnread) return true;
    const session = this.session;
    if (session === undefined) return false;
    if (session.underWaySize > UNDER_WAY_SIZE_MAX || session.heldCount > HELD_COUNT_MAX) {
      return true;
    }
    // 5.0 is told a limit and has to keep it, but for what it says again; 3.1.1 is not read.
    const isTold = session.terms.version === 5;
    return session.unansweredCount >= (isTold ? 2 * receiveMaximum : receiveMaximum);
  }

  onReceived(received: Received): void {
    try {
      if (received instanceof MqttError) throw received;
      this.#parts.counts.received[received.kind] += 1;
      const session = this.session;
      if (received.kind === 'connect') this.#take(this.#connect(received));
      else if (session !== undefined) this.#onPacket(session, received);
    } catch (error) {
      this.#onFault(error);
    }
  }

  onResumed(): void {
    this.#heardMs = this.#parts.clock.monotonicMs();
  }

  onSettled(): void {
    if (this.#intake.isPaused) this.#intake.proceed();
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
    const { serverReference } = this.#parts.config;
    const isSent = serverReference !== undefined;
    if (code === 'draining' && isSent)
      this.fail(REASONS.useAnotherServer, `go to ${serverReference}`);
    else if (code === 'draining') this.fail(REASONS.serverShuttingDown, 'this node is going away');
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
      this.#intake.add(next);
    }
  }

  /** The client does not take what it is sent. */
  get #isUnread(): boolean {
    return this.link.pendingBytes > this.#parts.config.highWaterSize / UNREAD_PART;
  }

  #onPacket(session: MqttSession, packet: Packet): void {
    // Who has waited for CONNACK in vain says goodbye too.
    if (packet.kind !== 'disconnect') session.onHeard();
    this.#intake.pace?.charge(packet, session);
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
    this.#intake.hold();
    const release = (): void => this.#intake.release();
    work.then(release, (error: unknown) => {
      this.#onFault(error);
      release();
    });
  }

  async #connect(connect: Connect): Promise<void> {
    const { maximumPacketSize = Number.POSITIVE_INFINITY } = connect.properties;
    this.#asked = connect;
    this.#packetSizeMax = maximumPacketSize;
    const { session, connack } = await this.#greeting.greet(connect, this, this.#proved);
    if (this.#state === 'ended') return;
    this.#state = 'ready';
    this.#asked = undefined;
    this.#silenceMs = silenceMs(keepAliveFor(connect, this.#parts.config));
    this.#heardMs = this.#parts.clock.monotonicMs();
    this.#arm();
    this.#intake.pace = paceFor(session.identity, this.#parts, this.#intake);
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
    const { sessionExpiryInterval } = properties;
    if (sessionExpiryInterval !== undefined) session.setExpiry(sessionExpiryInterval);
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
    const { serverReference } = this.#parts.config;
    const isSent = reason === REASONS.useAnotherServer && serverReference !== undefined;
    const properties = { reasonString: message, ...(isSent ? { serverReference } : {}) };
    if (this.#state === 'ready') {
      const last = disconnectReason(reason);
      if (version === 5) this.send({ kind: 'disconnect', reason: last, properties });
      return;
    }
    // CONNACK has no word for a server that shuts down, and 3.1.1 none for another one.
    const isGoing = reason === REASONS.serverShuttingDown || (isSent && version === 4);
    const code = connackCode(isGoing ? REASONS.serverUnavailable : reason, version);
    if (code === undefined) return;
    this.send({ kind: 'connack', sessionPresent: false, reason: code, properties });
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
    this.#intake.end();
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
function read(decoder: PacketDecoder, chunk: Buffer): Received | undefined {
  try {
    return decoder.next(chunk);
  } catch (error) {
    if (error instanceof MqttError) return error;
    throw error;
  }
}
