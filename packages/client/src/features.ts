/**
 * Features: what a line has only where the application hands it over, so that nobody loads what he
 * does not use. Without one of them a line does without, in the plain way that is said here, or says
 * what to import. Each feature is in the file of what it does.
 */
import { CodedError } from '@trunkline/wire';
import type { Channel } from './channel.ts';
import type { Climbable, Climbing } from './connection/connection.ts';
import type { Explanation } from './connection/explanation.ts';
import type { LadderMemory } from './connection/ladder.ts';
import type { NetworkHandlers } from './connection/network.ts';
import type { Ending } from './ending.ts';
import type { Platform } from './platform.ts';
import type { OutboxLimits } from './publishing/outbox.ts';
import type { Published } from './publishing/published.ts';
import type { Members } from './reading/members.ts';
import type { readHistory } from './reading/history.ts';
import type { validate } from './schema.ts';
import type { Attempt, Transport, TransportName, Welcome } from './transports/transport.ts';

/** All that there are. `connect` has them, `new Line` those that it is given. */
export interface Features {
  /** Keeps publishes until they are acknowledged. Without it each is sent once, and may be lost. */
  readonly outbox?: (parts: FeatureParts, limits?: OutboxLimits) => PublishQueue;
  /** Sends the newest of a slot as fast as it goes. Without it what can't be sent now is dropped. */
  readonly conflation?: (parts: FeatureParts) => SendQueue;
  /** Learns which transports work here. Without it they are tried in turn. */
  readonly ladder?: (transports: readonly Transport[], parts: LadderParts) => Choice;
  /** Listens for a network that comes and goes, and for sleep. Without it silence has to tell. */
  readonly network?: (parts: FeatureParts, handlers: NetworkHandlers) => () => void;
  /** Asks for the next token in time. Without it the server ends the connection first. */
  readonly renewal?: (parts: FeatureParts, renew: () => Promise<boolean>) => Renewing;
  /** `channel.members`: who is there, as a set that lives. */
  readonly members?: (channel: Pick<Channel, 'name' | 'parts'>) => Attending;
  /** `channel.history()`: what a channel keeps, page by page. */
  readonly history?: typeof readHistory;
  /** The `schema` of a channel: payloads that are checked. */
  readonly schemas?: typeof validate;
}

/** What features take from the line. */
export interface FeatureParts extends Platform {
  /** Unix milliseconds; may jump. */
  readonly unixMs: () => number;
}

/** Hears by which attempt the server can be asked. */
interface Follower {
  /** By this one, until `onLost`. */
  onReady(attempt: Attempt, welcome: Welcome): void;
  onLost(): void;
}

/** Publishes that are on their way. */
export interface PublishQueue extends Follower {
  /** Those without an answer. */
  readonly waiting: number;
  publish(
    channel: string,
    members: string,
    options: {
      readonly key?: string | undefined;
      readonly signal?: AbortSignal | undefined;
      readonly retry?: boolean | undefined;
    },
  ): Promise<Published>;
  /** There is no connection, and it will be tried again. */
  onFailure(error: Error): void;
  /** Takes publishes, as it does from the beginning, until `close`. */
  open(): void;
  /** Gives up what waits. */
  close(error?: Error): void;
}

/** What is sent without an answer. */
export interface SendQueue extends Follower {
  send(channel: string, members: string, slot?: string): void;
  /** Drops what waits. */
  close(): void;
}

/** What the choice of a transport is made by. */
export interface LadderParts extends FeatureParts {
  /** The server's. */
  readonly address: string;
  readonly memory?: LadderMemory | undefined;
}

/** Which transport to try next. */
export interface Choice {
  /** @throws {CodedError} `bad_request` when none can work in this runtime. */
  next(): Transport;
  /** It is ready, and in use from now on. */
  worked(name: TransportName): void;
  /** An attempt ended before it was ready. */
  failed(name: TransportName, ending: Ending): void;
  /** The one in use ended, without being closed from this side. */
  lost(name: TransportName, livedMs: number, reason: string): void;
  /** The one in use was left, for a reason that is not its own. */
  left(): void;
  /** What failed before may work now. */
  networkChanged(): void;
  /** What tries better ones beside the one in use, if anything does. */
  climbing?(connection: Climbable): Climbing;
  explain(): Explanation;
}

/** Sees to it that there is a good token. */
export interface Renewing {
  /** True when the time of the token that was taken is over. */
  readonly isOver: boolean;
  /** @param isFirst false for one that was asked for when there had been another. */
  take(token: string, isFirst: boolean): void;
  /** Nothing is asked for until another token is taken. */
  stop(): void;
}

/** Who is in a channel. */
export interface Attending {
  readonly members: Members;
  /** Follows who comes and goes for a reader, until the returned function is called. */
  follow(): () => void;
}

/** The feature of this name. @throws {CodedError} `bad_request` where there is none. */
export function needed<Name extends keyof Features>(
  features: Features,
  name: Name,
): NonNullable<Features[Name]> {
  const feature = features[name];
  if (feature !== undefined) return feature;
  const message = `give the line features: { ${name} }, which @trunkline/client exports`;
  throw new CodedError('bad_request', message);
}
