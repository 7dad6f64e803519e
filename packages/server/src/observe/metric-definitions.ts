/**
 * Metric definitions: everything this server tells Prometheus of itself, in one table. The names are
 * an interface: one does not change its meaning. `docs/reference/metrics.md` is written from it.
 *
 * No label has a value that a client can choose: there are as many series as this file, the
 * registry of codes and the list of transports allow, and no more.
 */

/** One metric. */
export interface MetricDefinition {
  /** Begins with `trunkline_`; ends with its unit, and `_total` where it only rises. */
  readonly name: string;
  readonly kind: 'gauge' | 'counter' | 'histogram';
  /** One sentence. */
  readonly help: string;
  readonly labels?: readonly string[];
}

/** Every metric, by what it is called in this code. */
export const METRICS = {
  build: {
    name: 'trunkline_build_info',
    kind: 'gauge',
    help: 'Always 1; the labels say what runs.',
    labels: ['version', 'node_version'],
  },
  ready: {
    name: 'trunkline_ready',
    kind: 'gauge',
    help: '1 while the node takes clients, 0 while it starts or drains.',
  },
  connections: {
    name: 'trunkline_connections',
    kind: 'gauge',
    help: 'Open connections of all listeners, idle ones and those of links included.',
  },
  links: {
    name: 'trunkline_links',
    kind: 'gauge',
    help: 'Open links, by transport and by the version of HTTP that carries them, if any does.',
    labels: ['transport', 'http'],
  },
  linksOpened: {
    name: 'trunkline_links_opened_total',
    kind: 'counter',
    help: 'Links opened, those that were refused inside included.',
    labels: ['transport', 'http'],
  },
  linksClosed: {
    name: 'trunkline_links_closed_total',
    kind: 'counter',
    help: 'Links closed, by the code they ended with; normal where nothing was wrong or the peer left.',
    labels: ['transport', 'code'],
  },
  sessions: {
    name: 'trunkline_sessions',
    kind: 'gauge',
    help: 'Sessions of the native protocol.',
  },
  mqttConnections: {
    name: 'trunkline_mqtt_connections',
    kind: 'gauge',
    help: 'Clients of MQTT, whatever carries them; those that have not sent CONNECT yet included.',
  },
  mqttSessions: {
    name: 'trunkline_mqtt_sessions',
    kind: 'gauge',
    help: 'Sessions of MQTT clients that are connected.',
  },
  mqttStoredSessions: {
    name: 'trunkline_mqtt_sessions_stored',
    kind: 'gauge',
    help: 'Sessions of MQTT clients that outlive their connections, connected now or not.',
  },
  mqttReceived: {
    name: 'trunkline_mqtt_packets_received_total',
    kind: 'counter',
    help: 'MQTT packets of clients, by kind.',
    labels: ['kind'],
  },
  mqttSent: {
    name: 'trunkline_mqtt_packets_sent_total',
    kind: 'counter',
    help: 'MQTT packets to clients, by kind.',
    labels: ['kind'],
  },
  mqttReceivedBytes: {
    name: 'trunkline_mqtt_received_bytes_total',
    kind: 'counter',
    help: 'Bytes of MQTT packets of clients.',
  },
  mqttSentBytes: {
    name: 'trunkline_mqtt_sent_bytes_total',
    kind: 'counter',
    help: 'Bytes of MQTT packets to clients.',
  },
  mqttDropped: {
    name: 'trunkline_mqtt_messages_dropped_total',
    kind: 'counter',
    help: 'Messages of MQTT clients that were refused, and messages that were too large for a client.',
    labels: ['why'],
  },
  mqttConnectsRefused: {
    name: 'trunkline_mqtt_connects_refused_total',
    kind: 'counter',
    help: 'MQTT clients that were not accepted, by the reason code.',
    labels: ['reason'],
  },
  mqttEnded: {
    name: 'trunkline_mqtt_connections_ended_total',
    kind: 'counter',
    help: 'Connections of MQTT clients that the server ended after it had accepted them, by the reason code.',
    labels: ['reason'],
  },
  mqttWindowsFull: {
    name: 'trunkline_mqtt_windows_full_total',
    kind: 'counter',
    help: 'Times that messages had to wait because an MQTT client had not acknowledged those before.',
  },
  mqttWillsWaiting: {
    name: 'trunkline_mqtt_wills_waiting',
    kind: 'gauge',
    help: 'Wills of MQTT clients that are gone, published unless they come back within the delay.',
  },
  pollsWaiting: {
    name: 'trunkline_polls_waiting',
    kind: 'gauge',
    help: 'Long polls that wait for a message.',
  },
  http2Sessions: {
    name: 'trunkline_http2_sessions',
    kind: 'gauge',
    help: 'Open HTTP/2 connections.',
  },
  http2Streams: {
    name: 'trunkline_http2_streams',
    kind: 'gauge',
    help: 'Open streams of all HTTP/2 connections.',
  },
  authRefused: {
    name: 'trunkline_authentications_refused_total',
    kind: 'counter',
    help: 'Tokens, tickets and API keys that were refused.',
    labels: ['code'],
  },
  channels: {
    name: 'trunkline_channels',
    kind: 'gauge',
    help: 'Channels that are open on this node: someone listens, or did just now.',
  },
  subscriptions: {
    name: 'trunkline_subscriptions',
    kind: 'gauge',
    help: 'Subscriptions, event streams and polls that wait included.',
  },
  cursorsBehind: {
    name: 'trunkline_cursors_behind',
    kind: 'gauge',
    help: 'Subscriptions that read on from the log because their link is slow or has just resumed.',
  },
  published: {
    name: 'trunkline_messages_published_total',
    kind: 'counter',
    help: 'Messages published at this node and acknowledged.',
  },
  delivered: {
    name: 'trunkline_messages_delivered_total',
    kind: 'counter',
    help: 'Messages handed to links, one for each subscriber.',
  },
  publishesRefused: {
    name: 'trunkline_publishes_refused_total',
    kind: 'counter',
    help: 'Publishes refused, by the code of the refusal.',
    labels: ['code'],
  },
  publishSeconds: {
    name: 'trunkline_publish_seconds',
    kind: 'histogram',
    help: 'Time from a publish to its acknowledgement by the log.',
  },
  resumes: {
    name: 'trunkline_resumes_total',
    kind: 'counter',
    help: 'Resumes by outcome: recovered, or the reason of the gap.',
    labels: ['outcome'],
  },
  losses: {
    name: 'trunkline_losses_total',
    kind: 'counter',
    help: 'Live subscriptions that were told of a loss, by the reason of the gap.',
    labels: ['reason'],
  },
  volatileSkipped: {
    name: 'trunkline_volatile_messages_skipped_total',
    kind: 'counter',
    help: 'Messages of volatile channels that slow readers were not given.',
  },
  keptBytes: {
    name: 'trunkline_kept_messages_bytes',
    kind: 'gauge',
    help: 'Bytes of the messages that are kept in memory for readers who come back, roughly.',
  },
  snapshotBytes: {
    name: 'trunkline_kept_snapshots_bytes',
    kind: 'gauge',
    help: 'Bytes of the snapshots that are kept in memory for readers, roughly.',
  },
  logWaiting: {
    name: 'trunkline_log_operations_waiting',
    kind: 'gauge',
    help: 'Operations that wait for the next commit of the log.',
  },
  logWaitingBytes: {
    name: 'trunkline_log_waiting_bytes',
    kind: 'gauge',
    help: 'Bytes of the operations that wait for the next commit of the log.',
  },
  members: {
    name: 'trunkline_presence_members',
    kind: 'gauge',
    help: 'Members of all channels, those in their grace time included.',
  },
  watchers: {
    name: 'trunkline_presence_watchers',
    kind: 'gauge',
    help: 'Subscriptions that are told of joins and leaves.',
  },
  announcements: {
    name: 'trunkline_presence_announcements_total',
    kind: 'counter',
    help: 'Joins, leaves and snapshots for many of them that were told, each once for all who watch.',
    labels: ['kind'],
  },
  deflatedInBytes: {
    name: 'trunkline_compression_in_bytes_total',
    kind: 'counter',
    help: 'Bytes given to compression; what many links share counts once.',
  },
  deflatedOutBytes: {
    name: 'trunkline_compression_out_bytes_total',
    kind: 'counter',
    help: 'Bytes that compression made of them.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/** The key of a metric in {@link METRICS}. */
export type MetricKey = keyof typeof METRICS;
