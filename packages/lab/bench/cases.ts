/** Cases: what is measured, as arguments of the load generator. */

/** What is needed to aim a case. */
export interface Aim {
  readonly port: number;
  readonly pid: number;
  readonly seconds: number;
}

export interface Case {
  readonly name: string;
  readonly what: string;
  /** Flags of `trunkline serve` beside `--port`. */
  readonly serve: readonly string[];
  readonly load: (aim: Aim) => readonly string[];
  /** True for MQTT: mosquitto gets the same load, where it is installed. */
  readonly isMqtt?: true;
  /** The same load for the limit server; absent where there is nothing to compare with. */
  readonly limit?: (aim: Aim) => readonly string[];
  /** The figure that counts, from the generator's output. */
  readonly figure: (out: Readonly<Record<string, number>>) => number;
  readonly unit: string;
}

const common = ({ port, pid, seconds }: Aim): string[] => [
  '--target',
  `127.0.0.1:${port}`,
  '--server-pid',
  String(pid),
  '--duration',
  String(seconds),
];

const perCpuSecond = (out: Readonly<Record<string, number>>): number =>
  (out['deliveries_per_s'] ?? 0) / ((out['server_cpu_pct'] ?? 100) / 100);

const SUBSCRIBE = '{"type":"subscribe","id":1,"channel":"c%c"}';
const PUBLISH = '{"type":"publish","channel":"c%c","data":"%p"}';

/** A subscriber that counts as ready once it is subscribed. */
const webSocket = ['--path', '/v1/ws', '--send', SUBSCRIBE, '--await', '"subscribed"'];
const webSocketPublisher = ['--pub-path', '/v1/ws', '--publish', PUBLISH];
const eventStream = ['--proto', 'sse', '--path', '/v1/sse?channel=c%c'];
const httpPublisher = [
  '--pub-proto',
  'http',
  '--pub-path',
  '/v1/publish',
  '--pub-conns',
  '16',
  '--pub-header',
  'Content-Type: application/json',
  '--publish',
  '{"channel":"c%c","data":"%p"}',
];

const perConnection = (out: Readonly<Record<string, number>>): number =>
  out['pss_bytes_per_conn'] ?? 0;

const connects = (out: Readonly<Record<string, number>>): number =>
  (out['connects_per_s'] ?? 0) / ((out['server_cpu_pct'] ?? 100) / 100);

const fanout = ['--conns', '1000', '--size', '128', '--window', '16'];

/** Many small channels: there is nothing to join but what comes for one of them. */
const many = ['--conns', '5000', '--channels', '500', '--size', '128', '--window', '500'];

const limitPaths = ['--path', '/sub/%c', '--pub-path', '/pub', '--publish', '%c:%p'];

const limitWebSocket = (aim: Aim): string[] => ['fanout', ...common(aim), ...fanout, ...limitPaths];

const limitEventStream = (aim: Aim): string[] => [
  'fanout',
  ...common(aim),
  ...fanout,
  '--proto',
  'sse',
  '--path',
  '/events/%c',
  '--pub-proto',
  'ws',
  '--pub-path',
  '/pub',
  '--publish',
  '%c:%p',
];

/** 1,000 subscribers of one topic, and one publisher. */
const mqttFanout = (aim: Aim, qos: 0 | 1, window: number): string[] => [
  'fanout',
  ...common(aim),
  ...['--proto', 'mqtt', '--topic', 'c%c', '--conns', '1000', '--size', '128'],
  ...['--qos', String(qos), '--pub-qos', String(qos), '--window', String(window)],
];

