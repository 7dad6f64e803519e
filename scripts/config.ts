/** Config: writes `docs/reference/config.md` from the schema. With `--check` it only compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  API_DEFAULTS,
  CHANNELS_PER_READ_MAX,
  READ_LIMIT,
} from '../packages/server/src/api/config.ts';
import { INFO_BYTES_MAX, USER_LENGTH_MAX } from '../packages/server/src/auth/claims.ts';
import { PASSWORD_CHECKS_MAX, PASSWORDS_WAITING_MAX } from '../packages/server/src/auth/config.ts';
import { PASSWORD_BYTES_MAX } from '../packages/server/src/auth/password-hash.ts';
import { TOKEN_LENGTH_MAX } from '../packages/server/src/auth/tokens.ts';
import { settingsOf } from '../packages/server/src/config/field.ts';
import type { Setting } from '../packages/server/src/config/field.ts';
import {
  DEFAULT_NAMESPACE,
  namespaceRulesSchema,
  OPEN_NAMESPACE,
} from '../packages/server/src/config/namespace-rules.ts';
import { serverConfigSchema } from '../packages/server/src/config/schema.ts';
import { DEFAULT_HTTP2_LIMITS } from '../packages/server/src/http/h2-limits.ts';
import { DEFAULT_HTTP_LIMITS } from '../packages/server/src/http/limits.ts';
import { KEPT_SIZE_MAX } from '../packages/server/src/hub/config.ts';
import { MEMBERS_MAX, WATCHERS_MAX } from '../packages/server/src/hub/presence/config.ts';
import { NOTED_COUNT_MAX } from '../packages/server/src/hub/selection/catch-up.ts';
import { SNAPSHOT_BYTES_MAX } from '../packages/server/src/hub/snapshots.ts';
import { SLOT_COUNT_MAX, SLOTS_SIZE_MAX } from '../packages/server/src/hub/volatile/slots.ts';
import { CONTROL_BYTES_MAX } from '../packages/server/src/transports/stream-link.ts';
import {
  CHANNEL_BYTES_MAX,
  COMMANDS_PER_FRAME_MAX,
  PUBLISH_BATCH_MAX,
  TTL_MAX,
} from '../packages/wire/src/index.ts';
import { SLOT_LENGTH_MAX } from '../packages/wire/src/message.ts';
import { report, ROOT } from './source.ts';

/** Where the page stands. */
export const CONFIG_PAGE = 'docs/reference/config.md';

/** What each group is about; a group without a line here is a fault of this script. */
const GROUPS: Readonly<Record<string, string>> = {
  '': 'The node itself.',
  tls:
    'HTTPS instead of HTTP. See [HTTPS and HTTP/2](../guide/https-and-http2.md), and ' +
    '[devices](../guide/devices.md#client-certificates) for certificates of clients.',
  auth:
    'Who may come in. See [namespaces and access](../guide/namespaces-and-access.md), and ' +
    '[devices](../guide/devices.md) for `users`, which stand in a file only, and `certificates`.',
  store: 'The log, and what is remembered beside it.',
  link: 'Connections that stay open.',
  mqtt: 'Devices and other clients of MQTT. See [the specification](../../spec/mqtt.md).',
  poll: 'Long polling.',
  drain: 'The orderly end, on SIGTERM or SIGINT. See [operating](../guide/operating.md).',
  metrics: 'What [`/metrics`](metrics.md) asks for.',
  compression:
    'See [binary and compression](../guide/binary-and-compression.md), and ' +
    '[SECURITY.md](../../SECURITY.md) for where to leave it off.',
};

/** They have a table of their own. */
const NAMESPACES = 'namespaces';

