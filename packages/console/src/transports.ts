/** The transports of the page, in the order of its panes. */
import type { Line, LineOptions } from './lines/line.ts';
import { connect as longPoll, WAIT_SECONDS } from './lines/long-poll.ts';
import { connect as shortPoll } from './lines/short-poll.ts';
import { connect as sse } from './lines/sse.ts';
import { connect as websocket } from './lines/websocket.ts';

/** A way to reach the server. */
export type TransportName = 'websocket' | 'sse' | 'long-poll' | 'short-poll';

/** What the page knows of a transport. */
export interface Transport {
  readonly name: TransportName;
  readonly label: string;
  /** The label where there is little room. */
  readonly short: string;
  /** How it works, in a few words. */
  readonly how: string;
  connect(options: LineOptions): Line;
}

/** One pane each. */
export const TRANSPORTS: readonly Transport[] = [
  {
    name: 'websocket',
    label: 'WebSocket',
    short: 'WebSocket',
    how: 'one socket, both ways',
    connect: websocket,
  },
  { name: 'sse', label: 'SSE', short: 'SSE', how: 'EventSource stream', connect: sse },
  {
    name: 'long-poll',
    label: 'Long polling',
    short: 'Long poll',
    how: `fetch, held up to ${String(WAIT_SECONDS)} s`,
    connect: longPoll,
  },
  {
    name: 'short-poll',
    label: 'Short polling',
    short: 'Short poll',
    how: 'fetch, once a second',
    connect: shortPoll,
  },
];

/** The name for people. */
export function labelOf(name: TransportName): string {
  return TRANSPORTS.find((transport) => transport.name === name)?.label ?? name;
}
