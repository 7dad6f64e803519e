/** @trunkline/client: receive and publish from browsers and Node. No dependency but the wire. */
export { CodedError } from '@trunkline/wire';
export type { CodeName, Gap, GapReason, Sender } from '@trunkline/wire';
export type { EncodingName } from './single/binary.ts';
export type { ConnectionState } from './connection/connection-state.ts';
export type {
  GapEvent,
  ReceivedMessage,
  OpenEvent,
  PresenceEvent,
  SnapshotEvent,
  StateEvent,
  SubscriptionEvent,
} from './events.ts';
export { EventStreamParser } from './event-stream.ts';
export type { StreamItem } from './event-stream.ts';
export { history } from './single/history.ts';
export type { HistoryOptions, HistoryPage } from './single/history.ts';
export type { TokenSource } from './http.ts';
export type { Clock, Platform, Socket, Timer } from './platform.ts';
export { openPublisher, publish, publishBatch } from './single/publish.ts';
export type {
  BatchItem,
  Outgoing,
  Published,
  Publisher,
  PublishOptions,
} from './single/publish.ts';
export { Progress } from './single/progress.ts';
export { subscribe } from './single/subscription.ts';
export type { SubscribeOptions, Subscription, TransportName } from './single/subscription.ts';
export type { Channel, ChannelListener, ChannelOptions, LoadStart, Message } from './channel.ts';
export type { Line } from './line.ts';
export type { Store } from './shared-store.ts';
export {
  channelStore,
  connectionStore,
  NO_CONNECTION,
  NO_MEMBERS,
  NO_MESSAGES,
  presenceStore,
  toReadable,
} from './store.ts';
export type { ChannelSnapshot, ConnectionSnapshot, PresenceSnapshot } from './store.ts';
