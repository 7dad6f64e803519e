/**
 * Simulation: the real hub, protocols and embedded broker over a simulated disk, network and time.
 *
 * 1. A seed makes a world: bounds of the log, channels, devices.
 * 2. Each step is chosen by chance: someone publishes, comes, goes, stops reading, freezes; the
 *    disk slows down, fills up, loses its answer; the server is killed and started again.
 * 3. In the end every fault ends and everyone is given time.
 * 4. The checker judges the whole history. The same seed gives the same run.
 */
import { summaryOfFollowing } from './follow-summary.ts';
import type { FollowingSummary } from './follow-summary.ts';
import { checkHistory } from './history-checker.ts';
import type { Violation } from './history.ts';
import type { Plant } from './simulation/plants.ts';
import { LISTED } from './simulation/surroundings.ts';
import { World } from './simulation/world.ts';

export { PLANTS } from './simulation/plants.ts';
export type { Plant } from './simulation/plants.ts';

/** What to run. */
export interface SimulationOptions {
  readonly seed: number;
  readonly steps: number;
  /** A mistake to put in, to see that it is noticed. */
  readonly plant?: Plant;
  /** False for a run in which nobody follows several channels. */
  readonly following?: boolean;
}

/** Runs many seeds one after the other; `onResult` is told each, a run that broke included. */
export async function simulate(
  seedFrom: number,
  count: number,
  steps: number,
  onResult: (result: SimulationResult | SimulationFailure) => void,
): Promise<void> {
  for (let seed = seedFrom; seed < seedFrom + count; seed += 1) {
    try {
      onResult(await runSimulation({ seed, steps }));
    } catch (error) {
      onResult({ seed, error });
    }
  }
}

/** A run that had no end to judge. */
export interface SimulationFailure {
  readonly seed: number;
  readonly error: unknown;
}

/** How much happened in a run; a run in which nothing happens proves nothing. */
export interface SimulationSummary {
  readonly seed: number;
  readonly steps: number;
  readonly published: number;
  readonly acknowledged: number;
  readonly refused: number;
  readonly opened: number;
  readonly recovered: number;
  readonly delivered: number;
  readonly gaps: number;
  readonly crashes: number;
  readonly following: FollowingSummary;
}

/** What became of a run. */
export interface SimulationResult {
  readonly violations: readonly Violation[];
  readonly summary: SimulationSummary;
}

/**
 * Runs one seed.
 *
 * @throws {Error} naming the seed, when the world breaks or never comes to rest.
 */
export async function runSimulation(options: SimulationOptions): Promise<SimulationResult> {
  const { seed, steps, plant, following = true } = options;
  const world = new World(seed, plant, following);
  try {
    await world.start();
    for (let step = 0; step < steps; step += 1) await world.step();
    await world.rest();
  } catch (error) {
    world.recorder.fail(error);
  }
  const { failures, step } = world.recorder;
  if (failures.length > 0) {
    throw new Error(`seed ${seed} broke at step ${step}`, { cause: failures[0] });
  }
  const violations = checkHistory({
    events: world.recorder.events,
    logs: world.logs(),
    keyWindowMs: world.setup.keyWindowMs,
    retainedMin: (channel) => world.retainedMin(channel),
    jumped: world.recorder.jumps > 0,
    listed: LISTED,
  });
  return { violations, summary: summaryOf(world, options) };
}

function summaryOf(world: World, options: SimulationOptions): SimulationSummary {
  const count = (kind: string): number =>
    world.recorder.events.filter((event) => event.kind === kind).length;
  const opened = world.recorder.events.filter((event) => event.kind === 'opened');
  return {
    seed: options.seed,
    steps: options.steps,
    published: count('publish'),
    acknowledged: count('acknowledged'),
    refused: count('refused'),
    opened: opened.length,
    recovered: opened.filter((event) => event.recovered === true).length,
    delivered: count('message'),
    gaps: count('gap') + opened.filter((event) => event.gap !== undefined).length,
    crashes: world.crashes,
    following: summaryOfFollowing(world.recorder.events),
  };
}
