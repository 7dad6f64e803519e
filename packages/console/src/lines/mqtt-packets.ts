/**
 * MQTT packets that the page sends: the few of MQTT 5.0 that a reader needs. The server's codec knows
 * all of them, for Node.
 */

/** How a session is begun, or gone on with. */
export interface Hello {
  readonly clientId: string;
  /** True to begin anew, whatever the server has of this client. */
  readonly cleanStart: boolean;
  readonly keepAliveSeconds: number;
  /** How long the server keeps the session without a connection. */
  readonly expirySeconds: number;
  /** The largest packet that is taken. */
  readonly packetSizeMax: number;
  /** A token. */
  readonly password: string | undefined;
  readonly userProperties: readonly (readonly [name: string, value: string])[];
}

/** Bytes as they go onto a socket. */
export type PacketBytes = Uint8Array<ArrayBuffer>;

const CONNECT = 0x10;
const PUBACK = 0x40;
/** With the flags that these two have (§2.1.3). */
const SUBSCRIBE = 0x82;

const CLEAN_START = 0x02;
const PASSWORD = 0x40;

const SESSION_EXPIRY_INTERVAL = 0x11;
const MAXIMUM_PACKET_SIZE = 0x27;
const USER_PROPERTY = 0x26;

/** At least once, and nothing of what is retained. */
const SUBSCRIPTION_OPTIONS = 0x21;

/** Asks whether the server is there. */
export const PINGREQ: PacketBytes = Uint8Array.of(0xc0, 0);

const encoder = new TextEncoder();

/** CONNECT (§3.1). */
export function connectPacket(hello: Hello): PacketBytes {
  const { clientId, cleanStart, keepAliveSeconds, expirySeconds, password } = hello;
  const flags = (cleanStart ? CLEAN_START : 0) | (password === undefined ? 0 : PASSWORD);
  const properties = [
    ...[SESSION_EXPIRY_INTERVAL, ...fourBytes(expirySeconds)],
    ...[MAXIMUM_PACKET_SIZE, ...fourBytes(hello.packetSizeMax)],
    ...hello.userProperties.flatMap(([name, value]) => [
      ...[USER_PROPERTY, ...text(name), ...text(value)],
    ]),
  ];
  return packet(CONNECT, [
    ...[...text('MQTT'), 5, flags, ...twoBytes(keepAliveSeconds)],
    ...[...varint(properties.length), ...properties],
    ...text(clientId),
    ...(password === undefined ? [] : text(password)),
  ]);
}

/** SUBSCRIBE with QoS 1 (§3.8). */
export function subscribePacket(packetId: number, filters: readonly string[]): PacketBytes {
  const topics = filters.flatMap((filter) => [...text(filter), SUBSCRIPTION_OPTIONS]);
  return packet(SUBSCRIBE, [...twoBytes(packetId), 0, ...topics]);
}

/** PUBACK: the message was handed on (§3.4). */
export function pubackPacket(packetId: number): PacketBytes {
  return packet(PUBACK, twoBytes(packetId));
}

function packet(head: number, body: readonly number[]): PacketBytes {
  return Uint8Array.from([head, ...varint(body.length), ...body]);
}

/** UTF-8 behind its size. @throws {RangeError} for more than fits, of which the page sends nothing. */
function text(value: string): number[] {
  const bytes = encoder.encode(value);
  if (bytes.length > 0xffff) throw new RangeError(`a text of ${bytes.length} bytes, 65,535 fit`);
  return [...twoBytes(bytes.length), ...bytes];
}

function twoBytes(value: number): number[] {
  return [value >>> 8, value & 0xff];
}

function fourBytes(value: number): number[] {
  return [...twoBytes(value >>> 16), ...twoBytes(value & 0xffff)];
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
