/** Surroundings: the bounds of a run, its channels and their rules, drawn by chance. */
import { DEFAULT_NAMESPACE } from '@trunkline/server/internal/config/namespace-rules.ts';
import type { NamespaceRules } from '@trunkline/server/internal/config/namespace-rules.ts';
import type { SeededRandom } from '../random.ts';
import type { ServerSetup } from './simulated-server.ts';

/** Channels that have readers of their own. */
export const READ_CHANNELS = ['news', 'room/1', 'room/2'] as const;

/** Channels that only those follow who follow patterns or several; they are born by and by. */
export const FOLLOWED_CHANNELS = ['room/3', 'hall/x', 'room', 'room/4', 'hall/1', 'room/4/x'];

/** All channels of a run that have a log. */
export const CHANNELS: readonly string[] = [...READ_CHANNELS, ...FOLLOWED_CHANNELS];

/** Channels of which nothing is kept. */
export const VOLATILE_CHANNELS: readonly string[] = ['room/now', 'now'];

/** Channels whose readers by name are listed as present. */
export const LISTED: readonly string[] = ['hall/x', 'room/3', 'now'];

/** Channels in which a message may run out of time. */
export const LAPSING: readonly string[] = ['room/3', 'hall/1', 'room'];

/** A channel that keeps next to nothing, so that whoever is away for long has lost something. */
const SHORT = 'hall/x';

/** What followers follow: they overlap in many ways. */
export const FOLLOWINGS: readonly (readonly string[])[] = [
  ['room/+'],
  ['#'],
  ['room/#'],
  ['+/x'],
  ['room/3'],
  ['hall/x', 'room/3'],
  ['now', 'room/now'],
  ['+/1', 'news', 'hall/+'],
];

/** Bounds that no run reaches. */
const LARGE_SIZE = 1_000_000_000;
const LONG_MS = 86_400_000;

/** Draws how the servers of a run are set up. */
export function setupOf(random: SeededRandom): ServerSetup {
  return {
    messageBytesMax: DEFAULT_NAMESPACE.messageBytesMax,
    highWaterSize: random.pick([500, 4_000]),
    // Where it is long, no later look at the log covers up for a wake-up that was lost.
    checkIntervalMs: random.pick([5_000, 3_600_000]),
    keyWindowMs: 3_600_000,
  };
}

/** Draws the rules of all channels: small bounds, so that trimming happens all the time. */
export function rulesOf(random: SeededRandom): (channel: string) => NamespaceRules {
  const resumeCountMax = random.pick([undefined, undefined, 4]);
  const rules: NamespaceRules = {
    ...DEFAULT_NAMESPACE,
    history: {
      countMax: random.pick([3, 10, 1_000]),
      sizeMax: random.pick([4_000, LARGE_SIZE]),
      ageMsMax: random.pick([20_000, LONG_MS]),
    },
    ...(resumeCountMax === undefined ? {} : { resumeCountMax }),
  };
  const short = { ...rules, history: { ...rules.history, countMax: 2 } };
  const presence = { listed: true, graceMs: random.pick([500, 10_000]) };
  return (channel) => {
    const own = channel === SHORT ? short : rules;
    const isVolatile = VOLATILE_CHANNELS.includes(channel);
    if (!isVolatile && !LISTED.includes(channel)) return own;
    return {
      ...own,
      volatile: isVolatile,
      presence: LISTED.includes(channel) ? presence : own.presence,
    };
  };
}

/** Messages that retention must leave: known where the count alone decides. */
export function retainedMin({ history }: NamespaceRules): number {
  const { countMax, sizeMax, ageMsMax } = history;
  return sizeMax >= LARGE_SIZE && ageMsMax >= LONG_MS ? countMax : 0;
}