/** The budgets of the design, each as one case. */
export const CASES: readonly Case[] = [
  {
    name: 'ws',
    what: 'WebSocket, 1,000 subscribers, 128 B, 16 under way, memory',
    serve: ['--memory'],
    load: (aim) => ['fanout', ...common(aim), ...fanout, ...webSocket, ...webSocketPublisher],
    limit: limitWebSocket,
    figure: perCpuSecond,
    unit: 'deliveries per CPU second',
  },
  {
    name: 'ws-durable',
    what: 'the same, every message on the disk before it is delivered',
    serve: [],
    load: (aim) => ['fanout', ...common(aim), ...fanout, ...webSocket, ...webSocketPublisher],
    limit: limitWebSocket,
    figure: perCpuSecond,
    unit: 'deliveries per CPU second',
  },
  {
    name: 'ws-many',
    what: 'WebSocket, 500 channels of 10 subscribers each, 128 B, 500 under way, memory',
    serve: ['--memory'],
    load: (aim) => ['fanout', ...common(aim), ...many, ...webSocket, ...webSocketPublisher],
    limit: (aim) => ['fanout', ...common(aim), ...many, ...limitPaths],
    figure: perCpuSecond,
    unit: 'deliveries per CPU second',
  },
  {
    name: 'sse',
    what: 'SSE, 1,000 subscribers, 128 B, 16 under way, published by HTTP, memory',
    serve: ['--memory'],
    load: (aim) => ['fanout', ...common(aim), ...fanout, ...eventStream, ...httpPublisher],
    limit: limitEventStream,
    figure: perCpuSecond,
    unit: 'deliveries per CPU second',
  },
  {
    name: 'sse-durable',
    what: 'the same, durable',
    serve: [],
    load: (aim) => ['fanout', ...common(aim), ...fanout, ...eventStream, ...httpPublisher],
    limit: limitEventStream,
    figure: perCpuSecond,
    unit: 'deliveries per CPU second',
  },
  {
    name: 'publish',
    what: 'durable publishing, 100 publishers with one message each under way, one reader',
    serve: [],
    load: (aim) => [
      'fanout',
      ...common(aim),
      '--conns',
      '1',
      '--size',
      '128',
      '--window',
      '100',
      '--pub-conns',
      '100',
      ...webSocket,
      ...webSocketPublisher,
    ],
    figure: (out) => out['deliveries_per_s'] ?? 0,
    unit: 'acknowledged and delivered per second',
  },
  {
    name: 'idle-ws',
    what: 'user memory of an idle, subscribed WebSocket, at 5,000',
    serve: ['--memory'],
    load: (aim) => ['idle', ...common(aim), '--conns', '5000', '--settle', '3', ...webSocket],
    figure: perConnection,
    unit: 'bytes a connection',
  },
  {
    name: 'idle-sse',
    what: 'user memory of an idle event stream, at 5,000',
    serve: ['--memory'],
    load: (aim) => ['idle', ...common(aim), '--conns', '5000', '--settle', '3', ...eventStream],
    figure: perConnection,
    unit: 'bytes a connection',
  },
  {
    name: 'connect-ws',
    what: 'WebSocket handshakes, welcome included',
    serve: ['--memory'],
    load: (aim) => ['connect', ...common(aim), '--path', '/v1/ws'],
    figure: connects,
    unit: 'handshakes per CPU second',
  },
  {
    name: 'mqtt-qos0',
    what: 'MQTT with QoS 0, 1,000 subscribers, 128 B, 16 under way, memory',
    serve: ['--memory'],
    isMqtt: true,
    load: (aim) => mqttFanout(aim, 0, 16),
    figure: perCpuSecond,
    unit: 'deliveries per CPU second',
  },
  {
    name: 'mqtt-qos0-single',
    what: 'the same, one message under way',
    serve: ['--memory'],
    isMqtt: true,
    load: (aim) => mqttFanout(aim, 0, 1),
    figure: perCpuSecond,
    unit: 'deliveries per CPU second',
  },
  {
    name: 'mqtt-qos1',
    what: 'MQTT with QoS 1, 1,000 subscribers, 128 B, 16 under way, memory',
    serve: ['--memory'],
    isMqtt: true,
    load: (aim) => mqttFanout(aim, 1, 16),
    figure: perCpuSecond,
    unit: 'deliveries per CPU second',
  },
  {
    name: 'mqtt-qos1-single',
    what: 'the same, one message under way: each is written and acknowledged by itself',
    serve: ['--memory'],
    isMqtt: true,
    load: (aim) => mqttFanout(aim, 1, 1),
    figure: perCpuSecond,
    unit: 'deliveries per CPU second',
  },
  {
    name: 'mqtt-connect',
    what: 'MQTT connections, CONNACK and SUBACK included',
    serve: ['--memory'],
    isMqtt: true,
    load: (aim) => ['connect', ...common(aim), '--proto', 'mqtt'],
    figure: connects,
    unit: 'connections per CPU second',
  },
  {
    name: 'mqtt-idle',
    what: 'user memory of an idle, subscribed MQTT client, at 5,000',
    serve: ['--memory'],
    isMqtt: true,
    load: (aim) => [
      'idle',
      ...common(aim),
      ...['--proto', 'mqtt', '--conns', '5000', '--settle', '3'],
    ],
    figure: perConnection,
    unit: 'bytes a connection',
  },
];
