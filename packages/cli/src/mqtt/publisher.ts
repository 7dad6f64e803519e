/**
 * Publisher: publishes over one connection of MQTT 5.0 with QoS 1. An acknowledgement says that the
 * message is in the log [DEV-15]; it does not say where.
 */
import { JsonSource } from '@trunkline/client';
import type { Payload, Published, PublishOptions } from '@trunkline/client';
import { packetSize } from '@trunkline/server/mqtt-codec';
import type { Packet, Publish } from '@trunkline/server/mqtt-codec';
import { CodedError } from '@trunkline/wire';
import type { Publisher } from '../publishing.ts';
import { MqttConnection } from './connection.ts';
import type { MqttAddress } from './connection.ts';
import { publishRefused } from './errors.ts';

/** What the server takes before it has answered when it does not say, and the most that is sent. */
const UNDER_WAY_MAX = 1_000;

/** Who waits for an answer. */
type Waiting = PromiseWithResolvers<void>;

/** A connection that publishes. */
export class MqttPublisher implements Publisher {
  readonly #connection: MqttConnection;
  readonly #underWay = new Map<number, Waiting>();
  readonly #wake: (() => void)[] = [];
  readonly #underWayMax: number;
  readonly #sizeMax: number;
  #lastId = 0;
  #fault: Error | undefined;

  private constructor(connection: MqttConnection, underWayMax: number, sizeMax: number) {
    this.#connection = connection;
    this.#underWayMax = Math.min(UNDER_WAY_MAX, underWayMax);
    this.#sizeMax = sizeMax;
    void this.#listen(); // Never rejects.
  }

  /** Connects. @throws why it could not. */
  static async open(address: MqttAddress, token: string | undefined): Promise<MqttPublisher> {
    const connection = new MqttConnection(address);
    try {
      const clientId = `trunkline-${crypto.randomUUID()}`;
      const hello = { clientId, cleanStart: true, expirySeconds: 0, token };
      const { properties } = await connection.open(hello);
      const { receiveMaximum = 0xffff, maximumPacketSize = Number.POSITIVE_INFINITY } = properties;
      return new MqttPublisher(connection, receiveMaximum, maximumPacketSize);
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  /**
   * Publishes. Resolves when the message is in the log.
   *
   * @throws {CodedError} when it is refused, or when nobody can say whether it is there.
   */
  async publish(channel: string, data: Payload, options: PublishOptions = {}): Promise<Published> {
    while (this.#underWay.size >= this.#underWayMax && this.#fault === undefined) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    if (this.#fault !== undefined) {
      throw new CodedError('unavailable', this.#fault.message, { stored: false });
    }
    const packet = toPacket(channel, data, options, this.#nextId());
    const size = packetSize(packet, 5);
    if (size > this.#sizeMax) {
      const expected = `expected a packet of at most ${this.#sizeMax} bytes`;
      throw new CodedError('too_large', `${expected}, got ${size}`, { stored: false });
    }
    const waiting = Promise.withResolvers<void>();
    this.#underWay.set(packet.packetId, waiting);
    this.#connection.send(packet);
    await waiting.promise;
    return { channel };
  }

  /** Says goodbye. */
  close(): void {
    this.#connection.leave();
  }

  async #listen(): Promise<void> {
    try {
      for (;;) this.#take(await this.#connection.next());
    } catch (error) {
      this.#fault = error instanceof Error ? error : new Error(String(error));
      const { message } = this.#fault;
      const lost = new CodedError('unavailable', message, { stored: 'unknown' });
      for (const waiting of this.#underWay.values()) waiting.reject(lost);
      this.#underWay.clear();
      this.#wakeAll();
    }
  }

  #take(packet: Packet): void {
    if (packet.kind !== 'puback') return;
    const { packetId, reason, properties } = packet;
    const waiting = this.#underWay.get(packetId);
    this.#underWay.delete(packetId);
    if (reason >= 0x80) waiting?.reject(publishRefused(reason, properties.reasonString));
    else waiting?.resolve();
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const resolve of this.#wake.splice(0)) resolve();
  }

  /** There is a free one: fewer are under way than there are. */
  #nextId(): number {
    do this.#lastId = (this.#lastId % 0xffff) + 1;
    while (this.#underWay.has(this.#lastId));
    return this.#lastId;
  }
}

function toPacket(
  topic: string,
  data: Payload,
  { key, retain = false, ttl }: PublishOptions,
  packetId: number,
): Publish {
  const isJson = typeof data !== 'string';
  const text = isJson ? (data instanceof JsonSource ? data.source : JSON.stringify(data)) : data;
  return {
    ...{ kind: 'publish', topic, payload: Buffer.from(text), qos: 1, retain, dup: false, packetId },
    properties: {
      payloadFormatIndicator: 1,
      contentType: isJson ? 'application/json' : 'text/plain',
      // MQTT counts seconds: it is delivered for no shorter time than was asked for.
      ...(ttl === undefined ? {} : { messageExpiryInterval: Math.ceil(ttl / 1000) }),
      ...(key === undefined ? {} : { userProperties: [['key', key]] }),
    },
  };
}
