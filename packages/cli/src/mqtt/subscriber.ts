/**
 * Subscriber: prints channels as they come over MQTT 5.0, in one session with QoS 1, until it is asked
 * to end. The server keeps the place over lost connections, and what is printed is acknowledged.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Gap, Message } from '@trunkline/client';
import type { Connack, Packet, Publish } from '@trunkline/server/mqtt-codec';
import { parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { EventPrinter, PrintedEvent } from '../event-printer.ts';
import type { Io } from '../io.ts';
import type { Progress } from '../progress.ts';
import { MqttConnection } from './connection.ts';
import type { MqttAddress } from './connection.ts';
import { LostError, refusedBy } from './errors.ts';
import { payloadOf } from './payload.ts';

/** How long the server keeps the session of a reader that lost its connection. */
const EXPIRY_SECONDS = 600;

const BACKOFF_BASE_MS = 100;
const BACKOFF_CAP_MS = 5_000;

/** Channels of which the newest offset is remembered, to know what comes again. */
const CHANNELS_MAX = 10_000;

const SUBSCRIBE_ID = 1;

/** What a subscriber is made from. */
export interface SubscriberParts {
  readonly address: MqttAddress;
  readonly token: string | undefined;
  /** Names and patterns; at least one. */
  readonly filters: readonly string[];
  readonly printer: EventPrinter;
  readonly progress: Progress;
  readonly io: Io;
}

/** A loss that the server told of. */
interface Loss {
  readonly channel: string;
  readonly gap: Gap;
}

/** One run of the command. */
export class MqttSubscriber {
  readonly #parts: SubscriberParts;
  readonly #clientId = `trunkline-${crypto.randomUUID()}`;
  readonly #stopping = new AbortController();
  /** True once the server has the session, with all that it subscribed to. */
  #isKept = false;
  /** What was printed last, by channel: what is not behind it comes again. */
  readonly #newest = new Map<string, Position>();
  #connection: MqttConnection | undefined;
  #tries = 0;

  constructor(parts: SubscriberParts) {
    this.#parts = parts;
  }

