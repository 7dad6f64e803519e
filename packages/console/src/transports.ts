/** The transports of the page, in the order of its panes. */
import { isMany } from './filters.ts';
import type { EncodingName, Line, LineOptions } from './lines/line.ts';
import { connect as longPoll, WAIT_SECONDS } from './lines/long-poll.ts';
import { connect as mqtt } from './lines/mqtt.ts';
import { connect as shortPoll } from './lines/short-poll.ts';
import { connect as sse } from './lines/sse.ts';
import { connect as websocket } from './lines/websocket.ts';

/** A way to reach the server. */
export type TransportName = 'websocket' | 'sse' | 'long-poll' | 'short-poll' | 'mqtt';

/** What the page knows of a transport. */
export interface Transport {
  readonly name: TransportName;
  readonly label: string;
  /** The label where there is little room. */
  readonly short: string;
  /** How it works, in a few words. */
  readonly how: string;
  /** Where its requests go. */
  readonly path: string;
  /** More than one where there is a choice. */
  readonly encodings: readonly EncodingName[];
  /** Whether expired messages are told of, one by one, so that every hole is a loss [MSG-6]. */
  tellsExpired(filters: readonly string[]): boolean;
  /** True where all patterns must begin at one mark [POLL-6]. */
  readonly needsOnePlace: boolean;
  /** False where the server keeps the place, and nobody can say another one. */
  readonly takesPlaces: boolean;
  /** True where who reads is present without asking for it. */
  readonly isAlwaysListed: boolean;
  connect(options: LineOptions): Line;
}

const BOTH: readonly EncodingName[] = ['json', 'binary'];

/** One pane each. */
export const TRANSPORTS: readonly Transport[] = [
  {
    name: 'websocket',
    label: 'WebSocket',
    short: 'WS',
    how: 'one socket, both ways',
    path: '/v1/ws',
    encodings: BOTH,
    tellsExpired: () => true,
    needsOnePlace: false,
    takesPlaces: true,
    isAlwaysListed: true,
    connect: websocket,
  },
  {
    name: 'sse',
    label: 'SSE',
    short: 'SSE',
    how: 'one stream of events',
    path: '/v1/sse',
    encodings: ['json'],
    // A mark tells that everything up to it came, and not what expired on the way.
    tellsExpired: (filters) => !isMany(filters),
    needsOnePlace: false,
    takesPlaces: true,
    isAlwaysListed: false,
    connect: sse,
  },
  {
    name: 'long-poll',
    label: 'Long polling',
    short: 'Long',
    how: `fetch, held up to ${String(WAIT_SECONDS)} s`,
    path: '/v1/poll',
    encodings: BOTH,
    tellsExpired: () => false,
    needsOnePlace: true,
    takesPlaces: true,
    isAlwaysListed: false,
    connect: longPoll,
  },
  {
    name: 'short-poll',
    label: 'Short polling',
    short: 'Short',
    how: 'fetch, once a second',
    path: '/v1/poll',
    encodings: BOTH,
    tellsExpired: () => false,
    needsOnePlace: true,
    takesPlaces: true,
    isAlwaysListed: false,
    connect: shortPoll,
  },
  {
    name: 'mqtt',
    label: 'MQTT',
    short: 'MQTT',
    how: '5.0, a session, QoS 1',
    path: '/v1/ws',
    encodings: ['binary'],
    tellsExpired: () => false,
    needsOnePlace: false,
    takesPlaces: false,
    isAlwaysListed: true,
    connect: mqtt,
  },
];

/** The name for people. */
export function labelOf(name: TransportName): string {
  return TRANSPORTS.find((transport) => transport.name === name)?.label ?? name;
}
