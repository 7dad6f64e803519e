/** What the parts of a read tell each other. */
import type { Gap, Position } from '@trunkline/wire';
import type { Broker, ChangedChannel } from '../../broker/broker.ts';
import type { Clock } from '../../clock.ts';
import type { NamespaceRules } from '../../config/namespace-rules.ts';
import type { Channel } from '../channel.ts';
import type { ChannelTable } from '../channel-table.ts';
import type { ChannelRead, Start, Verdict } from '../hub-types.ts';
import type { LogReader } from '../log-reader.ts';
import type { PlaceMark } from '../place-mark.ts';
import type { Snapshot } from '../snapshots.ts';
import type { Sweep } from './sweep.ts';

/** What one look needs. */
export interface RoundParts {
  readonly broker: Broker;
  readonly table: ChannelTable;
  readonly reader: LogReader;
  readonly clock: Clock;
  readonly rulesOf: (channel: string) => NamespaceRules;
  /** The snapshot of a channel, if a reader that starts with it misses nothing. */
  readonly usefulSnapshot: (channel: Channel) => Promise<Snapshot | undefined>;
}

/** What a client is told of where it began. */
export type Told = Pick<Verdict, 'recovered' | 'gap'>;

/** One name's part of a read. */
export interface NameReading {
  readonly channel: Channel;
  readonly start: Start;
  /** What the client is told of its own start, where this one is of our making. */
  readonly told: Told | undefined;
}

/** What a read asks for, and where it stands. */
export interface ReadState {
  readonly names: readonly NameReading[];
  readonly patterns: readonly string[];
  /** Where all the patterns begin. */
  readonly patternStart: Start;
  /** What the client is told of its own start, by pattern, where this one is of our making. */
  readonly patternsTold: ReadonlyMap<string, Told> | undefined;
  readonly countMax: number;
  readonly wantsSnapshots: boolean;
}

/** What is known before anything is read. */
export interface RoundPlan {
  readonly sweep: Sweep | undefined;
  /** Names that the sweep comes to; the others begin at places of their own. */
  readonly swept: ReadonlySet<string>;
  /** Names that patterns match, and that begin elsewhere than these. */
  readonly met: ReadonlySet<string>;
  /** Where the names' channels stood before anything was listed, and not before the mark. */
  readonly heads: ReadonlyMap<string, Position>;
  /** The mark up to which is read. */
  readonly target: string;
  /** True where an answer before this one took the mark. */
  readonly isLate: boolean;
  /** What changed since the beginning of the sweep, by channel. */
  readonly changed: ReadonlyMap<string, ChangedChannel>;
}

/** What was found out about one channel: what is to be read of it, and told. */
export interface Entry {
  readonly name: string;
  /** Present where it was named. */
  readonly channel?: Channel;
  readonly verdict: Verdict;
  /** What is told of a name that begins after `verdict`, where the patterns that match it do. */
  readonly own?: Verdict;
  /** What patterns lose in a name that begins elsewhere than they do. */
  readonly loss?: { readonly gap?: Gap };
  readonly snapshot?: Snapshot;
  /** The life that is read; of another one nothing is. */
  readonly epoch: string;
  /** Up to here, which is where the channel stood at the mark; −1 where nothing can be read. */
  readonly top: number;
  readonly isSwept: boolean;
  /** True where nothing up to the mark can be read any more: it goes on beyond the mark. */
  readonly isBeyond?: boolean;
}

/** What one look gave. */
export interface Round {
  /** Those that were named, in the order given; then those found, by name. */
  readonly channels: readonly ChannelRead[];
  /** By pattern. */
  readonly patterns: ReadonlyMap<string, Told>;
  /** Where everything stands after it. */
  readonly place: PlaceMark;
  /** It ended, or went on with, what an answer before had begun: what came since is not listed. */
  readonly isLate: boolean;
  /** Something is left that had no room. */
  readonly isCut: boolean;
}

/** Channels that do not stand at the mark, and are not on the way there. */
export type Elsewhere = Map<string, Position>;
