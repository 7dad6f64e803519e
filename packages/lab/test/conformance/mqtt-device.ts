/** MqttDevice: a client of MQTT that writes packets and reads those that come, over any carrier. */
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { PacketDecoder } from '@trunkline/server/internal/protocols/mqtt/codec/decoder.ts';
import { encode } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import type {
  Connack,
  Connect,
  Packet,
  PacketKind,
  Version,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { Http2Peer } from '../../src/http2-peer.ts';
import { Queue, within } from '../../src/queue.ts';

/** The largest packet that a device takes. */
const PACKET_SIZE_MAX = 2 ** 20;

/** What carries bytes to the server and back. */
interface Carrier {
  write(bytes: Uint8Array): void;
  destroy(): void;
}

/** Who takes what the carrier brings. */
interface Taker {
  take(bytes: Uint8Array): void;
  /** @param code of a WebSocket's close. */
  end(code?: number): void;
}

/** A packet of one kind. */
export type PacketOf<Kind extends PacketKind> = Extract<Packet, { kind: Kind }>;

/** One connection. */
export class MqttDevice implements Disposable {
  readonly version: Version;
  /** Resolves when the connection is gone, with the code of a WebSocket's close. */
  readonly closed: Promise<number | undefined>;
  readonly #carrier: Carrier;
  readonly #packets = new Queue<Packet>('a packet of the server');

  private constructor(version: Version, open: (taker: Taker) => Carrier) {
    const decoder = new PacketDecoder({ packetSizeMax: PACKET_SIZE_MAX, from: 'server', version });
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    this.version = version;
    this.closed = within(promise, 'the end of the connection');
    this.#carrier = open({
      take: (bytes) => {
        for (const packet of decoder.push(bytes)) this.#packets.push(packet);
      },
      end: (code) => {
        this.#packets.end(new Error('the server closed'));
        resolve(code);
      },
    });
  }

  /** Over TCP. @param localAddress where it comes from; any unless given. */
  static tcp(url: string, version: Version = 5, localAddress?: string): MqttDevice {
    const { hostname: host, port } = new URL(url);
    const from = localAddress === undefined ? {} : { localAddress };
    const options = { host, port: Number(port), ...from };
    return new MqttDevice(version, (taker) => carry(connect(options), taker));
  }

  /** Over TLS; nobody signed the certificates of tests. */
  static tls(url: string, version: Version = 5, more: ConnectionOptions = {}): MqttDevice {
    const { hostname: host, port } = new URL(url);
    const options = { host, port: Number(port), rejectUnauthorized: false, ...more };
    return new MqttDevice(version, (taker) => carry(connectTls(options), taker));
  }

  /** Over a WebSocket of HTTP/1.1, made by the platform's own. */
  static async webSocket(url: string, version: Version = 5): Promise<MqttDevice> {
    const socket = new WebSocket(url.replace('http', 'ws'), 'mqtt');
    socket.binaryType = 'arraybuffer';
    const device = new MqttDevice(version, (taker) => {
      socket.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer>) => {
        taker.take(new Uint8Array(data));
      });
      socket.addEventListener('close', ({ code }) => taker.end(code));
      return {
        write: (bytes) => socket.send(Uint8Array.from(bytes)),
        destroy: () => socket.close(),
      };
    });
    const opening = new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve());
      socket.addEventListener('error', () => reject(new Error('the handshake was refused')));
    });
    await within(opening, 'an open WebSocket');
    if (socket.protocol !== 'mqtt') throw new Error(`expected mqtt, got "${socket.protocol}"`);
    return device;
  }

  /** Over a WebSocket of HTTP/2. */
  static async http2(url: string, version: Version = 5): Promise<MqttDevice> {
    const peer = await Http2Peer.open(new URL(url).origin);
    const headers = { 'sec-websocket-protocol': 'mqtt' };
    const socket = await peer.webSocket(new URL(url).pathname, headers);
    return new MqttDevice(version, (taker) => {
      socket.onBytes = (bytes) => taker.take(bytes);
      void socket.closed.then((code) => taker.end(code));
      return { write: (bytes) => socket.sendBytes(bytes), destroy: () => peer.session.destroy() };
    });
  }

  /** Sends a packet, or bytes as they are. */
  send(what: Packet | Uint8Array): void {
    this.#carrier.write(what instanceof Uint8Array ? what : encode(what, this.version));
  }

  /** Sends CONNECT and gives back the answer. */
  async connect(clientId: string, more: Partial<Connect> = {}): Promise<Connack> {
    this.send(connectPacket(this.version, clientId, more));
    return this.nextOf('connack');
  }

  /** Subscribes with QoS 1. */
  async subscribe(filter: string): Promise<void> {
    const options = {
      qos: 1,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
    } as const;
    const subscriptions = [{ filter, ...options }];
    this.send({ kind: 'subscribe', packetId: 1, subscriptions, properties: {} });
    await this.nextOf('suback');
  }

  /** The next packet. @throws when the connection ends before. */
  next(): Promise<Packet> {
    return this.#packets.next();
  }

  /** The next packet of this kind; others are passed over. */
  async nextOf<Kind extends PacketKind>(kind: Kind): Promise<PacketOf<Kind>> {
    for (;;) {
      const packet = await this.next();
      if (packet.kind === kind) return packet as PacketOf<Kind>;
    }
  }

  [Symbol.dispose](): void {
    this.#carrier.destroy();
  }
}

/** A CONNECT that begins anew, keeps nothing and is never silent too long. */
export function connectPacket(
  version: Version,
  clientId: string,
  more: Partial<Connect> = {},
): Connect {
  const usual = { kind: 'connect', cleanStart: true, keepAlive: 0, properties: {} } as const;
  return { ...usual, version, clientId, ...more };
}

function carry(socket: ReturnType<typeof connect>, taker: Taker): Carrier {
  socket.on('data', (bytes: Buffer) => taker.take(bytes));
  socket.on('error', () => {}); // 'close' follows.
  socket.on('close', () => taker.end());
  return socket;
}
