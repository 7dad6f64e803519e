/**
 * MQTT simulation: correct MQTT clients, over simulated networks, before servers that are killed.
 *
 * 1. A seed makes a world: a site, clients of both versions, what they subscribe to.
 * 2. Each step is chosen by chance: someone publishes, comes, goes, turns away, answers late; a line
 *    is cut behind a packet; the server is killed.
 * 3. In the end every fault ends and everyone is given time.
 * 4. The checker judges the whole history. The same seed gives the same run.
 */
import { checkMqtt } from './mqtt-checker.ts';
import type { MqttEvent, MqttViolation } from './mqtt-simulation/mqtt-history.ts';
import type { MqttSite, MqttSiteParts } from './mqtt-simulation/mqtt-site.ts';
import { MqttWorld } from './mqtt-simulation/mqtt-world.ts';
import { MQTT_CHANNELS } from './mqtt-simulation/surroundings.ts';

/** What to run. */
export interface MqttSimulationOptions {
  readonly seed: number;
  readonly steps: number;
  /** Where the servers run. */
  readonly createSite: (parts: MqttSiteParts) => MqttSite;
  /** False for a run in which no client's filters have a channel in common. */
  readonly overlapping?: boolean;
}

/** How much happened in a run; a run in which nothing happens proves nothing. */
export interface MqttSimulationSummary {
  readonly seed: number;
  readonly sent: number;
  readonly acknowledged: number;
  readonly stored: number;
  readonly arrived: number;
  readonly repeated: number;
  readonly welcomed: number;
  readonly resumed: number;
  readonly losses: number;
  readonly crashes: number;
}

/** What became of a run. */
export interface MqttSimulationResult {
  readonly violations: readonly MqttViolation[];
  readonly summary: MqttSimulationSummary;
  /** For who wants to know what led to a violation. */
  readonly events: readonly MqttEvent[];
}

/**
 * Runs one seed.
 *
 * @throws {Error} naming the seed, when the world breaks or never comes to rest.
 */
export async function runMqttSimulation(
  options: MqttSimulationOptions,
): Promise<MqttSimulationResult> {
  const { seed, steps, createSite, overlapping = true } = options;
  const world = new MqttWorld(seed, createSite, overlapping);
  const { recorder } = world;
  try {
    await world.start();
    for (let step = 0; step < steps; step += 1) await world.step();
    await world.rest();
  } catch (error) {
    recorder.fail(error);
  }
  if (recorder.failures.length > 0) {
    throw new Error(`seed ${seed} broke at step ${recorder.step}`, { cause: recorder.failures[0] });
  }
  const { events } = recorder;
  const mayLose = (channel: string): boolean => world.site.mayLose(channel);
  const { seenMs } = world.site;
  const violations = checkMqtt({ events, channels: MQTT_CHANNELS, mayLose, seenMs });
  return { violations, summary: summaryOf(world, seed), events };
}

function summaryOf(world: MqttWorld, seed: number): MqttSimulationSummary {
  const { events } = world.recorder;
  const count = (is: (event: MqttEvent) => boolean): number => events.filter(is).length;
  return {
    seed,
    sent: count(({ kind }) => kind === 'send'),
    acknowledged: count(({ kind }) => kind === 'acknowledged'),
    stored: count(({ kind }) => kind === 'committed'),
    arrived: count(({ kind }) => kind === 'arrived'),
    repeated: count((event) => event.kind === 'arrived' && event.dup),
    welcomed: count(({ kind }) => kind === 'welcome'),
    resumed: count((event) => event.kind === 'welcome' && event.sessionPresent),
    losses: count(({ kind }) => kind === 'loss'),
    crashes: world.crashes,
  };
}
