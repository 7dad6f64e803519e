/**
 * The line over MQTT 5.0: `/v1/ws` with the subprotocol `mqtt`, one session with QoS 1.
 *
 * The server keeps the place: a connection that comes back gets what it has not acknowledged and what
 * came since. Each message tells its position, so the line stands where any other can go on.
 */
import {
  decodeUtf8,
  encodeBase64,
  isJsonContentType,
  parsePosition,
  payloadKind,
  reconnectAfterClose,
} from '@trunkline/wire';
import type { Gap, PayloadKind } from '@trunkline/wire';
import { createLine } from './line.ts';
import type { Attempt, HangUp, Line, LineOptions } from './line.ts';
import { MqttDecoder, PACKET_SIZE_MAX } from './mqtt-decoder.ts';
import type { FromServer, Published, Told } from './mqtt-decoder.ts';
import { connectPacket, PINGREQ, pubackPacket, subscribePacket } from './mqtt-packets.ts';
import type { PacketBytes } from './mqtt-packets.ts';
import { MqttSession } from './mqtt-session.ts';
import { entryOf, gapOf, parseJson } from './read.ts';
import { closeReason } from './refusal.ts';

/** From the first byte to the answer to SUBSCRIBE. */
const ANSWER_MS_MAX = 10_000;

/**
 * The server hears from the page at least so often, or takes it for gone: in a tab that nobody looks
 * at, browsers let timers run once a minute.
 */
const KEEP_ALIVE_SECONDS = 300;

/** How often the page asks whether the server is there, and at most of the time agreed upon. */
const PING_MS = 15_000;
const PING_SHARE = 0.5;

/** No heartbeat is faster, whatever the server says. */
const PING_MS_MIN = 1_000;

/** How long a session waits for its page: longer than anybody looks at a cut pane. */
const EXPIRY_SECONDS = 3_600;

const SUBSCRIBE_ID = 1;
const POSITION = 'trunkline.position';
const GAP = 'trunkline.gap';
const SESSION = 'trunkline.session';
/** Losses that are too many to be told one by one have this channel. */
const ANY_CHANNEL = '#';

const TAKEN_OVER = 0x8e;

/** Reasons after which the same may work later (§2.4); every other refusal is final. */
const TEMPORARY: ReadonlySet<number> = new Set([
  ...[0x00, 0x80, 0x83, 0x88, 0x89, 0x8b, 0x8d, 0x96, 0x97, 0x98, 0x9c, 0x9d, 0x9f, 0xa0],
]);

/** In words for people, where the server has none. */
const REASON_TEXTS: ReadonlyMap<number, string> = new Map([
  [0x00, 'the server ended the connection'],
  [0x86, 'the token is not good'],
  [0x87, 'not allowed'],
  [0x88, 'the server is unavailable'],
  [0x89, 'the server is busy'],
  [0x8b, 'the server is going away'],
  [0x8d, 'the server heard nothing for too long'],
  [0x97, 'over a limit of the server'],
]);

/** Opens a line over MQTT. */
export function connect(options: LineOptions): Line {
  const session = new MqttSession();
  return createLine((attempt) => dial(attempt, session), options);
}

function dial(attempt: Attempt, session: MqttSession): HangUp {
  const call = new Call(attempt, session);
  return () => call.hangUp();
}

/** A loss that the server told of. */
interface Loss {
  readonly channel: string;
  readonly gap: Gap;
}

class Call {
  readonly #attempt: Attempt;
  readonly #session: MqttSession;
  readonly #socket: WebSocket;
  readonly #decoder = new MqttDecoder();
  /** True when it asked to go on; then the server says whether it can. */
  readonly #goesOn: boolean;
  #isOver = false;
  #hasBegun = false;
  /** Something came since the heartbeat last looked. */
  #heard = false;
  #cancelAnswer: () => void;
  #cancelHeartbeat: () => void = nothing;

  constructor(attempt: Attempt, session: MqttSession) {
    this.#attempt = attempt;
    this.#session = session;
    this.#goesOn = session.isKept;
    const url = new URL('/v1/ws', attempt.server);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#socket = new WebSocket(url, 'mqtt');
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => this.#onOpen();
    this.#socket.onmessage = (event) => this.#onFrame(event.data);
    this.#socket.onclose = (event) => this.#onClose(event);
    this.#cancelAnswer = this.#in(ANSWER_MS_MAX, () => attempt.lost('no answer in time'));
  }

  /** Without DISCONNECT, as when a network breaks: the session stays for its time. */
  hangUp(): void {
    this.#isOver = true;
    this.#cancelAnswer();
    this.#cancelHeartbeat();
    this.#socket.onopen = null;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close(1000);
  }

