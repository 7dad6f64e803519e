/** One connection of MQTT 5.0 to a server, over TCP or TLS: packets out, packets in, until it ends. */
import { connect as connectTcp, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { encode, PacketDecoder } from '@trunkline/server/mqtt-codec';
import type { Connack, Packet, UserProperty } from '@trunkline/server/mqtt-codec';
import { UsageError } from '../usage-error.ts';
import { LostError, refusedBy } from './errors.ts';

/** From the first byte to CONNACK. */
const CONNECT_MS_MAX = 10_000;

/** The server hears from this end at least so often, or takes it for gone. */
const KEEP_ALIVE_SECONDS = 30;

/** The largest packet that is taken. No server of Trunkline has messages near this size. */
const PACKET_SIZE_MAX = 64 * 1024 * 1024;

/** Where MQTT is spoken. */
export interface MqttAddress {
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
}

/** Reads `mqtt://host:1883` and `mqtts://host:8883`. @throws {UsageError} for anything else. */
export function parseMqttUrl(text: string): MqttAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSecure = url?.protocol === 'mqtts:';
  const isBare = /^\/?$/.test(url?.pathname ?? '') && url?.username === '' && url.search === '';
  if (url === undefined || url.hostname === '' || !isBare || !/^mqtts?:$/.test(url.protocol)) {
    throw new UsageError(
      `--url must be like mqtt://127.0.0.1:1883 or mqtts://host:8883 with --transport mqtt, got ${text}`,
    );
  }
  const port = url.port === '' ? (isSecure ? 8883 : 1883) : Number(url.port);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port, isSecure };
}

/** How a session is begun, or gone on with. */
export interface MqttHello {
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** How long the server keeps the session without a connection. */
  readonly expirySeconds: number;
  readonly token?: string | undefined;
  readonly userProperties?: readonly UserProperty[];
}

/** A connection, from its opening on. */
export class MqttConnection {
  readonly #socket: Socket;
  readonly #decoder = new PacketDecoder({
    ...{ from: 'server', version: 5 },
    packetSizeMax: PACKET_SIZE_MAX,
  });
  readonly #packets: AsyncGenerator<Packet, void, undefined>;
  #heartbeat: NodeJS.Timeout | undefined;
  /** True while it is for this end to read on. */
  #isReading = false;
  #heard = true;
  /** Why it was ended from here. */
  #fault: Error | undefined;

  constructor({ host, port, isSecure }: MqttAddress) {
    this.#socket = isSecure
      ? connectTls({
          ...{ host, port, ALPNProtocols: ['mqtt'] },
          // A name of the certificate is no address (RFC 6066 §3).
          ...(isIP(host) === 0 ? { servername: host } : {}),
        })
      : connectTcp({ host, port });
    this.#socket.setNoDelay(true);
    this.#socket.on('error', () => {}); // Who reads hears of it.
    this.#packets = this.#read();
  }

  /**
   * Introduces itself. @returns the server's answer.
   *
   * @throws {CodedError} when it is refused for good, {LostError} when it may work later.
   */
  async open(hello: MqttHello): Promise<Connack> {
    const late = setTimeout(() => this.#fail('no answer in time'), CONNECT_MS_MAX);
    try {
      const { clientId, cleanStart, expirySeconds, token, userProperties } = hello;
      this.send({
        ...{ kind: 'connect', version: 5, clientId, cleanStart, keepAlive: KEEP_ALIVE_SECONDS },
        ...(token === undefined ? {} : { password: Buffer.from(token) }),
        properties: {
          sessionExpiryInterval: expirySeconds,
          ...(userProperties === undefined ? {} : { userProperties }),
        },
      });
      const packet = await this.next();
      if (packet.kind !== 'connack') throw new LostError(`expected CONNACK, got ${packet.kind}`);
      if (packet.reason >= 0x80) throw refusedBy(packet.reason, packet.properties.reasonString);
      this.#beat((packet.properties.serverKeepAlive ?? KEEP_ALIVE_SECONDS) * 500);
      return packet;
    } finally {
      clearTimeout(late);
    }
  }

  /**
   * The next packet. Who does not ask for it slows the server.
   *
   * @throws {LostError} when the connection is gone; what DISCONNECT says, when that came.
   */
  async next(): Promise<Packet> {
    for (;;) {
      this.#isReading = true;
      const { value } = await this.#packets.next();
      this.#isReading = false;
      if (value === undefined) throw this.#fault ?? new LostError('the connection broke');
      if (value.kind === 'disconnect') throw refusedBy(value.reason, value.properties.reasonString);
      if (value.kind !== 'pingresp') return value;
    }
  }

  send(packet: Packet): void {
    if (!this.#socket.destroyed) this.#socket.write(encode(packet, 5));
  }

  /** Says goodbye, and gives the session up. */
  leave(): void {
    if (this.#socket.connecting) {
      this.destroy();
      return;
    }
    const properties = { sessionExpiryInterval: 0 };
    this.send({ kind: 'disconnect', reason: 0, properties });
    this.#end();
    this.#socket.end(() => this.#socket.destroy());
  }

  /** Ends at once. */
  destroy(): void {
    this.#end();
    this.#socket.destroy();
  }

  async *#read(): AsyncGenerator<Packet, void, undefined> {
    try {
      for await (const chunk of this.#socket as AsyncIterable<Buffer>) {
        this.#heard = true;
        yield* this.#decoder.push(chunk);
      }
    } catch (error) {
      this.#fault ??= new LostError(error instanceof Error ? error.message : String(error));
    } finally {
      this.#end();
    }
  }

  /** Keeps the server from taking this end for gone, and finds out when the server is. */
  #beat(periodMs: number): void {
    if (periodMs <= 0) return; // The server does not want to hear from it.
    this.#heartbeat = setInterval(() => {
      // While this end does not read it knows nothing of the other.
      if (!this.#heard && this.#isReading) this.#fail('the server stopped answering');
      else this.send({ kind: 'pingreq' });
      this.#heard = false;
    }, periodMs);
  }

  #fail(why: string): void {
    this.#fault ??= new LostError(why);
    this.destroy();
  }

  #end(): void {
    clearInterval(this.#heartbeat);
  }
}
