/** Every way to read a channel. */
import type { ReadTransport } from '../reader.ts';
import { binaryLongPolling, binaryShortPolling, longPolling, shortPolling } from './poll.ts';
import { eventStreamReading } from './sse.ts';
import { binaryWebSocketReading, webSocketReading } from './websocket.ts';

export { eventStreamReading, longPolling, shortPolling, webSocketReading };

/** In the order of the matrix. */
export const READ_TRANSPORTS: readonly ReadTransport[] = [
  webSocketReading,
  binaryWebSocketReading,
  eventStreamReading,
  longPolling,
  binaryLongPolling,
  shortPolling,
  binaryShortPolling,
];

/** Those to which a message comes by itself. */
export const PATIENT_TRANSPORTS: readonly ReadTransport[] = READ_TRANSPORTS.filter(
  ({ kind }) => kind !== 'short polling',
);
