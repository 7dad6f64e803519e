/**
 * Schema: the whole configuration of a server. Every limit has a default that is safe on the open
 * internet; what happens at the limit stands in its description.
 */
import { patternFault } from '@trunkline/wire';
import { z } from 'zod';
import { authSchema } from '../auth/config.ts';
import { tlsSchema } from '../tls/config.ts';
import { compression } from './compression.ts';
import { field, whole } from './field.ts';
import { mqtt } from './mqtt.ts';
import { namespaceRulesSchema } from './namespace-rules.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const KB = 1024;
const MB = 1024 * KB;

const secretText = z.string().min(1);

const store = z.strictObject({
  directory: field(
    z.string().min(1).default('./trunkline-data'),
    'Where the embedded log lives; locked against a second server.',
    { env: 'TRUNKLINE_DATA', flag: '--data <dir>' },
  ),
  memory: field(z.boolean().default(false), 'Keep nothing on disk.', {
    env: 'TRUNKLINE_MEMORY',
    flag: '--memory',
  }),
  fsync: field(
    z.boolean().default(true),
    'Whether a publish is acknowledged only when the disk has it.',
    { env: 'TRUNKLINE_FSYNC' },
  ),
  publishMs: field(
    whole(100).default(30 * SECOND),
    'Time for a publish to be stored; after it the answer is unavailable, stored unknown.',
    { unit: 'ms', env: 'TRUNKLINE_PUBLISH_MS' },
  ),
  keyWindowMs: field(whole(0).default(HOUR), 'How long an idempotency key is remembered.', {
    unit: 'ms',
    env: 'TRUNKLINE_KEY_WINDOW_MS',
  }),
  keysPerChannelMax: field(
    whole(0).default(10_000),
    'Idempotency keys remembered per channel; over it the oldest is forgotten.',
    { unit: 'keys', env: 'TRUNKLINE_KEYS_PER_CHANNEL_MAX' },
  ),
  metadataAgeMsMax: field(
    whole(0).default(30 * DAY),
    'How long a channel’s epoch and newest offset outlive its last publish.',
    { unit: 'ms', env: 'TRUNKLINE_METADATA_AGE_MS_MAX' },
  ),
});

const link = z.strictObject({
  helloMs: field(
    whole(1).default(10 * SECOND),
    'Time for the handshake and the first hello; after it the connection closes with timeout.',
    { unit: 'ms', env: 'TRUNKLINE_HELLO_MS' },
  ),
  pingIntervalMs: field(
    whole(100).default(25 * SECOND),
    'How often the server pings a WebSocket.',
    { unit: 'ms', env: 'TRUNKLINE_PING_INTERVAL_MS' },
  ),
  pongMs: field(
    whole(100).default(10 * SECOND),
    'Time for the answer to a ping; after it the connection closes with timeout.',
    { unit: 'ms', env: 'TRUNKLINE_PONG_MS' },
  ),
  commentIntervalMs: field(
    whole(100).default(15 * SECOND),
    'Silence after which an event stream gets a comment, against proxies that close it.',
    { unit: 'ms', env: 'TRUNKLINE_COMMENT_INTERVAL_MS' },
  ),
  frameBytesMax: field(
    whole(KB).default(MB),
    'Bytes of one frame or request body from a client; over it close 1009 or too_large.',
    { unit: 'bytes', env: 'TRUNKLINE_FRAME_BYTES_MAX' },
  ),
  pendingBytesMax: field(
    whole(KB).default(256 * KB),
    'High-water mark: unsent bytes at which a slow client reads on from the log.',
    { unit: 'bytes', env: 'TRUNKLINE_PENDING_BYTES_MAX' },
  ),
  subscriptionsMax: field(
    whole(1).default(128),
    'Subscriptions of one connection; over it subscribe is refused with rate_limited.',
    { env: 'TRUNKLINE_SUBSCRIPTIONS_MAX' },
  ),
  commandsPerSecondMax: field(
    whole(0).default(100),
    'Commands of one connection; over it they are refused with rate_limited. 0 sets no rate.',
    { unit: 'commands/s', env: 'TRUNKLINE_COMMANDS_PER_SECOND_MAX' },
  ),
});

const poll = z.strictObject({
  waitMsMax: field(whole(0).default(MINUTE), 'The longest wait of one poll.', {
    unit: 'ms',
    env: 'TRUNKLINE_POLL_WAIT_MS_MAX',
  }),
  waitingPerAddressMax: field(
    whole(1).default(1000),
    'Waiting polls of one address; over it a poll is refused with rate_limited.',
    { env: 'TRUNKLINE_POLLS_PER_ADDRESS_MAX' },
  ),
});

const drain = z.strictObject({
  windowMs: field(
    whole(0).default(10 * SECOND),
    'Goodbyes are spread over this time, so that clients do not return all at once.',
    { unit: 'ms', env: 'TRUNKLINE_DRAIN_WINDOW_MS' },
  ),
  deadlineMs: field(
    whole(0).default(30 * SECOND),
    'Time after which a drain closes what is still open.',
    { unit: 'ms', env: 'TRUNKLINE_DRAIN_DEADLINE_MS' },
  ),
});

