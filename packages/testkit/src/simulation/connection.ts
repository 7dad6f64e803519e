/** Connection: one way in which a device is connected to the server. */
import type { Identity } from '@trunkline/server/internal/auth/identity.ts';
import type { MemoryConnection } from '../memory-connection.ts';
import type { MemoryLink } from '../memory-link.ts';
import type { SeededRandom } from '../random.ts';
import type { Follower } from './follower.ts';
import type { Publication } from './publication.ts';
import type { Reader, Recorder } from './recorder.ts';
import type { SimulatedServer } from './simulated-server.ts';

/** What every connection is made from. */
export interface LineParts {
  readonly server: SimulatedServer;
  readonly recorder: Recorder;
  readonly random: SeededRandom;
  readonly identity: Identity;
  readonly user: string;
}

/** What a connection of readers of single channels is made from. */
export interface ConnectionParts extends LineParts {
  readonly readers: readonly Reader[];
}

/** What a connection of those who follow several channels is made from. */
export interface FollowingParts extends LineParts {
  readonly followers: readonly Follower[];
  /** All channels of the run. */
  readonly channels: readonly string[];
}

/** A device's line to the server, whatever carries it. */
export interface Connection {
  readonly transport: string;
  /** False once it has ended; the device then makes another one. */
  readonly isOpen: boolean;
  /** The links below it, for the network's faults. */
  readonly links: readonly MemoryLink[];
  /** What several of them share; absent where each has a connection of its own. */
  readonly shared?: MemoryConnection | undefined;
  /** Sends a publish; absent where the transport only listens. */
  publish?(publication: Publication): void;
  /** Begins anew in one channel without a new connection; absent where there is no way to. */
  resubscribe?(): void;
  /** Ends it from the client's side: politely, or by being gone. */
  end(politely: boolean): void;
}

/** Where a reader says it stands, and the sub-options that vary from one resume to the next. */
export interface Place {
  readonly after?: string;
  readonly last?: number;
  readonly partial?: true;
}

/** Where this reader asks to go on. Someone who stands nowhere may begin in several ways. */
export function placeOf(reader: Reader, random: SeededRandom): Place {
  const partial = random.chance(0.5) ? ({ partial: true } as const) : {};
  if (reader.position !== undefined) return { after: reader.position, ...partial };
  return random.pick<Place>([{}, { after: 'start' }, { after: '0:0', ...partial }, { last: 3 }]);
}
