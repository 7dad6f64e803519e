/** The server machine's load, as `system/metrics` tells it once a second in development mode. */
import { formatPosition } from '@trunkline/wire';
import { history } from './api.ts';
import { Changes } from './changes.ts';
import type { Line, LineEvent, LineStatus } from './lines/line.ts';
import { Standing } from './lines/standing.ts';
import { connect } from './lines/websocket.ts';

/** The channel that carries the load. */
export const METRICS_CHANNEL = 'system/metrics';

/** How far back the pictures reach: as far as the tracks of the panes. */
export const METRICS_MS = 60_000;

const SAMPLES_MAX = 120;

/** One second of the machine. */
export interface Sample {
  /** Milliseconds since 1970, by the server's clock. */
  readonly time: number;
  /** Each core's use, 0 to 1. */
  readonly cores: readonly number[];
  readonly memory: { readonly used: number; readonly total: number };
  readonly server: { readonly rss: number; readonly cpu: number; readonly lagMs: number };
  readonly links: { readonly websocket: number; readonly sse: number; readonly polls: number };
  /** Connections of MQTT by what carries them; those over WebSocket are among the links, too. */
  readonly mqtt: { readonly tcp: number; readonly tls: number; readonly websocket: number };
  readonly rates: { readonly published: number; readonly delivered: number };
  /** What is going on in channels; zeros from a server that does not tell. */
  readonly hub: {
    readonly channels: number;
    readonly subscriptions: number;
    readonly members: number;
  };
}

/** Reads one payload; `undefined` when it is something else that somebody published there. */
export function parseSample(payload: string, time: number): Sample | undefined {
  let value: unknown;
  try {
    value = JSON.parse(payload);
  } catch {
    return undefined;
  }
  const cores = member(value, 'cpu');
  if (!Array.isArray(cores) || !cores.every((core) => typeof core === 'number')) return undefined;
  const numbers = (group: string, name: string): number => {
    const found = member(member(value, group), name);
    return typeof found === 'number' && Number.isFinite(found) ? found : 0;
  };
  return {
    time,
    cores,
    memory: { used: numbers('memory', 'used'), total: numbers('memory', 'total') },
    server: {
      rss: numbers('server', 'rss'),
      cpu: numbers('server', 'cpu'),
      lagMs: numbers('server', 'lagMs'),
    },
    links: {
      websocket: numbers('links', 'websocket'),
      sse: numbers('links', 'sse'),
      polls: numbers('links', 'polls'),
    },
    mqtt: {
      tcp: numbers('mqtt', 'tcp'),
      tls: numbers('mqtt', 'tls'),
      websocket: numbers('mqtt', 'websocket'),
    },
    rates: {
      published: numbers('rates', 'published'),
      delivered: numbers('rates', 'delivered'),
    },
    hub: {
      channels: numbers('hub', 'channels'),
      subscriptions: numbers('hub', 'subscriptions'),
      members: numbers('hub', 'members'),
    },
  };
}

/** The mean of the cores. */
export function meanCpu({ cores }: Sample): number {
  return cores.length === 0 ? 0 : cores.reduce((sum, core) => sum + core, 0) / cores.length;
}

/** Follows the load over a line of its own, beginning with what the channel still keeps. */
export class MetricsFeed {
  readonly changes = new Changes();
  samples: readonly Sample[] = [];
  status: LineStatus = { state: 'connecting', tries: 0 };
  /** The word under which presence lists the line of the load. */
  session: string | undefined;
  /** The page's clock when the newest sample came. */
  heardAt = 0;
  readonly #server: string;
  #line: Line | undefined;
  /** Counts starts: what an earlier one still answers is not heard any more. */
  #start = 0;

  /** @param server its origin. */
  constructor(server: string) {
    this.#server = server;
  }

  /** Follows with this token from now on, instead of what was before. */
  async start(token: string | undefined): Promise<void> {
    this.#start += 1;
    const start = this.#start;
    this.#line?.cut();
    this.samples = [];
    const page = await history(METRICS_CHANNEL, undefined, METRICS_MS / 1_000, token);
    if (start !== this.#start) return;
    const kept = page.ok ? page.value.messages : [];
    for (const { data, time } of kept) this.#add(JSON.stringify(data), time);
    const { epoch = '0', offset = 0 } = kept.at(-1) ?? {};
    const filters = [METRICS_CHANNEL];
    const standing = new Standing(filters);
    if (offset > 0) standing.begin(METRICS_CHANNEL, formatPosition({ epoch, offset }));
    const line = connect({
      server: this.#server,
      filters,
      standing,
      token: () => token,
      onEvent: (event) => {
        if (this.#line === line) this.#onEvent(event);
      },
    });
    this.#line = line;
  }

  #onEvent(event: LineEvent): void {
    if (event.kind === 'message') {
      this.#add(event.message.payload, event.message.time ?? Date.now());
    } else if (event.kind === 'state') {
      this.status = event.status;
    } else if (event.kind === 'session') {
      this.session = event.session;
    } else return;
    this.changes.notify();
  }

  #add(payload: string, time: number): void {
    const sample = parseSample(payload, time);
    if (sample === undefined) return;
    const last = this.samples.at(-1);
    if (last !== undefined && sample.time <= last.time) return;
    this.samples = [...this.samples.slice(-(SAMPLES_MAX - 1)), sample];
    this.heardAt = performance.now();
  }
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
