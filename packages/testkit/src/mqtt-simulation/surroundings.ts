/** Surroundings: the channels of a run, what clients subscribe to, and how clients speak. */
import type { Qos, Version } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import type { SeededRandom } from '../random.ts';
import type { MqttClientTraits } from './client-traits.ts';

/** All channels of a run. */
export const MQTT_CHANNELS: readonly string[] = ['news', 'room/1', 'room/2', 'hall/x'];

/** A channel of which next to nothing is kept, so that whoever is away for long loses something. */
export const SHORT_CHANNEL = 'hall/x';

/** What clients subscribe to; some of it overlaps. */
export const MQTT_FILTERS: readonly string[] = ['news', 'room/1', 'room/+', 'room/#', '#', '+/x'];

/** Those of them that have no channel in common. */
export const MQTT_FILTERS_APART: readonly string[] = ['news', 'room/+', '+/x'];

/** Draws how a client speaks. Users have several clients. */
export function traitsOf(
  random: SeededRandom,
  index: number,
  known: readonly string[],
): MqttClientTraits {
  const version: Version = random.pick([4, 5]);
  const keepsSession = random.chance(0.75);
  const receiveMaximum = random.pick([undefined, undefined, 1, 2, 5]);
  const kept = random.pick([10, 60, Infinity]);
  return {
    user: `user-${index % 2}`,
    clientId: `client-${index}`,
    version,
    keepsSession,
    expiry: keepsSession ? kept : 0,
    positions: version === 5 && random.chance(0.5),
    filters: filtersOf(random, known),
    ...(version === 4 || receiveMaximum === undefined ? {} : { receiveMaximum }),
  };
}

function filtersOf(random: SeededRandom, known: readonly string[]): Map<string, Qos> {
  const filters = new Map<string, Qos>();
  for (let count = random.integer(4); count > 0; count -= 1) {
    filters.set(random.pick(known), random.pick<Qos>([0, 1, 1, 2, 2]));
  }
  return filters;
}
