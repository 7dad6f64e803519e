import { METRICS } from '@trunkline/server/internal/observe/metric-definitions.ts';
import { readAll } from '@trunkline/server/internal/readings.ts';
import type { ReadingParts } from '@trunkline/server/internal/readings.ts';
import { expect, test } from 'vitest';

test('readings are asked of every part', () => {
  const counts = {
    open: new Map([['2', 3]] as const),
    opened: new Map([
      ['1.1', 1],
      ['2', 4],
    ] as const),
    closed: new Map([['timeout', 2]] as const),
  };
  const hub = {
    counts: { published: 5, delivered: 6 },
    keptSize: 7,
    waitCount: 8,
    beside: { snapshots: { keptSize: 9 } },
    presence: { memberCount: 10, watcherCount: 11, toldCounts: new Map([['join', 1]]) },
  } as ReadingParts['hub'];
  const readings = readAll({
    hub,
    authenticator: { refusedCounts: new Map([['unauthenticated', 12]] as const) },
    capacity: { count: 13 },
    listener: { http2: { sessionCount: 14, streamCount: 15 } },
    transports: { sse: { counts } },
    sessions: new Set([1, 2]),
    mqtt: { connections: new Set([1, 2, 3]), readings: { mqttSessions: 2 } },
    deflated: { inBytes: 16, outBytes: 17 },
    logQueue: { count: 18, size: 19 },
    ready: false,
  });
  expect(readings).toMatchObject({
    build: [[expect.stringMatching(/^\d+\.\d+\.\d+/), process.version, 1]],
    ready: 0,
    links: [['sse', '2', 3]],
    linksOpened: [
      ['sse', '1.1', 1],
      ['sse', '2', 4],
    ],
    linksClosed: [['sse', 'timeout', 2]],
    connections: 13,
    sessions: 2,
    mqttConnections: 3,
    mqttSessions: 2,
    published: 5,
    members: 10,
    logWaitingBytes: 19,
  });
  for (const key of Object.keys(readings)) expect(METRICS).toHaveProperty(key);
});
