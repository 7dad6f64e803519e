/** FakeBroker: a server of MQTT that says only what the test says. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { encode, PacketDecoder } from '@trunkline/server/mqtt-codec';
import type { Packet } from '@trunkline/server/mqtt-codec';

/** One connection, from the server's side. */
export class FakePeer {
  readonly #socket: Socket;
  readonly #packets: AsyncGenerator<Packet, void, undefined>;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    this.#packets = read(socket);
  }

  /** The next packet of the client, of this kind. @throws when another one comes, or none. */
  async next<Kind extends Packet['kind']>(kind: Kind): Promise<Extract<Packet, { kind: Kind }>> {
    const { value } = await this.#packets.next();
    if (value?.kind !== kind) throw new Error(`expected ${kind}, got ${value?.kind ?? 'the end'}`);
    return value as Extract<Packet, { kind: Kind }>;
  }

  send(...packets: readonly Packet[]): void {
    this.#socket.write(Buffer.concat(packets.map((packet) => encode(packet, 5))));
  }

  /** As a network does that breaks. */
  destroy(): void {
    this.#socket.destroy();
  }
}

async function* read(socket: Socket): AsyncGenerator<Packet, void, undefined> {
  const decoder = new PacketDecoder({ packetSizeMax: 1_000_000 });
  for await (const chunk of socket as AsyncIterable<Buffer>) yield* decoder.push(chunk);
}

export class FakeBroker implements AsyncDisposable {
  readonly #server: Server;
  readonly #peers: FakePeer[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FakeBroker> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FakeBroker(server);
  }

  get url(): string {
    return `mqtt://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next client. */
  async accept(): Promise<FakePeer> {
    const [socket] = (await once(this.#server, 'connection')) as [Socket];
    const peer = new FakePeer(socket);
    this.#peers.push(peer);
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) peer.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** CONNACK: all is well. */
export function connack(
  sessionPresent: boolean,
  properties: Extract<Packet, { kind: 'connack' }>['properties'] = {},
): Packet {
  return { kind: 'connack', sessionPresent, reason: 0, properties };
}

/** SUBACK of the command's one SUBSCRIBE. */
export function suback(...reasons: readonly number[]): Packet {
  return { kind: 'suback', packetId: 1, reasons, properties: {} };
}

/** A loss as the server tells it. */
export function lossOf(channel: string, reason: string): readonly [string, string] {
  return ['trunkline.gap', JSON.stringify({ channel, reason, from: 1, to: 2 })];
}

/** A message with QoS 1 whose packet identifier is its offset. */
export function publish(
  topic: string,
  offset: number,
  ...losses: readonly (readonly [string, string])[]
): Packet {
  return {
    ...{ kind: 'publish', topic, payload: Buffer.from(String(offset)), qos: 1 },
    ...{ retain: false, dup: false, packetId: offset },
    properties: { userProperties: [...losses, ['trunkline.position', `k3f9:${offset}`]] },
  };
}
