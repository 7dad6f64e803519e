/** MQTT happenings: what can happen in a world of MQTT, and how often relative to the others. */
import type { Qos } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { faulty } from '../memory-link.ts';
import type { MemoryLink } from '../memory-link.ts';
import type { SeededRandom } from '../random.ts';
import type { Cut } from './client-line.ts';
import type { MqttClient } from './mqtt-client.ts';
import type { MqttWorld } from './mqtt-world.ts';
import { MQTT_CHANNELS } from './surroundings.ts';

type Happening = readonly [weight: number, happen: (world: MqttWorld) => void | Promise<void>];

/** Does one thing, chosen by chance. */
export function happen(world: MqttWorld): void | Promise<void> {
  const total = HAPPENINGS.reduce((sum, [weight]) => sum + weight, 0);
  let left = world.random.integer(total);
  for (const [weight, what] of HAPPENINGS) {
    left -= weight;
    if (left < 0) return what(world);
  }
  throw new Error('a choice fell outside the weights');
}

const HAPPENINGS: readonly Happening[] = [
  [60, publishSome],
  [6, publishElsewhere],
  [40, connectSome],
  [4, (world) => someone(world).disconnect()],
  [4, (world) => someone(world).drop()],
  [4, (world) => world.abandon(someone(world))],
  [16, cutSome],
  [1, (world) => someone(world).forget()],
  [8, (world) => someone(world).setLate(true)],
  [8, (world) => someone(world).setLate(false)],
  [12, (world) => someone(world).answer(1 + world.random.integer(3))],
  [5, subscribeSome],
  [3, (world) => someone(world).unsubscribe(world.random.pick(world.filters))],
  [3, (world) => onLink(world, (link, random) => faulty(link, { delayMs: random.integer(200) }))],
  [3, (world) => onLink(world, (link) => faulty(link, { freeze: true }))],
  [8, (world) => onLink(world, (link) => faulty(link, {}))],
  [6, (world) => onLink(world, (link) => link.hold())],
  [12, (world) => onLink(world, (link, random) => link.allow(random.integer(1_000)))],
  [8, (world) => onLink(world, (link) => link.release())],
  [4, (world) => world.site.happen()],
  [2, (world) => world.crash()],
  [1, (world) => world.stop()],
  [20, (world) => world.start()],
];

function someone({ random, clients }: MqttWorld): MqttClient {
  return random.pick(clients);
}

function publishSome(world: MqttWorld): void {
  const { random } = world;
  const client = someone(world);
  for (let count = 1 + random.integer(4); count > 0; count -= 1) {
    client.publish(random.pick(MQTT_CHANNELS), random.pick<Qos>([0, 1, 2]), random.pick([0, 100]));
  }
}

function publishElsewhere(world: MqttWorld): void {
  if (world.server === undefined) return;
  world.publish(world.random.pick(MQTT_CHANNELS), world.random.pick([0, 100]));
}

function connectSome(world: MqttWorld): void {
  if (world.server !== undefined) someone(world).connect(world.server);
}

/** A line breaks behind one of the next packets, in either direction. */
function cutSome(world: MqttWorld): void {
  const { random } = world;
  someone(world).cutAfter(1 + random.integer(6), random.pick<Cut>(['whole', 'part', 'nothing']));
}

function subscribeSome(world: MqttWorld): void {
  const { random } = world;
  someone(world).subscribe(random.pick(world.filters), random.pick<Qos>([0, 1, 2]));
}

function onLink(world: MqttWorld, change: (link: MemoryLink, random: SeededRandom) => void): void {
  const links = world.links();
  if (links.length > 0) change(world.random.pick(links), world.random);
}
