/**
 * MqttClient: an application with a correct MQTT client below it. It keeps its session over drops,
 * sends again what must be sent again, answers in order, late if it likes, and writes down all it
 * does and is told.
 */
import type { Clock } from '@trunkline/server/internal/clock.ts';
import type {
  Connack,
  Disconnect,
  Packet,
  Publish,
  Qos,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { subscribePacket, unsubscribePacket } from '../mqtt/packet-makers.ts';
import type { SeededRandom } from '../random.ts';
import { connectFor, keptMs, toMs } from './client-traits.ts';
import type { MqttClientTraits } from './client-traits.ts';
import { ClientLine } from './client-line.ts';
import type { Cut } from './client-line.ts';
import { ClientSession } from './client-session.ts';
import type { Answer, Outcome, Reaction, Saying } from './client-session.ts';
import type { MqttRecorder } from './mqtt-recorder.ts';
import type { MqttServer } from './mqtt-site.ts';
import { sayingBytes, sayingName } from './sayings.ts';

const RECEIVE_MAXIMUM_MAX = 0xffff;
const PACKET_SIZE_MAX = 1_000_000;

/** How far apart client and server may count the time of a session. */
const EXPIRY_SLACK_MS = 3_000;

/** By which a server tells 5.0 of a loss. */
const GAP_PROPERTY = 'trunkline.gap';

/** Messages that wait for room; what is said beyond is not said. */
const BACKLOG_MAX = 20;

/** What a client is made from. */
export interface MqttClientParts {
  readonly recorder: MqttRecorder;
  readonly random: SeededRandom;
  readonly clock: Clock;
  /** Where retention may take what not everyone has. */
  readonly mayLose: (channel: string) => boolean;
}

/** What the client awaits an answer for. */
interface Asked {
  readonly kind: 'subscribe' | 'unsubscribe';
  readonly filters: ReadonlyMap<string, Qos>;
}

/** One client, over all its connections. */
export class MqttClient {
  readonly name: string;
  readonly traits: MqttClientTraits;
  readonly #recorder: MqttRecorder;
  readonly #random: SeededRandom;
  readonly #clock: Clock;
  readonly #mayLose: (channel: string) => boolean;
  #line: ClientLine | undefined;
  #connection = '';
  #isWelcome = false;
  /** How long the server keeps the session of this connection beyond it. */
  #keptMs = 0;
  /** The same of the connection whose CONNACK came last, and when that ended. */
  #sessionMs = 0;
  #endedMs = 0;
  /** When a CONNECT was sent last whose CONNACK has not come; absent when none was. */
  #unansweredMs: number | undefined;
  #session: ClientSession | undefined;
  #wantsClean: boolean;
  /** What it wants to be subscribed to, and what the server has granted. */
  readonly #wanted: Map<string, Qos>;
  readonly #granted = new Map<string, Qos>();
  #asked = new Map<number, Asked>();
  #answers: Answer[] = [];
  #answersLate = false;
  #backlog: Saying[] = [];
  /** Why the server ends the connection, as it said. */
  #reason: string | undefined;
  /** What was told to be lost, as it was told. */
  #losses: string[] = [];
  #sendMax = RECEIVE_MAXIMUM_MAX;

  constructor(traits: MqttClientTraits, parts: MqttClientParts) {
    const { recorder, random, clock } = parts;
    this.name = `${traits.user}/${traits.clientId}`;
    this.traits = traits;
    this.#recorder = recorder;
    this.#random = random;
    this.#clock = clock;
    this.#mayLose = parts.mayLose;
    this.#wanted = new Map(traits.filters);
    this.#wantsClean = !traits.keepsSession;
  }

  /** The connection, while it has one. */
  get line(): ClientLine | undefined {
    return this.#line?.isOpen === true ? this.#line : undefined;
  }

  /** The session that it is in. */
  get session(): string | undefined {
    return this.#session?.name;
  }

  /** What has not come to its end, in words. */
  get stuck(): string[] {
    if (this.line === undefined || !this.#isWelcome) return [`${this.name} is not connected`];
    const what = [
      ...(this.#session?.underWay ?? []),
      ...[...this.#asked].map(([id, { kind }]) => `${kind} #${id}`),
      ...(this.#backlog.length === 0 ? [] : [`${this.#backlog.length} messages wait`]),
    ];
    return what.map((one) => `${this.name}: ${one}`);
  }

  /** Connects if it is not. */
  connect(server: MqttServer): void {
    if (this.line !== undefined) return;
    const { version, user } = this.traits;
    this.#connection = this.#recorder.name('connection-');
    this.#isWelcome = false;
    if (this.#mayBeReplaced()) this.forget();
    const clean = this.#wantsClean;
    this.#keptMs = keptMs(this.traits, clean);
    const line: ClientLine = new ClientLine({
      version,
      packetSizeMax: PACKET_SIZE_MAX,
      open: (peer) => server.open(peer, user),
      onPacket: (packet) => this.#onPacket(packet),
      onFault: (fault) => this.#misconduct(String(fault)),
      onEnd: (isKnown) => this.#onEnd(line, isKnown),
    });
    this.#line = line;
    this.#unansweredMs = this.#clock.monotonicMs();
    this.#record({
      kind: 'connect',
      client: this.name,
      connection: this.#connection,
      version,
      clean,
      expiryMs: this.#keptMs,
    });
    line.send(connectFor(this.traits, clean));
  }

  /** Ends the connection with DISCONNECT. */
  disconnect(): void {
    const { line } = this;
    if (line === undefined) return;
    line.send({ kind: 'disconnect', reason: 0, properties: {} });
    line.leave();
  }

  /** The connection breaks. */
  drop(): void {
    this.line?.drop();
  }

  /** The connection is given up, and the server does not learn it. */
  abandon(): void {
    this.line?.abandon();
  }

  /** The connection breaks behind one of the next packets. */
  cutAfter(packets: number, cut: Cut): void {
    this.line?.cutAfter(packets, cut);
  }

  /** The server is dead. */
  loseServer(): void {
    this.line?.drop();
    this.#session?.noteCrash();
  }

  /** The application is installed anew: it knows of nothing, and begins with a clean session. */
  forget(): void {
    this.drop();
    this.#endSession();
    this.#wantsClean = true;
  }

  /** From now on answers wait until `answer` is called, or they don't. */
  setLate(late: boolean): void {
    this.#answersLate = late;
    if (!late) this.answer(Infinity);
  }

  /** Sends some of the answers that wait, in their order. */
  answer(count: number): void {
    for (let left = count; left > 0 && this.line !== undefined; left -= 1) {
      const answer = this.#answers.shift();
      if (answer === undefined) return;
      this.#session?.onSent(answer);
      this.#line?.send(answer);
    }
  }

  /** Says something new; what can't be sent now waits, or is not said. */
  publish(channel: string, qos: Qos, padding: number): void {
    if (!this.#isWelcome || this.line === undefined) return;
    if (this.#backlog.length >= BACKLOG_MAX) return;
    const name = this.#recorder.name('payload-');
    this.#backlog.push({ name, channel, bytes: sayingBytes(name, padding), qos });
    this.#sendBacklog();
  }

  /** Subscribes to a filter, or subscribes to it anew with another QoS. */
  subscribe(filter: string, qos: Qos): void {
    this.#wanted.set(filter, qos);
    if (this.#isWelcome) this.#askFor('subscribe', new Map([[filter, qos]]));
  }

  /** Ends a subscription. */
  unsubscribe(filter: string): void {
    const qos = this.#wanted.get(filter);
    if (qos === undefined) return;
    this.#wanted.delete(filter);
    if (this.#isWelcome) this.#askFor('unsubscribe', new Map([[filter, qos]]));
  }

  /**
   * A CONNECT that was not answered may have found the session expired, and begun another one: then
   * `Session Present` would tell of that.
   */
  #mayBeReplaced(): boolean {
    if (this.#unansweredMs === undefined || this.#session === undefined) return false;
    return this.#unansweredMs - this.#endedMs > this.#sessionMs - EXPIRY_SLACK_MS;
  }

  #onPacket(packet: Packet): void {
    this.#noteLosses(packet);
    if (packet.kind === 'connack') return this.#onConnack(packet);
    const session = this.#session;
    if (!this.#isWelcome || session === undefined) {
      return this.#misconduct(`${packet.kind} before CONNACK [MQTT-3.2.0-1]`);
    }
    switch (packet.kind) {
      case 'publish':
        return this.#onPublish(packet, session);
      case 'puback':
        return this.#onOutcome(session.onPuback(packet.packetId, packet.reason), packet.reason);
      case 'pubrec':
        return this.#onOutcome(session.onPubrec(packet.packetId, packet.reason), packet.reason);
      case 'pubcomp':
        this.#react(session.onPubcomp(packet.packetId));
        return this.#sendBacklog();
      case 'pubrel':
        return this.#react(session.onPubrel(packet.packetId));
      case 'suback':
      case 'unsuback':
        return this.#onAnswer(packet, session);
      case 'disconnect':
        this.#reason = reasonText(packet);
        return undefined;
      default:
        return this.#misconduct(`${packet.kind}, which nobody asked for`);
    }
  }

  #onConnack(packet: Connack): void {
    if (this.#isWelcome) return this.#misconduct('a second CONNACK [MQTT-3.2.0-2]');
    const { sessionPresent, reason, properties } = packet;
    if (reason !== 0) {
      this.#reason = reasonText(packet);
      return this.drop();
    }
    if (!sessionPresent) this.#endSession();
    this.#session ??= new ClientSession(
      this.#recorder.name('session-'),
      this.traits.version,
      this.#mayLose,
    );
    const session = this.#session;
    const { sessionExpiryInterval: granted } = properties;
    // 5.0 §3.2.2.3.2: the server may keep it for less long than it was asked to.
    if (granted !== undefined) this.#keptMs = toMs(granted);
    this.#sessionMs = this.#keptMs;
    this.#unansweredMs = undefined;
    this.#wantsClean = !this.traits.keepsSession;
    this.#sendMax = properties.receiveMaximum ?? RECEIVE_MAXIMUM_MAX;
    this.#isWelcome = true;
    this.#record({
      kind: 'welcome',
      client: this.name,
      connection: this.#connection,
      session: session.name,
      sessionPresent,
      expiryMs: this.#keptMs,
    });
    this.#tellLosses(session.name);
    const again = session.connect(this.traits.receiveMaximum ?? RECEIVE_MAXIMUM_MAX);
    for (const one of again) this.#sendPacket(one);
    const missing = [...this.#wanted].filter(([filter, qos]) => this.#granted.get(filter) !== qos);
    const unwanted = [...this.#granted].filter(([filter]) => !this.#wanted.has(filter));
    if (missing.length > 0) this.#askFor('subscribe', new Map(missing));
    if (unwanted.length > 0) this.#askFor('unsubscribe', new Map(unwanted));
    this.#sendBacklog();
  }

  /** Any packet may tell of a loss; in CONNACK before the session has a name. */
  #noteLosses(packet: Packet): void {
    const properties = 'properties' in packet ? packet.properties : {};
    const pairs = 'userProperties' in properties ? (properties.userProperties ?? []) : [];
    for (const [key, value] of pairs) if (key === GAP_PROPERTY) this.#losses.push(value);
    if (this.#isWelcome && this.#session !== undefined) this.#tellLosses(this.#session.name);
  }

  #tellLosses(session: string): void {
    for (const text of this.#losses) {
      const { channel } = JSON.parse(text) as { readonly channel: string };
      this.#record({ kind: 'loss', session, filter: channel });
    }
    this.#losses = [];
  }

  #onPublish(packet: Publish, session: ClientSession): void {
    const { topic: channel, qos, dup, retain, properties } = packet;
    const payload = sayingName(packet.payload);
    const position = properties.userProperties?.find(([key]) => key === 'trunkline.position')?.[1];
    this.#record({
      kind: 'arrived',
      session: session.name,
      connection: this.#connection,
      channel,
      payload,
      qos,
      dup,
      retain,
      ...(position === undefined ? {} : { position }),
    });
    this.#react(session.onPublish(packet));
  }

  #onOutcome(outcome: Outcome, reason: number): void {
    const { saying, isTaken } = outcome;
    if (saying !== undefined) {
      const payload = saying.name;
      if (isTaken === true) this.#record({ kind: 'acknowledged', payload });
      else this.#record({ kind: 'refused', payload, reason });
    }
    this.#react(outcome);
    this.#sendBacklog();
  }

  #onAnswer(
    packet: Extract<Packet, { kind: 'suback' | 'unsuback' }>,
    session: ClientSession,
  ): void {
    const { kind, packetId, reasons } = packet;
    const wrong = session.onAnswered(kind, packetId);
    const asked = this.#asked.get(packetId);
    if (wrong !== undefined || asked === undefined) return this.#misconduct(wrong ?? kind);
    this.#asked.delete(packetId);
    const isLong = reasons.length === asked.filters.size;
    if (!isLong && (kind === 'suback' || this.traits.version === 5)) {
      this.#misconduct(`${kind} with ${reasons.length} reasons [MQTT-3.8.4-6]`);
    }
    for (const [index, [filter, qos]] of [...asked.filters].entries()) {
      const reason = reasons[index] ?? 0;
      if (asked.kind === 'unsubscribe') {
        this.#granted.delete(filter);
        this.#record({ kind: 'unsubscribed', session: session.name, filter });
        continue;
      }
      const granted = reason < 0x80 ? (Math.min(reason, 2) as Qos) : -1;
      if (granted > qos) this.#misconduct(`a grant of QoS ${granted} for ${qos} [MQTT-3.8.4-7]`);
      if (granted >= 0) this.#granted.set(filter, qos);
      this.#record({ kind: 'subscribed', session: session.name, filter, qos: granted });
    }
  }

  #react({ misconduct, deliver, answer }: Reaction): void {
    const session = this.#session;
    if (misconduct !== undefined) this.#misconduct(misconduct);
    if (deliver !== undefined && session !== undefined) {
      this.#record({
        kind: 'delivered',
        session: session.name,
        channel: deliver.topic,
        payload: sayingName(deliver.payload),
        qos: deliver.qos,
      });
    }
    if (answer === undefined) return;
    this.#answers.push(answer);
    if (!this.#answersLate) this.answer(Infinity);
  }

  #askFor(kind: Asked['kind'], filters: ReadonlyMap<string, Qos>): void {
    const session = this.#session;
    if (session === undefined || this.line === undefined) return;
    const packetId = session.ask();
    this.#asked.set(packetId, { kind, filters });
    for (const [filter, qos] of filters) {
      if (kind === 'subscribe') this.#record({ kind, session: session.name, filter, qos });
      else this.#record({ kind, session: session.name, filter });
    }
    const options = [...filters].map(([filter, qos]) => ({ filter, qos }));
    this.#line?.send(
      kind === 'subscribe'
        ? subscribePacket(packetId, options)
        : unsubscribePacket(packetId, [...filters.keys()]),
    );
  }

  #sendBacklog(): void {
    const session = this.#session;
    while (session !== undefined && this.line !== undefined) {
      const saying = this.#backlog[0];
      if (saying === undefined) return;
      if (saying.qos > 0 && session.sendingCount >= this.#sendMax) return;
      this.#backlog.shift();
      this.#sendPacket(session.publish(saying));
    }
  }

  /** A PUBLISH is written down before it leaves: a server may store it at once. */
  #sendPacket(packet: Packet): void {
    if (packet.kind === 'publish' && this.#session !== undefined) {
      const { topic: channel, qos, dup } = packet;
      this.#record({
        kind: 'send',
        session: this.#session.name,
        connection: this.#connection,
        channel,
        payload: sayingName(packet.payload),
        qos,
        dup,
      });
    }
    this.#line?.send(packet);
  }

  #onEnd(line: ClientLine, isKnown: boolean): void {
    if (line !== this.#line) return;
    if (this.#isWelcome) this.#endedMs = this.#clock.monotonicMs();
    this.#isWelcome = false;
    this.#asked.clear();
    this.#answers = [];
    this.#backlog = [];
    this.#losses = [];
    const { name: client } = this;
    const reason = this.#reason;
    this.#reason = undefined;
    this.#record({
      ...{ kind: 'end', client, connection: this.#connection, isKnown },
      ...(reason === undefined ? {} : { reason }),
    });
    // What the server forgets with the connection the client forgets too.
    if (this.#keptMs === 0) this.#endSession();
    if (this.#random.chance(0.5)) this.#answersLate = false;
  }

  #endSession(): void {
    this.#session = undefined;
    this.#granted.clear();
    this.#answers = [];
  }

  #misconduct(what: string): void {
    this.#record({ kind: 'misconduct', client: this.name, what });
  }

  get #record(): MqttRecorder['record'] {
    return (event) => this.#recorder.record(event);
  }
}

function reasonText({ reason, properties }: Connack | Disconnect): string {
  return `0x${reason.toString(16)} ${properties.reasonString ?? ''}`.trim();
}
