/**
 * @trunkline/client/core: the same as `@trunkline/client`, with no transport and no feature in it:
 * what is not handed to `new Line` is not in the bundle.
 */
export { CodedError } from '@trunkline/wire';
export type { CodeName, Gap, GapReason, Member, Sender } from '@trunkline/wire';
export { Channel, positionOf } from './channel.ts';
export type { ChannelListener, ChannelOptions, LoadStart, Message } from './channel.ts';
export type { StateEvent } from './connection/connection.ts';
export type { ConnectionState } from './connection/connection-state.ts';
export type { Explanation, TriedTransport, Verdict } from './connection/explanation.ts';
export type { LadderMemory } from './connection/ladder.ts';
export type { Encoding, Frame } from './encodings/encoding.ts';
export type { GapEvent, OpenEvent, PresenceEvent, SnapshotEvent } from './events.ts';
export type { Features } from './features.ts';
export type { TokenSource } from './http.ts';
export { Line } from './line.ts';
export type { LineEvents, LineOptions } from './line.ts';
export type { Clock, Platform, Socket, Timer } from './platform.ts';
export type { OutboxLimits } from './publishing/outbox.ts';
export { JsonSource } from './publishing/outgoing.ts';
export type { Payload, PublishOptions, SendOptions } from './publishing/outgoing.ts';
export { UncertainError } from './publishing/published.ts';
export type { Published } from './publishing/published.ts';
export { GapError } from './reading/gap-error.ts';
export type { HistoryOptions, HistoryPage } from './reading/history.ts';
export type { Members } from './reading/members.ts';
export { InvalidError } from './schema.ts';
export type { Schema } from './schema.ts';
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
export type { Transport, TransportName } from './transports/transport.ts';
