/** Part configs: what each part is told, out of the configuration of the server as a whole. */
import type { AuthOptions } from './auth/config.ts';
import type { Access } from './config/access.ts';
import type { ServerConfig } from './config/schema.ts';
import type { Http2Limits } from './http/h2-limits.ts';
import { DEFAULT_HTTP2_LIMITS } from './http/h2-limits.ts';
import type { CapacityLimits } from './http/capacity.ts';
import type { MqttConfig } from './protocols/mqtt/parts.ts';
import type { NativeConfig } from './protocols/native/config.ts';
import type { Random } from './random.ts';
import type { DeflateCounts } from './transports/deflate.ts';
import { TCP_DEFAULTS } from './transports/tcp/config.ts';
import type { TcpConfig } from './transports/tcp/config.ts';
import type { DeflateConfig } from './transports/websocket/deflate.ts';

/** Who is let in. */
export function authOptions(config: ServerConfig, access: Access, random: Random): AuthOptions {
  const { jwtSecret, apiKeys, users, certificates } = config.auth;
  return {
    development: access.development,
    anonymous: access.anonymous,
    apiKeys,
    users,
    certificates,
    ...(jwtSecret === undefined ? {} : { jwtSecret }),
    secret: config.secret ?? random.word(32),
  };
}

/** How WebSockets compress, where they do. */
export function deflateConfig(
  { compression }: ServerConfig,
  counts: DeflateCounts,
): { readonly compression?: DeflateConfig } {
  const { webSocket, contextBytesMax, payloadBytesMin, level } = compression;
  if (webSocket === 'off') return {};
  const contextBits = Math.floor(Math.log2(contextBytesMax));
  const context = webSocket === 'context';
  return { compression: { context, contextBits, payloadBytesMin, level, counts } };
}

/** What sessions of the native protocol are told. */
export function nativeConfig(config: ServerConfig, access: Access, node: string): NativeConfig {
  const { link, store } = config;
  return {
    node,
    pingIntervalMs: link.pingIntervalMs,
    helloTimeoutMs: link.helloMs,
    subscriptionsMax: link.subscriptionsMax,
    commandsPerSecondMax: access.development ? 0 : link.commandsPerSecondMax,
    messageBytesMax: access.defaults.messageBytesMax,
    frameBytesMax: link.frameBytesMax,
    keyWindowMs: store.keyWindowMs,
    highWaterSize: link.pendingBytesMax,
  };
}

/** What sessions of MQTT are told. */
export function mqttConfig(
  { mqtt, link }: ServerConfig,
  { development }: Pick<Access, 'development'>,
): MqttConfig {
  const { port: _, tlsPort: __, ...limits } = mqtt;
  return {
    ...limits,
    subscriptionsMax: link.subscriptionsMax,
    // There everybody is nobody, and from one address.
    sessionsPerUserMax: development ? 0 : mqtt.sessionsPerUserMax,
    commandsPerSecondMax: development ? 0 : link.commandsPerSecondMax,
    highWaterSize: link.pendingBytesMax,
  };
}

/** What the ports of MQTT are told. */
export function tcpConfig({ mqtt }: ServerConfig): TcpConfig {
  return { ...TCP_DEFAULTS, handshakeMs: mqtt.connectMs };
}

/** How many connections there may be at all listeners together. */
export function capacityLimits(config: ServerConfig): CapacityLimits {
  const { connectionsMax, connectionsPerAddressMax } = config;
  return {
    connectionsMax,
    connectionsPerAddressMax: connectionsPerAddressMax || Number.POSITIVE_INFINITY,
  };
}

/** A stream costs about as much as a connection of its own; one session may be full in any case. */
export function http2Limits(config: ServerConfig): Partial<Http2Limits> {
  const { connectionsMax, connectionsPerAddressMax } = capacityLimits(config);
  const { streamsPerSessionMax } = DEFAULT_HTTP2_LIMITS;
  return {
    streamsMax: connectionsMax,
    streamsPerAddressMax: Math.max(connectionsPerAddressMax, streamsPerSessionMax),
  };
}