  /** Once. @throws why it ended before it was asked to. */
  async run(): Promise<void> {
    this.#parts.io.stops.onStop(() => {
      this.#print({ kind: 'state', state: 'disconnected', reason: 'aborted' });
      this.#stopping.abort();
      this.#connection?.leave();
    });
    this.#print({ kind: 'state', state: 'connecting' });
    while (!this.#isOver) {
      try {
        await this.#connect();
      } catch (error) {
        if (this.#isOver) return;
        const reason = error instanceof Error ? error.message : String(error);
        if (!(error instanceof LostError)) {
          this.#print({ kind: 'state', state: 'disconnected', reason });
          throw error;
        }
        this.#print({ kind: 'state', state: 'connecting', reason });
        await this.#wait();
      } finally {
        if (!this.#isOver) this.#connection?.destroy();
      }
    }
  }

  get #isOver(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** With full jitter, so that many do not come back at once. */
  async #wait(): Promise<void> {
    const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** this.#tries);
    this.#tries += 1;
    const { signal } = this.#stopping;
    // Only a stop ends it early.
    await sleep(Math.random() * ceiling, undefined, { signal }).catch(() => {});
  }

  /** Reads over one connection. Ends by an error only, unless it was asked to. */
  async #connect(): Promise<void> {
    const { address, token, filters } = this.#parts;
    const connection = new MqttConnection(address);
    this.#connection = connection;
    const goesOn = this.#isKept;
    const connack = await connection.open({
      ...{ clientId: this.#clientId, cleanStart: !goesOn, expirySeconds: EXPIRY_SECONDS, token },
      userProperties: [['trunkline.positions', '1']],
    });
    this.#isKept = goesOn && connack.sessionPresent;
    if (this.#isKept) this.#begin(true, lossesIn(connack));
    connection.send({
      ...{ kind: 'subscribe', packetId: SUBSCRIBE_ID, properties: {} },
      subscriptions: filters.map((filter) => ({
        ...{ filter, qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 2 },
      })),
    });
    while (!this.#isOver) await this.#take(connection, await connection.next(), goesOn);
  }

  async #take(connection: MqttConnection, packet: Packet, goesOn: boolean): Promise<void> {
    if (packet.kind === 'suback') {
      const { reasons, properties } = packet;
      const refused = reasons.findIndex((reason) => reason >= 0x80);
      if (refused >= 0) {
        const filter = this.#parts.filters[refused] ?? '';
        throw refusedBy(reasons[refused] ?? 0, properties.reasonString, `${filter}: `);
      }
      const hasBegun = this.#isKept;
      this.#isKept = true;
      this.#tries = 0;
      // A session that is gone takes with it what came meanwhile.
      if (!hasBegun) this.#begin(goesOn ? false : undefined, []);
    } else if (packet.kind === 'publish') {
      this.#onPublish(packet);
      await this.#parts.io.stdout.drained();
      // What was not printed comes again.
      if (packet.qos > 0 && !this.#isOver) {
        connection.send({ kind: 'puback', packetId: packet.packetId, reason: 0, properties: {} });
      }
    }
  }

  /** Tells where it reads from. @param recovered absent where it begins. */
  #begin(recovered: boolean | undefined, losses: readonly Loss[]): void {
    this.#print({ kind: 'state', state: 'connected' });
    for (const channel of this.#parts.filters) {
      const own = losses.find((loss) => loss.channel === channel || loss.channel === '#');
      const gap: Gap | undefined = recovered === false ? { reason: 'unknown' } : own?.gap;
      const isWhole = recovered === true && gap === undefined;
      this.#print({
        ...{ kind: 'open', channel },
        ...(recovered === undefined ? {} : { recovered: isWhole }),
        ...(gap === undefined ? {} : { gap }),
      });
    }
    for (const loss of losses) {
      if (loss.channel !== '#' && !this.#parts.filters.includes(loss.channel)) this.#lose(loss);
    }
  }

  #lose({ channel, gap }: Loss): void {
    this.#print({ kind: 'gap', channel, gap });
  }

  #onPublish(packet: Publish): void {
    if (this.#isOver) return;
    for (const loss of lossesIn(packet)) this.#lose(loss);
    const { topic: channel } = packet;
    const position = parsePosition(valuesOf(packet, 'trunkline.position')[0] ?? '');
    if (position !== undefined && !this.#isNew(channel, position)) return;
    const message: Message = { kind: 'message', channel, ...position, ...payloadOf(packet) };
    this.#print(message);
    // A pattern stands at a mark, which MQTT has no word for.
    if (this.#parts.filters.includes(channel)) this.#parts.progress.follow(channel, message);
  }

  /** False for what was printed before: QoS 1 is at least once. */
  #isNew(channel: string, position: Position): boolean {
    const known = this.#newest.get(channel);
    if (known?.epoch === position.epoch && position.offset <= known.offset) return false;
    this.#newest.delete(channel); // The newest go to the end.
    this.#newest.set(channel, position);
    const [oldest] = this.#newest.keys();
    if (this.#newest.size > CHANNELS_MAX && oldest !== undefined) this.#newest.delete(oldest);
    return true;
  }

  #print(event: PrintedEvent): void {
    if (!this.#isOver) this.#parts.printer.print(event);
  }
}

function lossesIn(packet: Connack | Publish): Loss[] {
  return valuesOf(packet, 'trunkline.gap').flatMap((text) => {
    try {
      const { channel, ...gap } = JSON.parse(text) as Gap & { readonly channel: string };
      return [{ channel, gap }];
    } catch {
      return []; // A server that is none of ours.
    }
  });
}

function valuesOf({ properties }: Connack | Publish, name: string): string[] {
  return (properties.userProperties ?? []).flatMap(([one, value]) => (one === name ? [value] : []));
}
