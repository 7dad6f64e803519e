/**
 * Readings: what all parts of a server say of themselves at one moment, for the metrics. The parts
 * keep plain numbers and know nothing of this.
 */
import type { Authenticator } from './auth/authenticator.ts';
import type { Capacity } from './http/capacity.ts';
import type { HttpListener } from './http/listener.ts';
import type { Hub } from './hub/hub.ts';
import type { LabelledNumber, Readings } from './observe/metrics.ts';
import type { DeflateCounts } from './transports/deflate.ts';
import type { LinkCounts } from './transports/link-set.ts';
import { VERSION } from './version.ts';

/** Who is asked. */
export interface ReadingParts {
  readonly hub: Pick<Hub, 'counts' | 'keptSize' | 'waitCount' | 'beside' | 'presence'>;
  readonly authenticator: Pick<Authenticator, 'refusedCounts'>;
  readonly capacity: Pick<Capacity, 'count'>;
  readonly listener: Pick<HttpListener, 'http2'>;
  /** By the name of the transport. */
  readonly transports: Readonly<Record<string, { readonly counts: LinkCounts }>>;
  readonly sessions: Iterable<unknown>;
  readonly mqtt: { readonly connections: Iterable<unknown>; readonly readings: Readings };
  readonly deflated: DeflateCounts;
  /** What waits for the next commit of the log. */
  readonly logQueue: { readonly count: number; readonly size: number };
  readonly ready: boolean;
}

/** Asks everyone once. */
export function readAll(parts: ReadingParts): Readings {
  const { hub, listener, authenticator, deflated, logQueue } = parts;
  const transports = Object.entries(parts.transports).map(
    ([name, { counts }]) => [name, counts] as const,
  );
  const rows = (kind: keyof LinkCounts): LabelledNumber[] =>
    transports.flatMap(([name, counts]) =>
      [...counts[kind]].map(([label, count]): LabelledNumber => [name, label, count]),
    );
  return {
    build: [[VERSION, process.version, 1]],
    ready: parts.ready ? 1 : 0,
    connections: parts.capacity.count,
    links: rows('open'),
    linksOpened: rows('opened'),
    linksClosed: rows('closed'),
    sessions: [...parts.sessions].length,
    mqttConnections: [...parts.mqtt.connections].length,
    pollsWaiting: hub.waitCount,
    http2Sessions: listener.http2.sessionCount,
    http2Streams: listener.http2.streamCount,
    authRefused: authenticator.refusedCounts,
    keptBytes: hub.keptSize,
    snapshotBytes: hub.beside.snapshots.keptSize,
    logWaiting: logQueue.count,
    logWaitingBytes: logQueue.size,
    members: hub.presence.memberCount,
    watchers: hub.presence.watcherCount,
    announcements: hub.presence.toldCounts,
    deflatedInBytes: deflated.inBytes,
    deflatedOutBytes: deflated.outBytes,
    ...parts.mqtt.readings,
    ...hub.counts,
  };
}