/** What a peer meets that no setting changes, and what happens then. */
const FIXED: readonly (readonly [what: string, limit: string, then: string])[] = [
  ['name of a channel', bytes(CHANNEL_BYTES_MAX), '`bad_request`'],
  ['`ttl` of a message', milliseconds(TTL_MAX), '`bad_request`'],
  ['`slot` of a message', `${SLOT_LENGTH_MAX} characters`, '`bad_request`'],
  ['messages of one publish over HTTP', whole(PUBLISH_BATCH_MAX), '`too_large`'],
  ['commands of one frame', whole(COMMANDS_PER_FRAME_MAX), '`too_large`'],
  ['channels of a poll or event stream', whole(CHANNELS_PER_READ_MAX), '`bad_request`'],
  ['messages of one poll or page of history', whole(READ_LIMIT.max), '`bad_request`'],
  ['a snapshot', bytes(SNAPSHOT_BYTES_MAX), '`too_large`'],
  ['a token', `${whole(TOKEN_LENGTH_MAX)} characters`, '`bad_request`'],
  ['the name of a user', `${USER_LENGTH_MAX} characters`, '`unauthenticated`'],
  ['the claim `info`', bytes(INFO_BYTES_MAX), '`unauthenticated`'],
  ['a password', bytes(PASSWORD_BYTES_MAX), '`unauthenticated`'],
  [
    'passwords that are checked',
    `${PASSWORD_CHECKS_MAX} at a time, and ${PASSWORDS_WAITING_MAX} that wait`,
    '`unavailable`',
  ],
  ['members of a channel', whole(MEMBERS_MAX), '`rate_limited`'],
  ['watchers of the presence of a channel', whole(WATCHERS_MAX), '`rate_limited`'],
  [
    'channels with news that a slow reader of a pattern has not been told of',
    whole(NOTED_COUNT_MAX),
    'closes with `slow`; it comes back and resumes',
  ],
  [
    'slots that wait for a slow reader of volatile channels',
    `${whole(SLOT_COUNT_MAX)}, and ${bytes(SLOTS_SIZE_MAX)}`,
    'the one left alone longest is dropped',
  ],
  [
    'unsent replies and other frames of one link’s own',
    bytes(CONTROL_BYTES_MAX),
    'closes with `slow`',
  ],
  [
    'messages kept in memory for readers, all channels together',
    bytes(KEPT_SIZE_MAX),
    'the oldest are read from the log',
  ],
  ['head of a request', bytes(DEFAULT_HTTP_LIMITS.headSizeMax), '431'],
  ['header lines of a request', whole(DEFAULT_HTTP_LIMITS.headersMax), '431'],
  ['time for the head of a request', milliseconds(DEFAULT_HTTP_LIMITS.headMs), '408'],
  ['time for a TLS handshake', milliseconds(DEFAULT_HTTP_LIMITS.handshakeMs), 'cut'],
  ['time for the body of a request', milliseconds(DEFAULT_HTTP_LIMITS.bodyMs), '408'],
  ['time to take an answer', milliseconds(DEFAULT_HTTP_LIMITS.answerMs), 'cut'],
  ['silence of a kept-alive connection', milliseconds(DEFAULT_HTTP_LIMITS.idleMs), 'closed'],
  [
    'streams of an HTTP/2 session',
    whole(DEFAULT_HTTP2_LIMITS.streamsPerSessionMax),
    'reset with `REFUSED_STREAM`',
  ],
  [
    'answers that an HTTP/2 session has not taken',
    bytes(DEFAULT_HTTP2_LIMITS.answersSizeMax),
    'reset with `ENHANCE_YOUR_CALM`',
  ],
  [
    'streams that an HTTP/2 peer resets',
    `${DEFAULT_HTTP2_LIMITS.resetsBurst}, then ${DEFAULT_HTTP2_LIMITS.resetsPerSecondMax} a second`,
    'the session ends',
  ],
  [
    'PING and SETTINGS frames of an HTTP/2 peer',
    `${DEFAULT_HTTP2_LIMITS.controlFramesBurst}, then ` +
      `${DEFAULT_HTTP2_LIMITS.controlFramesPerSecondMax} a second`,
    'the session ends',
  ],
];

/** What the schema says of a leaf beside its setting. */
interface Shape {
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Shape[];
  readonly properties?: Readonly<Record<string, Shape>>;
}

