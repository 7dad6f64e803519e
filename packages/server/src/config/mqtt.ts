/** MQTT: where devices connect, and what one of them may ask of the server. */
import { z } from 'zod';
import { field, whole } from './field.ts';

const SECOND = 1000;
const KB = 1024;
const MB = 1024 * KB;
const DAY_SECONDS = 24 * 60 * 60;

/** MQTT 5.0 §1.5.5: what four bytes of length can say, and the header before it. */
const PACKET_BYTES_MAX = 268_435_455 + 5;

/** MQTT 5.0 §1.5.2 and §1.5.3: what two and four bytes can say. */
const UINT16_MAX = 65_535;
const UINT32_MAX = 4_294_967_295;

const PORT_FAULT = 'must be a port from 1 to 65535, 0 for none, or auto';

const port = z.union(
  [z.number().int(PORT_FAULT).min(0, PORT_FAULT).max(UINT16_MAX, PORT_FAULT), z.literal('auto')],
  PORT_FAULT,
);

/** The group `mqtt`. */
export const mqtt = z.strictObject({
  port: field(
    port.default(1883),
    'Port for MQTT 3.1.1 and 5.0 over TCP, on the same address as HTTP; 0 is none, auto any free one.',
    { env: 'TRUNKLINE_MQTT_PORT', flag: '--mqtt-port <number>' },
  ),
  tlsPort: field(
    port.default(0),
    'Port for MQTT over TLS, with the certificate of the group tls; 8883 by custom, 0 is none, ' +
      'auto any free one.',
    { env: 'TRUNKLINE_MQTTS_PORT', flag: '--mqtts-port <number>' },
  ),
  packetBytesMax: field(
    whole(KB)
      .max(PACKET_BYTES_MAX)
      .default(MB + 64 * KB),
    'Bytes of one packet of a client; over it the connection closes, with packet too large in 5.0.',
    { unit: 'bytes', env: 'TRUNKLINE_MQTT_PACKET_BYTES_MAX' },
  ),
  connectMs: field(
    whole(1).default(10 * SECOND),
    'Time for CONNECT, and before it for the TLS handshake; after it the connection closes.',
    { unit: 'ms', env: 'TRUNKLINE_MQTT_CONNECT_MS' },
  ),
  keepAliveSecondsMax: field(
    whole(0).max(UINT16_MAX).default(0),
    'The longest keep alive; a 5.0 client that asks for more, or none, is told this one instead; ' +
      '3.1.1 can’t be told. 0 leaves it to the client: the kernel finds peers that are gone.',
    { unit: 's', env: 'TRUNKLINE_MQTT_KEEP_ALIVE_SECONDS_MAX' },
  ),
  sessionExpirySecondsMax: field(
    whole(0)
      .max(UINT32_MAX)
      .default(7 * DAY_SECONDS),
    'How long a session outlives its connection at most: that of a 3.1.1 client without clean ' +
      'session exactly so long; a 5.0 client that asks for more is told so.',
    { unit: 's', env: 'TRUNKLINE_MQTT_SESSION_EXPIRY_SECONDS_MAX' },
  ),
  sessionsMax: field(
    whole(0).default(1_000_000),
    'Sessions that are stored, connected or not; over it a CONNECT that asks for another one is ' +
      'refused: quota exceeded in 5.0, server unavailable in 3.1.1. 0 sets no limit.',
    { env: 'TRUNKLINE_MQTT_SESSIONS_MAX' },
  ),
  sessionsPerUserMax: field(
    whole(0).default(1000),
    'The same for each user, and for each address of clients that are nobody; API keys and ' +
      'development mode have no such limit. 0 sets none.',
    { env: 'TRUNKLINE_MQTT_SESSIONS_PER_USER_MAX' },
  ),
  clientIdLengthMax: field(
    whole(23).max(UINT16_MAX).default(256),
    'Bytes of a client identifier; over it CONNECT is refused as client identifier not valid.',
    { env: 'TRUNKLINE_MQTT_CLIENT_ID_LENGTH_MAX' },
  ),
  inflightMax: field(
    whole(1).max(UINT16_MAX).default(256),
    'Messages with QoS 1 or 2 sent to a client that it has not acknowledged; at so many, or fewer ' +
      'where it asks for fewer, the client reads on from the log after its next acknowledgement. ' +
      'One whose session is stored has at most 1,000.',
    { unit: 'messages', env: 'TRUNKLINE_MQTT_INFLIGHT_MAX' },
  ),
  receiveMaximum: field(
    whole(1).max(UINT16_MAX).default(256),
    'Messages with QoS 1 or 2 of a client that are not acknowledged yet; a 5.0 client that sends ' +
      'more is disconnected (receive maximum exceeded), one of 3.1.1 is read on later.',
    { unit: 'messages', env: 'TRUNKLINE_MQTT_RECEIVE_MAXIMUM' },
  ),
  topicAliasMax: field(
    whole(0).max(UINT16_MAX).default(32),
    'Topic aliases of a 5.0 client; with a higher one it is disconnected (topic alias invalid). 0 ' +
      'allows none.',
    { env: 'TRUNKLINE_MQTT_TOPIC_ALIAS_MAX' },
  ),
  serverReference: field(
    z.string().min(1).max(255).exactOptional(),
    'Where 5.0 clients are sent while this node drains, as host:port: they are told to use another ' +
      'server, and which; without it that this one shuts down.',
    { env: 'TRUNKLINE_MQTT_SERVER_REFERENCE' },
  ),
  sysIntervalMs: field(
    whole(0).default(10 * SECOND),
    'How often the topics below $SYS are published. 0 publishes none.',
    { unit: 'ms', env: 'TRUNKLINE_MQTT_SYS_INTERVAL_MS' },
  ),
  ackSaveMs: field(
    whole(0).default(SECOND),
    'How long acknowledgements of messages with QoS 1 wait to be stored together; those that a ' +
      'crash loses are asked for again by sending their messages once more.',
    { unit: 'ms', env: 'TRUNKLINE_MQTT_ACK_SAVE_MS' },
  ),
});

/** The group `mqtt`, decided. */
export type MqttSettings = z.output<typeof mqtt>;
