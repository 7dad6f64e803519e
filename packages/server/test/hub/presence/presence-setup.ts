/** A presence on a manual clock, and watchers that keep a list as a client would. */
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import { Presence } from '@trunkline/server/internal/hub/presence/presence.ts';
import type { PresenceConfig } from '@trunkline/server/internal/hub/presence/config.ts';
import type { Watch } from '@trunkline/server/internal/hub/presence/audience.ts';
import type {
  Newcomer,
  PresenceEncoding,
  PresenceEvent,
  PresenceWatcher,
} from '@trunkline/server/internal/hub/presence/presence-types.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';
import { ManualClock, MemoryLink } from '@trunkline/testkit';
import type { Member, MemberPage } from '@trunkline/wire';

export const GRACE_MS = 10_000;
/** How exact the wheel of these tests is. */
export const TICK_MS = 10;
export const HIGH_WATER_SIZE = 4_096;

/** Events as they are; counts how often it is asked. */
export function countingEncoding(): PresenceEncoding & { count: number; events: number } {
  return {
    name: 'events',
    text: true,
    count: 0,
    events: 0,
    encode(_channel, events) {
      this.count += 1;
      this.events += events.length;
      return Buffer.from(JSON.stringify(events));
    },
  };
}

export const eventsEncoding = countingEncoding();

export interface World {
  readonly clock: ManualClock;
  readonly wheel: Wheel;
  readonly turn: Turn;
  readonly presence: Presence;
}

export function setUp(config: Partial<PresenceConfig> = {}): World {
  const clock = new ManualClock();
  const wheel = new Wheel(clock, TICK_MS);
  const turn = new Turn(clock);
  const presence = new Presence({
    clock,
    wheel,
    turn,
    log: silentLog,
    config: {
      node: 'n1',
      graceMsOf: () => GRACE_MS,
      highWaterSize: HIGH_WATER_SIZE,
      ...config,
    },
  });
  return { clock, wheel, turn, presence };
}

/** Ends turns until nothing more is written. */
export function settle({ clock }: Pick<World, 'clock'>): void {
  for (let turn = 0; clock.deferredCount > 0 && turn < 1_000; turn += 1) clock.runDeferred();
}

/** Lets time pass, and every turn end in which something happens. */
export function pass(world: Pick<World, 'clock'>, ms: number): void {
  const { clock } = world;
  const endMs = clock.monotonicMs() + ms;
  settle(world);
  for (;;) {
    const restMs = endMs - clock.monotonicMs();
    const stepMs = clock.nextTimerMs ?? restMs;
    clock.advance(Math.min(stepMs, restMs));
    settle(world);
    if (stepMs >= restMs) return;
  }
}

/** A user with one session of the same name, or a session of nobody known. */
export function someone(user: string, session: string = user): Newcomer {
  return { session, user };
}

/** How a person is called here: users and strangers never mix. */
export function personOf({ session, user }: Pick<Newcomer, 'session' | 'user'>): string {
  return user === undefined ? `session ${session}` : `user ${user}`;
}

/** A client that watches a channel by what its link brings. */
export class Viewer implements PresenceWatcher {
  readonly link: MemoryLink;
  readonly presenceEncoding: PresenceEncoding;
  readonly channel: string;
  readonly watch: Watch;
  /** Everything it was told, in order. */
  readonly told: PresenceEvent[] = [];
  /** Who it believes is there. */
  readonly people = new Map<string, Member>();
  readonly #world: World;

  constructor(world: World, channel: string, encoding: PresenceEncoding = eventsEncoding) {
    this.#world = world;
    this.channel = channel;
    this.presenceEncoding = encoding;
    this.link = new MemoryLink({ clock: world.clock, turn: world.turn });
    this.link.attach({
      onFrame() {},
      onDrain: () => world.presence.advance(this.watch),
      onClose: () => world.presence.unwatch(this.watch),
    });
    this.watch = world.presence.watch(channel, this);
  }

  /** Begins with the list that it is shown at once. */
  show(): this {
    this.#replace(this.#world.presence.show(this.watch));
    return this;
  }

  /** Begins with the list that is sent to it. */
  advance(): this {
    this.#world.presence.advance(this.watch);
    return this;
  }

  /** Takes in what has reached it. @returns the new events, in short: `+alice`, `-bob`, `=3`. */
  take(): string[] {
    const events = this.link
      .takeFrames()
      .flatMap((frame) => JSON.parse(String(frame)) as PresenceEvent[]);
    for (const event of events) this.#apply(event);
    this.told.push(...events);
    return events.map(inShort);
  }

  /** Everyone it believes is there, sorted. */
  get names(): string[] {
    return [...this.people.keys()].sort();
  }

  #apply(event: PresenceEvent): void {
    if (event.kind === 'snapshot') this.#replace(event.page);
    else if (event.kind === 'join') this.people.set(personOf(event.member), event.member);
    else this.people.delete(personOf(event.member));
  }

  /** Pages on from the first page, as a client would with the command. */
  #replace(first: MemberPage): void {
    this.people.clear();
    let page = first;
    for (;;) {
      for (const member of page.members) this.people.set(personOf(member), member);
      if (page.next === undefined) return;
      page = this.#world.presence.page(this.channel, { countMax: 1_000, after: page.next });
    }
  }
}

function inShort(event: PresenceEvent): string {
  if (event.kind === 'snapshot') return `=${event.page.count}`;
  const { user, session } = event.member;
  return `${event.kind === 'join' ? '+' : '-'}${user ?? session}`;
}
