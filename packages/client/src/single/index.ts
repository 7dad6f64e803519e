/** @trunkline/client: receive and publish from browsers and Node. No dependency but the wire. */
export { CodedError } from '@trunkline/wire';
export type { CodeName, Gap, GapReason, Sender } from '@trunkline/wire';
export type { EncodingName } from './binary.ts';
export type { ConnectionState } from '../connection/connection-state.ts';
export type {
  GapEvent,
  ReceivedMessage,
  OpenEvent,
  PresenceEvent,
  SnapshotEvent,
  StateEvent,
  SubscriptionEvent,
} from '../events.ts';
export { EventStreamParser } from '../event-stream.ts';
export type { StreamItem } from '../event-stream.ts';
export { history } from './history.ts';
export type { HistoryOptions, HistoryPage } from './history.ts';
export type { TokenSource } from '../http.ts';
export type { Clock, Platform, Socket, Timer } from '../platform.ts';
export { openPublisher, publish, publishBatch } from './publish.ts';
export type {
  BatchItem,
  Outgoing,
  Published,
  Publisher,
  PublishOptions,
} from './publish.ts';
export { Progress } from './progress.ts';
export { subscribe } from './subscription.ts';
export type { SubscribeOptions, Subscription, TransportName } from './subscription.ts';
