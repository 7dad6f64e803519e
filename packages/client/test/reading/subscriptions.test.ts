import { isWildcard, matchesPattern, parsePosition } from '@trunkline/wire';
import { seededRandom } from '@trunkline/testkit';
import { expect, test } from 'vitest';
import { Subscription } from '../../src/reading/subscription.ts';
import type { ReadingEvent, ReadingOptions } from '../../src/reading/subscription.ts';
import { Subscriptions } from '../../src/reading/subscriptions.ts';

type Random = ReturnType<typeof seededRandom>;

/** What a session of a server does, by the contract, one step at a time. */
class ModelSession {
  readonly #log: ModelLog;
  readonly #subscriptions: Subscriptions;
  /** What was asked for and is not answered yet. */
  readonly #asked: string[] = [];
  readonly #filters = new Set<string>();
  /** The next offset to send of each channel that is read. */
  readonly #next = new Map<string, { epoch: string; offset: number }>();

  constructor(log: ModelLog, subscriptions: Subscriptions) {
    this.#log = log;
    this.#subscriptions = subscriptions;
    subscriptions.restart(true);
    this.#asked.push(...subscriptions.filters());
  }

  revise(filter: string): void {
    if (!this.#asked.includes(filter)) this.#asked.push(filter);
  }

  get isIdle(): boolean {
    return this.#asked.length === 0 && [...this.#next.keys()].every((name) => !this.#hasMore(name));
  }

  /** Answers a wish, or sends a message. */
  step(random: Random): void {
    const behind = [...this.#next.keys()].filter((name) => this.#hasMore(name));
    const filter = this.#asked[0];
    if (filter !== undefined && (behind.length === 0 || random.chance(0.5))) {
      this.#asked.shift();
      this.#answer(filter);
    } else if (behind.length > 0) {
      this.#send(random.pick(behind));
    }
  }

  #answer(filter: string): void {
    const wish = this.#subscriptions.wish(filter);
    if (wish === undefined) {
      this.#filters.delete(filter);
      for (const name of this.#next.keys()) {
        if (![...this.#filters].some((one) => matches(one, name))) this.#next.delete(name);
      }
      return;
    }
    this.#filters.add(filter);
    const names = isWildcard(filter)
      ? this.#log.names().filter((name) => matches(filter, name))
      : [filter];
    const gaps = names.flatMap((name) => {
      const { top, epoch } = this.#log.channel(name);
      let offset = top;
      let reason: 'epoch' | 'trimmed' | undefined;
      const after = wish.after ?? '';
      const position = after.startsWith('~')
        ? this.#log.positionAt(after, name)
        : parsePosition(after);
      if (after === 'start') offset = this.#log.oldest(name) - 1;
      else if (position !== undefined) {
        if (position.epoch !== epoch && position.offset + top > 0 && position.epoch !== '0')
          reason = 'epoch';
        else if (position.offset < this.#log.oldest(name) - 1) reason = 'trimmed';
        else offset = position.offset;
      } else if (wish.last !== undefined) {
        offset = Math.max(this.#log.oldest(name) - 1, top - wish.last);
      }
      const before = this.#next.get(name);
      // Whoever reads the channel already is told first.
      if (before !== undefined && before.epoch !== '0' && before.epoch !== epoch) this.#send(name);
      const known = this.#next.get(name);
      if (known?.epoch !== epoch || known.offset > offset + 1)
        this.#next.set(name, { epoch, offset: offset + 1 });
      return [{ name, offset: [epoch, offset] as const, reason }];
    });
    const lost = gaps.find(({ reason }) => reason !== undefined);
    const one = gaps[0];
    const isPattern = isWildcard(filter);
    this.#subscriptions.onOpen({
      kind: 'open',
      channel: filter,
      ...(isPattern
        ? { mark: this.#log.mark(gaps.map(({ name, offset }) => [name, offset])) }
        : { position: `${one?.offset[0] ?? '0'}:${one?.offset[1] ?? 0}` }),
      ...(wish.after !== undefined && { recovered: lost === undefined }),
      ...(lost?.reason !== undefined && { gap: { reason: lost.reason } }),
    });
    if (!isPattern) return;
    for (const { name, offset, reason } of gaps) {
      if (reason === undefined) continue;
      this.#subscriptions.onGap({
        kind: 'gap',
        channel: name,
        gap: { reason },
        position: offset.join(':'),
      });
    }
  }

  #hasMore(name: string): boolean {
    const next = this.#next.get(name);
    const { epoch, top } = this.#log.channel(name);
    return next !== undefined && (next.epoch !== epoch ? epoch !== '0' : next.offset <= top);
  }

  /** A channel that was born is read by who reads a pattern. */
  born(name: string): void {
    if (this.#next.has(name)) return;
    if ([...this.#filters].some((one) => matches(one, name))) {
      this.#next.set(name, { epoch: this.#log.channel(name).epoch, offset: 1 });
    }
  }

  #send(name: string): void {
    const next = this.#next.get(name);
    const { epoch } = this.#log.channel(name);
    if (next === undefined) return;
    const oldest = this.#log.oldest(name);
    if (next.epoch !== epoch && next.epoch !== '0') {
      this.#next.set(name, { epoch, offset: oldest });
      const gap = { reason: 'epoch' } as const;
      this.#subscriptions.onGap({
        kind: 'gap',
        channel: name,
        gap,
        position: `${epoch}:${oldest - 1}`,
      });
      return;
    }
    if (next.offset < oldest) {
      this.#next.set(name, { epoch, offset: oldest });
      const gap = { reason: 'trimmed' } as const;
      this.#subscriptions.onGap({
        kind: 'gap',
        channel: name,
        gap,
        position: `${epoch}:${oldest - 1}`,
      });
      return;
    }
    this.#next.set(name, { epoch, offset: next.offset + 1 });
    // A mark can be said where nobody is behind.
    const isAtHead = [...this.#next.keys()].every((one) => !this.#hasMore(one));
    const isFound = [...this.#filters].some((one) => isWildcard(one) && matches(one, name));
    const message = { kind: 'message', channel: name, epoch, offset: next.offset } as const;
    const mark = isAtHead && isFound ? { mark: this.#log.mark() } : {};
    this.#subscriptions.onMessage({ ...message, ...mark });
    if (isAtHead) this.#subscriptions.onMark([...this.#filters], this.#log.mark());
  }
}

function matches(filter: string, name: string): boolean {
  return filter === name || matchesPattern(filter, name);
}

class ModelLog {
  readonly #channels = new Map<string, { epoch: string; top: number; oldest: number }>();
  readonly #marks: Map<string, { epoch: string; offset: number }>[] = [];
  #lives = 0;

  names(): string[] {
    return [...this.#channels.keys()];
  }

  channel(name: string) {
    return this.#channels.get(name) ?? { epoch: '0', top: 0, oldest: 1 };
  }

  oldest(name: string): number {
    return this.channel(name).oldest;
  }

  publish(name: string): void {
    const known = this.#channels.get(name);
    if (known === undefined) {
      this.#lives += 1;
      this.#channels.set(name, { epoch: `e${this.#lives}`, top: 1, oldest: 1 });
    } else {
      known.top += 1;
    }
  }

  trim(name: string): void {
    const known = this.#channels.get(name);
    if (known !== undefined) known.oldest = Math.max(known.oldest, known.top - 2);
  }

  purge(name: string): void {
    this.#channels.delete(name);
    this.publish(name);
  }

  /** @param behind the channels that do not stand at their newest message. */
  mark(behind: readonly (readonly [string, readonly [string, number]])[] = []): string {
    const all = [...this.#channels].map(
      ([name, { epoch, top }]) => [name, { epoch, offset: top }] as const,
    );
    const own = behind.map(([name, [epoch, offset]]) => [name, { epoch, offset }] as const);
    this.#marks.push(new Map([...all, ...own]));
    return `~${this.#marks.length - 1}`;
  }

  positionAt(mark: string, name: string): { epoch: string; offset: number } {
    return this.#marks[Number(mark.slice(1))]?.get(name) ?? { epoch: '0', offset: 0 };
  }
}

/** One who reads, and judges what it is told. */
class Reader {
  readonly subscription: Subscription;
  readonly faults: string[] = [];
  readonly places = new Map<string, { epoch: string; offset: number }>();
  readonly #starts = new Map<string, { epoch: string; offset: number }>();
  readonly #log: ModelLog;
  count = 0;
  opens = 0;

  constructor(log: ModelLog, filter: string, options: ReadingOptions) {
    this.#log = log;
    this.subscription = new Subscription(filter, options, {
      onEvent: (event) => this.#judge(event),
      onEnd: () => this.faults.push('ended'),
    });
  }

  #judge(event: ReadingEvent): void {
    if (event.kind === 'open') {
      this.opens += 1;
      const { mark } = event;
      if (mark !== undefined && (this.opens === 1 || event.gap !== undefined)) {
        for (const name of this.#log.names()) {
          const at = this.#log.positionAt(mark, name);
          if (!matches(event.channel, name)) continue;
          const known = this.places.get(name);
          if (known?.epoch === at.epoch && known.offset >= at.offset) continue;
          this.places.set(name, at);
          this.#starts.set(name, at);
        }
      }
      const position = parsePosition(event.position ?? '');
      if (position === undefined || isWildcard(event.channel)) return;
      const known = this.places.get(event.channel);
      if (event.recovered === true && known !== undefined) {
        if (
          known.epoch !== '0' &&
          (known.epoch !== position.epoch || known.offset !== position.offset)
        ) {
          this.faults.push(
            `recovered at ${event.position} being at ${known.epoch}:${known.offset}`,
          );
        }
      } else this.places.set(event.channel, position);
    } else if (event.kind === 'gap') {
      const position = parsePosition(event.position);
      if (event.gap.reason === 'unknown') this.faults.push('a hole');
      const start = this.#starts.get(event.channel);
      const isBefore =
        start?.epoch === position?.epoch && (position?.offset ?? 0) < (start?.offset ?? 0);
      if (position !== undefined && !isBefore) this.places.set(event.channel, position);
    } else if (event.kind === 'message') {
      this.count += 1;
      const { epoch = '', offset = 0, channel } = event;
      const known = this.places.get(channel);
      // A pattern that begins now may be told what the session brings again for somebody else.
      const start = this.#starts.get(channel);
      if (start?.epoch === epoch && offset <= start.offset) return;
      const isNext =
        known === undefined || known.epoch === '0'
          ? true
          : known.epoch === epoch && known.offset + 1 === offset;
      if (!isNext)
        this.faults.push(`${channel}: ${epoch}:${offset} after ${known?.epoch}:${known?.offset}`);
      this.places.set(channel, { epoch, offset });
    }
  }
}

const NAMES = ['room/1', 'room/2', 'hall'];
const FILTERS = ['room/1', 'room/2', 'hall', 'room/+', '#'];

async function explore(seed: number): Promise<{ count: number; opens: number; faults: string[] }> {
  const random = seededRandom(seed);
  const log = new ModelLog();
  let session: ModelSession | undefined;
  const subscriptions = new Subscriptions({
    onRevise: (filter) => session?.revise(filter),
    session: () => undefined,
  });
  const readers = new Set<Reader>();
  const faults: string[] = [];
  let count = 0;
  let opens = 0;
  const retire = (reader: Reader): void => {
    subscriptions.remove(reader.subscription);
    readers.delete(reader);
    faults.push(...reader.faults.map((fault) => `${reader.subscription.filter}: ${fault}`));
    count += reader.count;
    opens += reader.opens;
  };
  for (let step = 0; step < 400; step += 1) {
    const dice = random.integer(100);
    const name = random.pick(NAMES);
    const reader = [...readers][random.integer(Math.max(1, readers.size))];
    if (dice < 25) {
      const isBorn = log.channel(name).top === 0;
      log.publish(name);
      if (isBorn) session?.born(name);
    } else if (dice < 27) log.trim(name);
    else if (dice < 28) log.purge(name);
    else if (dice < 34) {
      const starts: ReadingOptions[] = [{}, { last: 2 }, { last: 5 }, { after: 'start' }];
      const one = new Reader(log, random.pick(FILTERS), random.pick(starts));
      readers.add(one);
      subscriptions.add(one.subscription);
    } else if (dice < 37 && reader !== undefined) retire(reader);
    else if (dice < 40 && reader?.subscription.isPaused === false)
      subscriptions.pause(reader.subscription);
    else if (dice < 44 && reader?.subscription.isPaused === true)
      subscriptions.resume(reader.subscription);
    else if (dice < 46) session = undefined;
    else if (dice < 49) session ??= new ModelSession(log, subscriptions);
    else session?.step(random);
    if (random.chance(0.3)) await Promise.resolve();
  }
  for (const { subscription } of readers)
    if (subscription.isPaused) subscriptions.resume(subscription);
  session ??= new ModelSession(log, subscriptions);
  await Promise.resolve();
  for (let step = 0; step < 3000 && !session.isIdle; step += 1) session.step(random);
  if (!session.isIdle) faults.push('it never comes to rest');
  // A last message in each channel: whoever waits for a mark gets one.
  for (const name of NAMES) {
    const isBorn = log.channel(name).top === 0;
    log.publish(name);
    if (isBorn) session.born(name);
  }
  for (let step = 0; step < 3000 && !session.isIdle; step += 1) session.step(random);
  for (const reader of readers) {
    const { filter } = reader.subscription;
    for (const name of NAMES.filter((one) => matches(filter, one))) {
      const { epoch, top } = log.channel(name);
      const at = reader.places.get(name);
      if (at?.epoch !== epoch || at.offset !== top) {
        faults.push(`${filter}: ends at ${at?.epoch}:${at?.offset}, ${name} at ${epoch}:${top}`);
      }
    }
  }
  for (const reader of [...readers]) retire(reader);
  return { count, opens, faults };
}

test.each([1, 501, 1001, 1501])(
  'every reader gets everything once, in order, in 500 seeds from %i',
  async (from) => {
    let total = 0;
    for (let seed = from; seed < from + 500; seed += 1) {
      const { count, faults } = await explore(seed);
      expect(faults, `seed ${seed}`).toEqual([]);
      total += count;
    }
    expect(total).toBeGreaterThan(2000);
  },
);
