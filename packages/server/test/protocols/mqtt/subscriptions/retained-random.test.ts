import { seededRandom } from '@trunkline/testkit';
import type { MqttPeer } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { startMqtt } from '../mqtt-setup.ts';

const SEEDS = Array.from({ length: 40 }, (_, seed) => seed);
const OPTIONS = { clientId: 'c', clean: false, expiry: 3_600 };

/**
 * A client that takes what is retained in some steps: it acknowledges some, is cut off at any moment,
 * and comes back, sometimes after a crash of the server.
 */
async function take(seed: number): Promise<{ wanted: string[]; first: string[]; all: string[] }> {
  const random = seededRandom(seed);
  const world = await startMqtt({ config: { inflightMax: random.pick([1, 3, 20]) } });
  const { clock, publish } = world;
  const qos = random.pick([1, 2] as const);
  const count = random.integer(300);
  const wanted: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const channel = random.pick([`a/${index}`, `a/b/${index}`, `b/${index}`]);
    if (channel.startsWith('a/')) wanted.push(channel);
    await publish(channel, `${index}`, { retain: true });
  }
  let open = world.peer;
  let peer: MqttPeer = open();
  await peer.connect(OPTIONS);
  await peer.subscribe({ filter: 'a/#', qos });
  const first: string[] = [];
  const all: string[] = [];
  for (let step = 0; step < 3_000; step += 1) {
    const packets = peer.take();
    for (const packet of packets) {
      if (packet.kind === 'publish') {
        expect(packet.retain).toBe(true);
        all.push(packet.topic);
        if (!packet.dup) first.push(packet.topic);
        // Those that are not acknowledged hold up the rest until they come again.
        if (random.fraction() < 0.95) {
          await peer.ack(qos === 1 ? 'puback' : 'pubrec', packet.packetId);
        }
      } else if (packet.kind === 'pubrec' || packet.kind === 'pubrel') {
        await peer.ack('pubcomp', packet.packetId);
      }
    }
    const isCut = random.fraction() < 0.02 || packets.length === 0;
    if (!isCut) continue;
    await peer.drop();
    if (new Set(all).size === wanted.length && packets.length === 0) break;
    if (random.fraction() < 0.3) open = (await world.restart()).peer;
    peer = open();
    await peer.connect(OPTIONS);
    await clock.settle();
  }
  return { wanted, first, all };
}

describe('Retained, at random', () => {
  it.each(SEEDS)('comes whole, and nothing but redeliveries twice (seed %i)', async (seed) => {
    const { wanted, first, all } = await take(seed);
    expect([...new Set(all)].toSorted()).toEqual(wanted.toSorted());
    expect(new Set(first).size).toBe(first.length);
  });
});
