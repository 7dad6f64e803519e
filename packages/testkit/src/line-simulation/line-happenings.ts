/** Line happenings: what can happen in a world of lines, and how often relative to the others. */
import { faulty } from '../memory-link.ts';
import type { MemoryLink } from '../memory-link.ts';
import type { SeededRandom } from '../random.ts';
import { FOLLOWED_CHANNELS, LAPSING, VOLATILE_CHANNELS } from '../simulation/surroundings.ts';
import type { LineReader } from './line-reader.ts';
import type { LineWorld } from './line-world.ts';
import { BLOCKS } from './network.ts';

/** Something that can happen, and how often relative to the others. */
type Happening = readonly [weight: number, happen: (world: LineWorld) => void | Promise<void>];

/** Does one thing, chosen by chance. */
export function happen(world: LineWorld): void | Promise<void> {
  const total = HAPPENINGS.reduce((sum, [weight]) => sum + weight, 0);
  let left = world.random.integer(total);
  for (const [weight, what] of HAPPENINGS) {
    left -= weight;
    if (left < 0) return what(world);
  }
  throw new Error('a choice fell outside the weights');
}

/** Messages of a flood: more than may wait for a slow listener. */
const FLOOD_COUNT = 300;

const HAPPENINGS: readonly Happening[] = [
  [40, publishSome],
  [1, flood],
  [16, (world) => world.random.pick(world.applications).listen()],
  [8, (world) => world.random.pick(world.applications).relisten()],
  [2, reloadOne],
  [2, openOrClose],
  [6, (world) => changeReader(world, (reader) => reader.setSlow(true))],
  [3, (world) => changeReader(world, (reader) => reader.setSlow(false))],
  [3, (world) => changeReader(world, (reader) => reader.stick())],
  [6, (world) => changeReader(world, (reader) => reader.free())],
  [5, changeNetwork],
  [6, (world) => world.random.pick(world.applications).network.set([])],
  [4, (world) => world.random.pick(world.applications).network.cut()],
  [3, loseAnswers],
  [
    4,
    (world) =>
      changeLink(world, (link, random) => faulty(link, { dropAfter: 1 + random.integer(4) })),
  ],
  [
    3,
    (world) => changeLink(world, (link, random) => faulty(link, { delayMs: random.integer(200) })),
  ],
  [2, (world) => changeLink(world, (link) => faulty(link, { freeze: true }))],
  [8, (world) => changeLink(world, (link) => faulty(link, {}))],
  [4, (world) => changeLink(world, (link) => link.hold())],
  [8, (world) => changeLink(world, (link, random) => link.allow(random.integer(2_000)))],
  [6, (world) => changeLink(world, (link) => link.release())],
  [4, changeDisk],
  [2, jumpInTime],
  [4, publishVolatile],
  [1, (world) => world.machine.purge(world.random.pick(FOLLOWED_CHANNELS))],
  [2, (world) => world.machine.crash()],
  [1, (world) => world.machine.stop()],
  [12, (world) => world.machine.start()],
];

function publishSome(world: LineWorld): void {
  const { random } = world;
  const application = random.pick(world.applications);
  for (let count = 1 + random.integer(4); count > 0; count -= 1) {
    const channel = random.pick(world.bornChannels);
    const mayLapse = LAPSING.includes(channel) && random.chance(0.4);
    application.publish({
      channel,
      padding: random.pick([0, 100, 1_000]),
      ...(mayLapse ? { ttl: random.pick([1, 100, 5_000]) } : {}),
    });
  }
}

/** More at once in one channel than a slow listener lets wait. */
function flood(world: LineWorld): void {
  const { random } = world;
  const channel = random.pick(world.bornChannels);
  const application = random.pick(world.applications);
  for (let count = FLOOD_COUNT; count > 0; count -= 1) application.publish({ channel, padding: 0 });
}

function publishVolatile({ random, applications }: LineWorld): void {
  const channel = random.pick(VOLATILE_CHANNELS);
  random.pick(applications).publish({ channel, padding: 0, isVolatile: true });
}

function reloadOne(world: LineWorld): void {
  const application = world.random.pick(world.applications);
  if (!application.isClosed) application.reload();
}

function openOrClose(world: LineWorld): void {
  const application = world.random.pick(world.applications);
  if (application.isClosed) application.open();
  else application.close();
}

function changeReader(world: LineWorld, change: (reader: LineReader) => void): void {
  const readers = world.applications.flatMap((application) => application.readers);
  if (readers.length > 0) change(world.random.pick(readers));
}

function changeNetwork({ random, applications }: LineWorld): void {
  const blocks = [random.pick(BLOCKS), random.pick(BLOCKS)];
  random.pick(applications).network.set(random.chance(0.5) ? blocks : blocks.slice(1));
}

function loseAnswers({ random, applications }: LineWorld): void {
  random.pick(applications).network.lossChance = random.pick([0, 0.1, 0.5]);
}

function changeLink(
  { applications, random }: LineWorld,
  change: (link: MemoryLink, random: SeededRandom) => void,
): void {
  const links = applications.flatMap(({ network }) => [...network.links]);
  if (links.length > 0) change(random.pick(links), random);
}

function jumpInTime({ clock, random }: LineWorld): void {
  clock.stepUnix(random.integer(20_000) - 10_000);
}

function changeDisk({ machine, random, hasDoubts }: LineWorld): void {
  const { faults } = machine;
  faults.full = hasDoubts && random.chance(0.3);
  faults.unreadable = random.chance(0.15);
  faults.unknownChance = hasDoubts ? random.pick([0, 0, 0.2]) : 0;
  faults.delayMsMax = random.pick([0, 10, 100]);
}
