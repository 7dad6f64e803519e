/** Happenings: what can happen in a world, and how often relative to the others. */
import type { MemoryConnection } from '../memory-connection.ts';
import { faulty } from '../memory-link.ts';
import type { MemoryLink } from '../memory-link.ts';
import type { SeededRandom } from '../random.ts';
import { FOLLOWED_CHANNELS, LAPSING, VOLATILE_CHANNELS } from './surroundings.ts';
import type { World } from './world.ts';

/** Something that can happen, and how often relative to the others. */
type Happening = readonly [weight: number, happen: (world: World) => void | Promise<void>];

/** Does one thing, chosen by chance. */
export function happen(world: World): void | Promise<void> {
  return choose(HAPPENINGS, world.random)(world);
}

const HAPPENINGS: readonly Happening[] = [
  [30, publishSome],
  [10, retrySome],
  [20, connectSome],
  [4, (world) => disconnectOne(world, true)],
  [4, (world) => disconnectOne(world, false)],
  [2, (world) => world.random.pick(world.devices).forget()],
  [
    4,
    (world) =>
      changeLink(world, (link, random) => faulty(link, { dropAfter: 1 + random.integer(4) })),
  ],
  [
    3,
    (world) => changeLink(world, (link, random) => faulty(link, { delayMs: random.integer(200) })),
  ],
  [3, (world) => changeLink(world, (link) => faulty(link, { freeze: true }))],
  [8, (world) => changeLink(world, (link) => faulty(link, {}))],
  [6, (world) => changeLink(world, (link) => link.hold())],
  [12, (world) => changeLink(world, (link, random) => link.allow(random.integer(2_000)))],
  [6, (world) => changeLink(world, (link) => link.release())],
  [3, (world) => changeShared(world, (connection) => connection.hold())],
  [
    6,
    (world) => changeShared(world, (connection, random) => connection.allow(random.integer(2_000))),
  ],
  [4, (world) => changeShared(world, (connection) => connection.release())],
  [1, (world) => changeShared(world, (connection) => connection.drop())],
  [4, changeDisk],
  [2, jumpInTime],
  [3, (world) => world.random.pick(world.devices).connection?.resubscribe?.()],
  [8, publishVolatile],
  [1, purgeOne],
  [24, resubscribeSome],
  [12, connectFollowing],
  [2, (world) => world.crash()],
  [1, (world) => world.stop()],
  [12, (world) => world.start()],
];

function publishSome(world: World): void {
  const { server, random } = world;
  if (server === undefined) return;
  for (let count = 1 + random.integer(4); count > 0; count -= 1) {
    const channel = random.pick(world.bornChannels);
    const mayLapse = LAPSING.includes(channel) && random.chance(0.4);
    random.pick(world.devices).publish(server, {
      channel,
      padding: random.pick([0, 100, 1_000]),
      ...(mayLapse ? { ttl: random.pick([1, 100, 5_000]) } : {}),
    });
  }
}

/** Says something that nobody keeps. */
export function publishVolatile({ server, random, followingDevices }: World): void {
  if (server === undefined || followingDevices.length === 0) return;
  for (let count = 1 + random.integer(4); count > 0; count -= 1) {
    const slot = random.pick([undefined, 'a', 'b']);
    random.pick(followingDevices).publish(server, {
      channel: random.pick(VOLATILE_CHANNELS),
      padding: random.pick([0, 100, 1_000]),
      isVolatile: true,
      ...(slot === undefined ? {} : { slot }),
    });
  }
}

/** An application removes all that is kept of a channel. */
function purgeOne(world: World): void {
  const { server, random, followingDevices } = world;
  if (server === undefined || followingDevices.length === 0) return;
  const channel = random.pick(FOLLOWED_CHANNELS);
  const purge = world.beginPurge(channel);
  // What failed may have happened all the same.
  server.purge(channel).then(purge.end, purge.end);
}

function retrySome(world: World): void {
  if (world.server !== undefined) world.random.pick(world.devices).retry(world.server);
}

function connectSome(world: World): void {
  if (world.server !== undefined) world.random.pick(world.devices).connect(world.server);
}

function connectFollowing({ server, random, followingDevices }: World): void {
  if (server !== undefined && followingDevices.length > 0) {
    random.pick(followingDevices).connect(server);
  }
}

/** Someone who follows several channels changes what it follows. */
function resubscribeSome({ random, followingDevices }: World): void {
  if (followingDevices.length > 0) random.pick(followingDevices).connection?.resubscribe?.();
}

function disconnectOne(world: World, politely: boolean): void {
  world.random.pick(world.devices).disconnect(politely);
}

function changeLink(world: World, change: (link: MemoryLink, random: SeededRandom) => void): void {
  const links = world.links();
  if (links.length > 0) change(world.random.pick(links), world.random);
}

/** Something happens to a connection that carries several links. */
function changeShared(
  { devices, random }: World,
  change: (connection: MemoryConnection, random: SeededRandom) => void,
): void {
  const shared = devices.flatMap(({ connection }) => connection?.shared ?? []);
  if (shared.length > 0) change(random.pick(shared), random);
}

function jumpInTime({ clock, random, recorder }: World): void {
  recorder.noteJump();
  clock.stepUnix(random.integer(20_000) - 10_000);
}

function changeDisk({ faults, random }: World): void {
  faults.full = random.chance(0.15);
  faults.unreadable = random.chance(0.15);
  faults.unknownChance = random.pick([0, 0, 0.2]);
  faults.delayMsMax = random.pick([0, 10, 100]);
}

function choose(happenings: readonly Happening[], random: SeededRandom): Happening[1] {
  const total = happenings.reduce((sum, [weight]) => sum + weight, 0);
  let left = random.integer(total);
  for (const [weight, what] of happenings) {
    left -= weight;
    if (left < 0) return what;
  }
  throw new Error('a choice fell outside the weights');
}