/** The page as it must be. */
export function configPage(): string {
  const settings = settingsOf(serverConfigSchema);
  const shape = serverConfigSchema.toJSONSchema({ io: 'input', unrepresentable: 'any' }) as Shape;
  const groups = [...new Set(settings.map(groupOf))];
  const sections = groups.map((group) => {
    const about = GROUPS[group];
    if (about === undefined) throw new Error(`scripts/config.ts does not say what ${group} is`);
    const rows = settings
      .filter((setting) => groupOf(setting) === group && setting.path[0] !== NAMESPACES)
      .map((setting) => settingRow(setting, shape));
    return `## ${group === '' ? 'The server' : `\`${group}\``}\n\n${about}\n\n${table(rows)}`;
  });
  return [INTRODUCTION, ...sections, namespacesSection(), fixedSection()].join('\n\n');
}

const INTRODUCTION = `# Configuration

Generated from \`packages/server/src/config/schema.ts\` by \`scripts/config.ts\`; a test compares.

A setting comes from a flag of \`trunkline serve\`, else from the environment, else from the file given by
\`--config FILE\` or \`TRUNKLINE_CONFIG\` (YAML, JSON, or TypeScript with \`defineConfig\`), else it has its
default. In a file \`link.pingIntervalMs\` is the key \`pingIntervalMs\` of the object \`link\`. Unknown keys
are errors. \`trunkline config print\` shows every setting, its value and where it came from, and
\`trunkline config check\` says what is wrong; both take the flags of \`serve\`. In the environment a list is
divided by commas, and \`true\` or \`false\` may be \`1\`, \`0\`, \`yes\`, \`no\`, \`on\`, \`off\`.`;

function table(rows: readonly string[]): string {
  return `| setting | value | default | environment | flag | meaning |
|---|---|---|---|---|---|
${rows.join('\n')}`;
}

function settingRow(setting: Setting, shape: Shape): string {
  const { path, description, env, flag, secret, fallback, unit } = setting;
  const cells = [
    `\`${path.join('.')}\``,
    valueOf(setting, shapeAt(shape, path)),
    fallback === undefined ? '' : withUnit(fallback, unit),
    env === undefined ? '' : `\`${env}\``,
    flag === undefined ? '' : `\`${flag}\``,
    `${description}${secret === true ? ' Never printed.' : ''}`,
  ];
  return row(cells);
}

function namespacesSection(): string {
  const shape = namespaceRulesSchema.toJSONSchema({ io: 'input', unrepresentable: 'any' }) as Shape;
  const rows = settingsOf(namespaceRulesSchema).map((setting) => {
    const { path, description, unit } = setting;
    const [fallback, open] = [DEFAULT_NAMESPACE, OPEN_NAMESPACE].map((rules) => {
      const value = valueAt(rules, path);
      return value === undefined ? '' : withUnit(value, unit);
    });
    const told = fallback === open ? (fallback ?? '') : `${fallback}; in development ${open}`;
    return row([
      `\`${path.join('.')}\``,
      valueOf(setting, shapeAt(shape, path)),
      told,
      description,
    ]);
  });
  return `## \`namespaces\`

Rules by channel pattern, in a file only: \`namespaces: { 'room/+': { volatile: true } }\`. For each field
the most specific pattern that says something wins. "In development" also means \`auth.insecure\` without
any authentication.

| setting | value | default | meaning |
|---|---|---|---|
${rows.join('\n')}`;
}

function fixedSection(): string {
  return `## Limits that no setting changes

| what | limit | over it |
|---|---|---|
${FIXED.map((cells) => row(cells)).join('\n')}

The longest wait of a poll is a setting, ${milliseconds(API_DEFAULTS.pollWaitMsMax)} by default. The codes are
those of [codes.md](../../spec/codes.md).
`;
}

function groupOf({ path }: Setting): string {
  return path.length > 1 ? (path[0] ?? '') : '';
}

function valueOf({ kind, choices, path }: Setting, shape: Shape): string {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = shape.anyOf?.[0] ?? shape;
  const words = (choices ?? []).map((choice) => `\`${choice}\``);
  switch (kind) {
    case 'choice':
      return words.join(', ');
    case 'flag':
      return '`true`, `false`';
    case 'number':
      if (maximum === Number.MAX_SAFE_INTEGER) return `at least ${whole(minimum)}`;
      return [`${whole(minimum)} to ${whole(maximum)}`, ...words].join(', ');
    case 'list':
      return 'list';
    case 'map':
      return 'object';
    case 'text':
      return path.at(-1) === 'schema' ? 'JSON Schema' : 'text';
  }
}

function shapeAt(shape: Shape, path: readonly string[]): Shape {
  return path.reduce<Shape>((at, key) => at.properties?.[key] ?? {}, shape);
}

function valueAt(tree: unknown, path: readonly string[]): unknown {
  let value = tree;
  for (const key of path) value = (value as Readonly<Record<string, unknown>> | undefined)?.[key];
  return value;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** A value as a file has it, and what it is in larger units. */
function withUnit(value: unknown, unit: Setting['unit']): string {
  const text = `\`${JSON.stringify(value)}\``;
  if (typeof value !== 'number' || unit === undefined) return text;
  const time = unit === 'ms' ? value : unit === 's' ? value * 1000 : undefined;
  const large = unit === 'bytes' ? largeSize(value) : longTime(time ?? 0);
  return `${text} ${unit}${large === undefined ? '' : ` (${large})`}`;
}

function milliseconds(value: number): string {
  return longTime(value) ?? `${value} ms`;
}

function bytes(value: number): string {
  return largeSize(value) ?? `${whole(value)} bytes`;
}

function longTime(value: number): string | undefined {
  const units = [
    ['days', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ] as const;
  const unit = units.find(([name, size]) => {
    return value % size === 0 && value / size >= (name === 'days' ? 2 : 1);
  });
  return unit === undefined ? undefined : `${value / unit[1]} ${unit[0]}`;
}

function largeSize(value: number): string | undefined {
  if (value >= 1_048_576 && value % 1_048_576 === 0) return `${value / 1_048_576} MB`;
  if (value >= 1024 && value % 1024 === 0) return `${value / 1024} KB`;
  return undefined;
}

function whole(value: number): string {
  return value.toLocaleString('en');
}

if (import.meta.main) {
  const path = join(ROOT, CONFIG_PAGE);
  if (process.argv.includes('--check')) {
    const same = readFileSync(path, 'utf8') === configPage();
    const fault = `${CONFIG_PAGE} is not what the schema says: run node scripts/config.ts`;
    report('config', same ? [] : [fault]);
  } else {
    writeFileSync(path, configPage());
  }
}
