/** Members against a model of a server: whatever comes in which order, the list is right in the end. */
import { ManualClock, seededRandom } from '@trunkline/testkit';
import type { Member, MemberPage } from '@trunkline/wire';
import { expect, test } from 'vitest';
import type { PresenceEvent } from '../../src/events.ts';
import { Members } from '../../src/reading/members.ts';

const USERS = Array.from({ length: 12 }, (_, index) => `u${String(index).padStart(2, '0')}`);
const PAGE_SIZE = 3;
const SEEDS = 300;
const STEPS = 80;

/** Who is there, what was told of it and has not arrived, and what was asked. */
class ModelServer {
  readonly users = new Map<string, Member>();
  readonly pushes: PresenceEvent[] = [];
  readonly asks: { after?: string | undefined; resolve(page: MemberPage): void; reject(): void }[] =
    [];
  readonly answers: (() => void)[] = [];
  #since = 0;

  /** @param isTold else a list is told some time later. */
  turn(user: string, isTold: boolean): void {
    const known = this.users.get(user);
    this.#since += 1;
    const member = known ?? { session: `s${this.#since}`, user, since: this.#since };
    if (known === undefined) this.users.set(user, member);
    else this.users.delete(user);
    if (!isTold) return;
    const kind = known === undefined ? 'join' : 'leave';
    this.pushes.push({ kind, channel: 'a', member });
  }

  list(): void {
    this.pushes.push({ kind: 'presence', channel: 'a', ...this.#page() });
  }

  ask(after?: string): Promise<MemberPage> {
    return new Promise((resolve, reject) => {
      this.asks.push({ after, resolve, reject: () => reject(new Error('lost')) });
    });
  }

  /** The page is as of now; it arrives when it is taken from `answers`. */
  answer(): void {
    const asked = this.asks.shift();
    if (asked === undefined) return;
    const page = this.#page(asked.after);
    this.answers.push(() => asked.resolve(page));
  }

  #page(after = ''): MemberPage {
    const names = [...this.users.keys()].filter((name) => name > after).toSorted();
    const shown = names.slice(0, PAGE_SIZE);
    const next = names.length > PAGE_SIZE ? shown.at(-1) : undefined;
    const members = shown.flatMap((name) => this.users.get(name) ?? []);
    return { members, count: this.users.size, ...(next !== undefined && { next }) };
  }
}

async function run(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const clock = new ManualClock();
  const server = new ModelServer();
  const members = new Members(
    (after) => server.ask(after),
    { clock, random: () => 0.5 },
    () => () => {},
  );
  const push = () => {
    const event = server.pushes.shift();
    if (event !== undefined) members.apply(event);
  };
  server.list();
  for (let step = 0; step < STEPS; step += 1) {
    const at = random.fraction();
    if (at < 0.25) server.turn(random.pick(USERS), true);
    else if (at < 0.5) push();
    else if (at < 0.65) server.answer();
    else if (at < 0.8) server.answers.shift()?.();
    else if (at < 0.85) server.asks.shift()?.reject();
    else if (at < 0.92) await clock.pass(random.pick([100, 2000, 9000]));
    else {
      // Many changes at once are told as a list.
      for (const user of USERS) if (random.chance(0.3)) server.turn(user, false);
      server.list();
    }
    await clock.settle();
  }
  for (let turn = 0; turn < 50; turn += 1) {
    while (server.pushes.length > 0) push();
    server.answer();
    server.answers.shift()?.();
    await clock.pass(10_000);
  }
  const known = members.all.map(({ user }) => String(user)).toSorted();
  expect(known, `seed ${seed}`).toEqual([...server.users.keys()].toSorted());
  expect(members, `seed ${seed}`).toMatchObject({ count: server.users.size, isComplete: true });
}

test(`[PRES-5] [PRES-7] [PRES-8] the list is right in the end, in ${SEEDS} seeds`, async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) await run(seed);
});
