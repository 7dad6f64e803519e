/**
 * Line simulation: the real client over simulated networks, before the real server over a simulated
 * disk and time.
 *
 * 1. A seed makes a world: a server's machine, applications and what lies between them.
 * 2. Each step is chosen by chance: someone publishes, listens, stops, is slow, reloads; a proxy
 *    blocks what it does not know, connections break; the disk fails, the server is killed.
 * 3. In the end every fault ends and everyone is given time, one user goes and comes back, everyone
 *    climbs to the best of its transports, and all lines are closed.
 * 4. The checker judges what the applications were told. The same seed gives the same run.
 */
import type { Violation } from './history.ts';
import { checkLines } from './line-simulation/line-checker.ts';
import { LineWorld } from './line-simulation/line-world.ts';
import type { LineWorldOptions } from './line-simulation/line-world.ts';

export type { Tamper } from './line-simulation/application.ts';

/** What to run. */
export interface LineSimulationOptions extends LineWorldOptions {
  readonly seed: number;
  readonly steps: number;
}

/** How much happened in a run; a run in which nothing happens proves nothing. */
export interface LineSimulationSummary {
  readonly seed: number;
  readonly published: number;
  readonly acknowledged: number;
  readonly refused: number;
  readonly readers: number;
  readonly begun: number;
  readonly heard: number;
  readonly gaps: number;
  readonly crashes: number;
  readonly dials: number;
}

/** What became of a run. */
export interface LineSimulationResult {
  readonly violations: readonly Violation[];
  readonly summary: LineSimulationSummary;
}

/**
 * Runs one seed.
 *
 * @throws {Error} naming the seed, when the world breaks or never comes to rest.
 */
export async function runLineSimulation(
  options: LineSimulationOptions,
): Promise<LineSimulationResult> {
  const { seed, steps } = options;
  const world = new LineWorld(seed, options);
  const { recorder, machine } = world;
  const violations: Violation[] = [];
  try {
    await machine.start();
    for (let step = 0; step < steps; step += 1) await world.step();
    await world.rest();
    violations.push(
      ...checkLines({
        events: recorder.events,
        logs: machine.logs(),
        heads: (filter) => recorder.headsOf(filter),
        keyWindowMs: machine.setup.keyWindowMs,
        countMin: (channel) => machine.countMin(channel),
      }),
      ...world.unrest(),
      ...world.strangers(),
    );
    violations.push(...(await world.depart()));
    await world.climb();
    violations.push(...world.notOnTop());
    await world.end();
    violations.push(...world.leaks());
  } catch (error) {
    recorder.fail(error);
  }
  const { failures, step } = recorder;
  if (failures.length > 0) {
    throw new Error(`seed ${seed} broke at step ${step}`, { cause: failures[0] });
  }
  return { violations, summary: summaryOf(world, seed) };
}

function summaryOf({ recorder, machine, applications }: LineWorld, seed: number) {
  const count = (kind: string): number =>
    recorder.events.filter((event) => event.kind === kind).length;
  return {
    seed,
    published: count('publish'),
    acknowledged: count('acknowledged'),
    refused: count('refused'),
    readers: count('listens'),
    begun: count('begins'),
    heard: count('hears'),
    gaps: count('misses'),
    crashes: machine.crashes,
    dials: applications.reduce((sum, { network }) => sum + network.dials, 0),
  };
}