const metrics = z.strictObject({
  open: field(
    z.boolean().default(false),
    'Answer /metrics without an API key, as development mode does.',
    { env: 'TRUNKLINE_METRICS_OPEN' },
  ),
});

const namespaces = z.record(
  z.string().superRefine((pattern, context) => {
    const fault = patternFault(pattern);
    if (fault !== undefined) context.addIssue(`pattern ${fault}`);
  }),
  namespaceRulesSchema,
);

const everything = z.strictObject({
  host: field(z.string().min(1).default('127.0.0.1'), 'Address to listen on.', {
    env: 'TRUNKLINE_HOST',
    flag: '--host <address>',
  }),
  port: field(whole(0).max(65_535).default(8080), 'Port to listen on; 0 takes any free one.', {
    env: 'TRUNKLINE_PORT',
    flag: '--port <number>',
  }),
  node: field(
    z
      .string()
      .regex(/^[0-9A-Za-z._-]{1,64}$/, 'must be 1–64 letters, digits, dots, dashes or underscores')
      .exactOptional(),
    'This node’s name, told to clients; a random one when unset.',
    { env: 'TRUNKLINE_NODE', flag: '--node <name>' },
  ),
  secret: field(
    secretText.exactOptional(),
    'Signs resume tickets, the same on all nodes; a random one when unset.',
    { env: 'TRUNKLINE_SECRET', flag: '--secret <secret>', secret: true },
  ),
  dev: field(
    z.boolean().exactOptional(),
    'Development mode; when unset, on exactly on loopback without auth configured.',
    { env: 'TRUNKLINE_DEV', flag: '--dev' },
  ),
  echo: field(z.boolean().default(false), 'Serve /v1/echo outside development mode too.', {
    env: 'TRUNKLINE_ECHO',
    flag: '--echo',
  }),
  logLevel: field(
    z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    'The least severe log lines that are written.',
    { env: 'TRUNKLINE_LOG_LEVEL' },
  ),
  tls: tlsSchema.prefault({}),
  auth: authSchema.prefault({}),
  store: store.prefault({}),
  link: link.prefault({}),
  mqtt: mqtt.prefault({}),
  poll: poll.prefault({}),
  drain: drain.prefault({}),
  metrics: metrics.prefault({}),
  compression: compression.prefault({}),
  connectionsMax: field(
    whole(1).default(100_000),
    'Connections of this server; over it new ones are refused with unavailable.',
    { env: 'TRUNKLINE_CONNECTIONS_MAX' },
  ),
  connectionsPerAddressMax: field(
    whole(0).default(0),
    'Connections of one address; over it new ones are refused with rate_limited. It may have as ' +
      'many HTTP/2 streams, or 256 where that is more. 0 sets no limit.',
    { env: 'TRUNKLINE_CONNECTIONS_PER_ADDRESS_MAX' },
  ),
  checkIntervalMs: field(
    whole(100).default(40 * SECOND),
    'How often, about, a live subscription is compared with the log, so that a lost wake-up heals.',
    { unit: 'ms', env: 'TRUNKLINE_CHECK_INTERVAL_MS' },
  ),
  namespaces: field(
    namespaces.default({}),
    'Rules by channel pattern; the most specific pattern wins, field by field.',
  ),
});

/** Everything a server is told, by group. Unknown keys are errors. */
export const serverConfigSchema = everything.superRefine(
  ({ port, mqtt: devices, tls }, context) => {
    const refuse = (name: 'port' | 'tlsPort', message: string) =>
      context.addIssue({ code: 'custom', path: ['mqtt', name], message });
    if (devices.tlsPort !== 0 && !tls.dev && tls.cert === undefined) {
      refuse('tlsPort', 'needs a certificate: give --tls-cert and --tls-key, or --tls-dev');
    }
    // 0 stands for any free port, or for none.
    if (port !== 0 && devices.port === port) {
      refuse('port', 'must not be that of HTTP, where MQTT is served over WebSocket at /v1/ws');
    }
    if (devices.tlsPort !== 0 && (devices.tlsPort === port || devices.tlsPort === devices.port)) {
      if (devices.tlsPort !== 'auto') refuse('tlsPort', 'must be a port of its own');
    }
  },
);

/** What a server runs on: every field decided. */
export type ServerConfig = z.output<typeof serverConfigSchema>;

/** What a config file may say: every field optional. */
export type ServerConfigInput = z.input<typeof serverConfigSchema>;

/** Gives a TypeScript config file its types: `export default defineConfig({ … })`. */
export function defineConfig(config: ServerConfigInput): ServerConfigInput {
  return config;
}

/** The configuration when nothing is set. A new object each time. */
export function defaultConfig(): ServerConfig {
  return serverConfigSchema.parse({});
}
