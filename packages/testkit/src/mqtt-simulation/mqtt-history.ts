/**
 * MQTT history: everything that MQTT clients did and were told in one run, and what came into the
 * log, in the order in which it happened. The checker judges a run by this alone.
 *
 * A *session* here is what a client takes for one: it begins when the server says that it knows of
 * none, and goes on over connections for as long as the server says that it is present.
 */
import type { Qos, Version } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';

/** What every event carries. */
interface Moment {
  /** The step of the run in which it happened; for the reader of a violation only. */
  readonly step: number;
  /** Monotonic milliseconds. */
  readonly atMs: number;
}

/** A CONNECT left the client. */
export interface ConnectEvent extends Moment {
  readonly kind: 'connect';
  readonly client: string;
  readonly connection: string;
  readonly version: Version;
  readonly clean: boolean;
  /** Milliseconds for which the session outlives this connection; infinite is for ever. */
  readonly expiryMs: number;
}

/** The server took the client. A refusal is no event: the client comes again. */
export interface WelcomeEvent extends Moment {
  readonly kind: 'welcome';
  readonly client: string;
  readonly connection: string;
  readonly session: string;
  readonly sessionPresent: boolean;
  /** As in CONNECT, unless the server keeps it for another time. */
  readonly expiryMs: number;
}

/** A connection is over, as its client sees it. */
export interface EndEvent extends Moment {
  readonly kind: 'end';
  readonly client: string;
  readonly connection: string;
  /** True when the client still waits for nobody: its server learned it at once. */
  readonly isKnown: boolean;
  /** The reason that the server gave, where it gave one. */
  readonly reason?: string;
}

/** A client asked for a subscription, and what it was granted; `-1` is a refusal. */
export interface SubscribeEvent extends Moment {
  readonly kind: 'subscribe' | 'subscribed';
  readonly session: string;
  readonly filter: string;
  readonly qos: Qos | -1;
}

/** A client ended a subscription, and was told that it is over. */
export interface UnsubscribeEvent extends Moment {
  readonly kind: 'unsubscribe' | 'unsubscribed';
  readonly session: string;
  readonly filter: string;
}

/** A PUBLISH left a client, or a request with one an application. Payloads tell messages apart. */
export interface SendEvent extends Moment {
  readonly kind: 'send';
  /** Absent for a request. */
  readonly session?: string;
  readonly connection: string;
  readonly channel: string;
  readonly payload: string;
  readonly qos: Qos;
  readonly dup: boolean;
}

/** The server said that it has a message (PUBACK, PUBREC, the answer to a request). */
export interface AcknowledgedEvent extends Moment {
  readonly kind: 'acknowledged';
  readonly payload: string;
}

/** The server said that it will not have a message. */
export interface RefusedEvent extends Moment {
  readonly kind: 'refused';
  readonly payload: string;
  readonly reason: number;
}

/** A message came into the log. */
export interface CommittedEvent extends Moment {
  readonly kind: 'committed';
  readonly channel: string;
  readonly position: string;
  readonly payload: string;
}

/** The server knows that a message came into the log; what is killed before that knows it later. */
export interface KnownEvent extends Moment {
  readonly kind: 'known';
  readonly channel: string;
  readonly position: string;
}

/** A PUBLISH came to a client. */
export interface ArrivedEvent extends Moment {
  readonly kind: 'arrived';
  readonly session: string;
  readonly connection: string;
  readonly channel: string;
  readonly payload: string;
  readonly qos: Qos;
  readonly dup: boolean;
  readonly retain: boolean;
  /** Where the message says that it stands. */
  readonly position?: string;
}

/** A client handed a message to its application. */
export interface DeliveredEvent extends Moment {
  readonly kind: 'delivered';
  readonly session: string;
  readonly channel: string;
  readonly payload: string;
  readonly qos: Qos;
}

/** A client was told that it has lost messages. */
export interface LossEvent extends Moment {
  readonly kind: 'loss';
  readonly session: string;
  /** The channel, or the filter, in whose channels. */
  readonly filter: string;
}

/** The server did what no server may do on a connection, whatever the log holds. */
export interface MisconductEvent extends Moment {
  readonly kind: 'misconduct';
  readonly client: string;
  /** What it did and the clause that forbids it. */
  readonly what: string;
}

/** The process was killed, and forgot what it had not stored. */
export interface CrashEvent extends Moment {
  readonly kind: 'crash';
}

/** Everyone has had all the time in the world: what is owed now is not to come. */
export interface RestEvent extends Moment {
  readonly kind: 'rest';
  /** Sessions whose client is connected and has nothing under way. */
  readonly sessions: readonly string[];
  /** What is still under way, in words, of those who are not at rest. */
  readonly stuck: readonly string[];
}

/** Anything that happened. */
export type MqttEvent =
  | ConnectEvent
  | WelcomeEvent
  | EndEvent
  | SubscribeEvent
  | UnsubscribeEvent
  | SendEvent
  | AcknowledgedEvent
  | RefusedEvent
  | CommittedEvent
  | KnownEvent
  | ArrivedEvent
  | DeliveredEvent
  | LossEvent
  | MisconductEvent
  | CrashEvent
  | RestEvent;

/** One whole run. */
export interface MqttHistory {
  readonly events: readonly MqttEvent[];
  /** All channels of the run. */
  readonly channels: readonly string[];
  /** Milliseconds that a node may take to see in a channel what it has acknowledged there. */
  readonly seenMs: number;
  /** True for channels of which retention may take messages before everyone has read them. */
  readonly mayLose: (channel: string) => boolean;
}

/**
 * A promise that was broken.
 *
 * - `order`: messages of a channel came, or were stored, in another order than they were sent.
 * - `loss`: what had to come did not, and nobody was told.
 * - `twice`: QoS 2 or 0 came to an application twice, QoS 1 came again without being marked so, or
 *   one message was stored more often than it was sent.
 * - `stored`: what was acknowledged is not in the log.
 * - `session`: `Session Present` is wrong.
 * - `unasked`: what came was not asked for, or is not in the log, or came with another QoS.
 * - `alarm`: a loss was told where nothing can be lost.
 * - `conduct`: a packet came that may not come there.
 * - `stuck`: something never came to its end.
 */
export type MqttPromise =
  | 'order'
  | 'loss'
  | 'twice'
  | 'stored'
  | 'session'
  | 'unasked'
  | 'alarm'
  | 'conduct'
  | 'stuck';

/** One finding of the checker. */
export interface MqttViolation {
  readonly promise: MqttPromise;
  readonly step: number;
  /** What was promised, what was seen, and by whom. */
  readonly message: string;
}