  #in(delayMs: number, task: () => void): () => void {
    return this.#attempt.pace.after(delayMs, task);
  }

  #send(packet: PacketBytes): void {
    // What is over is not acknowledged: it was not handed on.
    if (!this.#isOver) this.#socket.send(packet);
  }

  #onOpen(): void {
    const compression = this.#socket.extensions.split(';')[0] ?? '';
    this.#attempt.tell({ kind: 'carrier', carrier: { encoding: 'binary', compression } });
    this.#send(
      connectPacket({
        clientId: this.#session.clientId,
        cleanStart: !this.#goesOn,
        keepAliveSeconds: KEEP_ALIVE_SECONDS,
        expirySeconds: EXPIRY_SECONDS,
        packetSizeMax: PACKET_SIZE_MAX,
        password: this.#attempt.token,
        userProperties: [['trunkline.positions', '1']],
      }),
    );
  }

  #onFrame(data: unknown): void {
    this.#heard = true;
    if (!(data instanceof ArrayBuffer)) return; // Text is nothing of MQTT.
    this.#attempt.tell({ kind: 'bytes', count: data.byteLength });
    let packets;
    try {
      packets = this.#decoder.push(new Uint8Array(data));
    } catch {
      this.#attempt.lost('the server sent something that cannot be read');
      return;
    }
    for (const packet of packets) if (!this.#isOver) this.#onPacket(packet);
  }

  #onPacket(packet: FromServer): void {
    switch (packet.kind) {
      case 'connack':
        if (packet.reason >= 0x80) this.#onEnd(packet.reason, packet.told);
        else this.#onConnack(packet.sessionPresent, packet.told);
        return;
      case 'suback':
        this.#onSuback(packet.reasons, packet.told);
        return;
      case 'publish':
        this.#onPublish(packet);
        return;
      case 'disconnect':
        this.#onEnd(packet.reason, packet.told);
        return;
      case 'pingresp':
        return;
    }
  }

  #onConnack(sessionPresent: boolean, told: Told): void {
    const { filters } = this.#attempt;
    const [session] = valuesOf(told, SESSION);
    if (session !== undefined) this.#attempt.tell({ kind: 'session', session });
    if (this.#goesOn && sessionPresent) {
      // At least once: what was handed on and not acknowledged in time comes again.
      this.#attempt.again();
      this.#begin(true, lossesIn(told));
    } else this.#session.isKept = false;
    // Of a session that goes on, too: what the token of now does not allow is refused here.
    this.#send(subscribePacket(SUBSCRIBE_ID, filters));
    const keepAliveMs = (told.keepAliveSeconds ?? KEEP_ALIVE_SECONDS) * 1_000;
    this.#beat(Math.max(PING_MS_MIN, Math.min(PING_MS, keepAliveMs * PING_SHARE)));
  }

  #onSuback(reasons: readonly number[], told: Told): void {
    const refused = reasons.find((reason) => reason >= 0x80);
    if (refused !== undefined) {
      // What it stood at in this channel is gone with the subscription.
      this.#session.isKept = false;
      this.#onEnd(refused, told);
      return;
    }
    this.#cancelAnswer();
    this.#session.isKept = true;
    if (!this.#hasBegun) this.#begin(this.#goesOn ? false : undefined, []);
  }

  #begin(recovered: boolean | undefined, losses: readonly Loss[]): void {
    this.#hasBegun = true;
    for (const filter of this.#attempt.filters) {
      const isOf = ({ channel }: Loss): boolean => channel === filter || channel === ANY_CHANNEL;
      const gap = losses.find(isOf)?.gap;
      const none = { place: undefined, isVolatile: false, isKept: true };
      this.#attempt.begun({ filter, recovered, gap, ...none });
    }
    for (const { channel, gap } of losses) {
      const isTold = channel === ANY_CHANNEL || this.#attempt.filters.includes(channel);
      if (!isTold) this.#attempt.gap(channel, gap, undefined);
    }
  }

  #onPublish({ topic, payload, packetId, told }: Published): void {
    const losses = lossesIn(told);
    // Too many to be told one by one: all begins anew.
    if (losses.some(({ channel }) => channel === ANY_CHANNEL)) this.#begin(false, losses);
    else for (const { channel, gap } of losses) this.#attempt.gap(channel, gap, undefined);
    const position = parsePosition(valuesOf(told, POSITION)[0] ?? '');
    this.#attempt.message({
      channel: topic,
      ...(position === undefined ? {} : { position }),
      ...shown(payload, told.contentType),
    });
    if (packetId !== 0) this.#send(pubackPacket(packetId));
  }

  #onEnd(reason: number, { reasonText }: Told): void {
    if (reason === TAKEN_OVER) {
      this.#session.rename();
      this.#attempt.lost('another tab went on with its session');
      return;
    }
    const known = REASON_TEXTS.get(reason);
    const text = reasonText ?? known ?? `the server answered 0x${reason.toString(16)}`;
    if (TEMPORARY.has(reason)) this.#attempt.lost(text);
    else this.#attempt.refused(text);
  }

  #onClose(event: CloseEvent): void {
    const after = reconnectAfterClose(event.code);
    if (after === 'stay' || after === 'refresh') this.#attempt.refused(closeReason(event));
    else this.#attempt.lost(closeReason(event));
  }

  /** Keeps the server from taking the page for gone, and finds out when the server is. */
  #beat(periodMs: number): void {
    this.#heard = false;
    this.#send(PINGREQ);
    this.#cancelHeartbeat = this.#in(periodMs, () => {
      if (this.#heard) this.#beat(periodMs);
      else this.#attempt.lost('the server stopped answering');
    });
  }
}

/** A payload as the other protocols show it: JSON where it is any, text where it is UTF-8. */
function shown(
  payload: Uint8Array<ArrayBuffer>,
  contentType: string | undefined,
): { readonly kind: PayloadKind; readonly payload: string } {
  const isOther = contentType !== undefined && !isJsonContentType(contentType);
  const text = decodeUtf8(payload);
  const isBytes = text === undefined || (isOther && payloadKind(contentType) === 'bytes');
  if (isBytes) return { kind: 'bytes', payload: encodeBase64(payload) };
  const isJson = !isOther && parseJson(text) !== undefined;
  return { kind: isJson ? 'json' : 'text', payload: text };
}

function lossesIn(told: Told): Loss[] {
  return valuesOf(told, GAP).flatMap((value) => {
    const loss = parseJson(value);
    const channel = entryOf(loss, 'channel');
    const gap = gapOf(loss);
    return typeof channel === 'string' && gap !== undefined ? [{ channel, gap }] : [];
  });
}

function valuesOf({ userProperties }: Told, name: string): string[] {
  return userProperties.flatMap(([one, value]) => (one === name ? [value] : []));
}

function nothing(): void {}
