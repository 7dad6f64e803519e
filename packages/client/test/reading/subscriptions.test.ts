import { isWildcard, matchesPattern, parsePosition } from '@trunkline/wire';
import { seededRandom } from '@trunkline/testkit';
import { expect, test } from 'vitest';
import { Subscription } from '../../src/reading/subscription.ts';
import type { ReadingEvent, ReadingOptions } from '../../src/reading/subscription.ts';
import { Subscriptions } from '../../src/reading/subscriptions.ts';

type Random = ReturnType<typeof seededRandom>;

/** Where a reading goes on in a channel. */
interface Next {
  readonly epoch: string;
  readonly offset: number;
}

/** What a session of a server does, by the contract, one step at a time. */
class ModelSession {
  readonly #log: ModelLog;
  readonly #subscriptions: Subscriptions;
  /** What was asked for and is not answered yet. */
  readonly #asked: string[] = [];
  /** What is read by each key, from a place of its own: the next offset of each channel. */
  readonly #readings = new Map<string, { filter: string; next: Map<string, Next> }>();

  constructor(log: ModelLog, subscriptions: Subscriptions) {
    this.#log = log;
    this.#subscriptions = subscriptions;
    subscriptions.restart(true);
    this.#asked.push(...subscriptions.keys());
  }

  revise(key: string): void {
    if (!this.#asked.includes(key)) this.#asked.push(key);
  }

  get isIdle(): boolean {
    return this.#asked.length === 0 && this.#behind().length === 0;
  }

  /** How many readings of this filter there are. */
  countOf(filter: string): number {
    return [...this.#readings.values()].filter((one) => one.filter === filter).length;
  }

  /** Answers a wish, or sends a message. */
  step(random: Random): void {
    const behind = this.#behind();
    const key = this.#asked[0];
    if (key !== undefined && (behind.length === 0 || random.chance(0.5))) {
      this.#asked.shift();
      this.#answer(key);
    } else if (behind.length > 0) {
      const [reading, name] = random.pick(behind);
      this.#send(reading, name, random);
    }
  }

  #answer(key: string): void {
    const wish = this.#subscriptions.wish(key);
    this.#readings.delete(key);
    if (wish === undefined) return;
    const { filter } = wish;
    const names = isWildcard(filter)
      ? this.#log.names().filter((name) => matches(filter, name))
      : [filter];
    const next = new Map<string, Next>();
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
      next.set(name, { epoch, offset: offset + 1 });
      return [{ name, offset: [epoch, offset] as const, reason }];
    });
    this.#readings.set(key, { filter, next });
    const lost = gaps.find(({ reason }) => reason !== undefined);
    const one = gaps[0];
    const isPattern = isWildcard(filter);
    const opening = {
      kind: 'open',
      channel: filter,
      ...(isPattern
        ? { mark: this.#log.mark(next) }
        : { position: `${one?.offset[0] ?? '0'}:${one?.offset[1] ?? 0}` }),
      ...(wish.after !== undefined && { recovered: lost === undefined }),
      ...(lost?.reason !== undefined && { gap: { reason: lost.reason } }),
    } as const;
    this.#subscriptions.onOpen(opening, key);
    if (!isPattern) return;
    for (const { name, offset, reason } of gaps) {
      if (reason !== undefined) this.#lose(key, name, reason, offset.join(':'));
    }
  }

  #behind(): [string, string][] {
    return [...this.#readings].flatMap(([key, { next }]) =>
      [...next.keys()]
        .filter((name) => this.#hasMore(next, name))
        .map((name): [string, string] => [key, name]),
    );
  }

  #hasMore(nexts: ReadonlyMap<string, Next>, name: string): boolean {
    const next = nexts.get(name);
    const { epoch, top } = this.#log.channel(name);
    return next !== undefined && (next.epoch !== epoch ? epoch !== '0' : next.offset <= top);
  }

  /** A channel that was born is read by who reads a pattern. */
  born(name: string): void {
    for (const { filter, next } of this.#readings.values()) {
      if (next.has(name) || !matches(filter, name)) continue;
      next.set(name, { epoch: this.#log.channel(name).epoch, offset: 1 });
    }
  }

  #send(key: string, name: string, random: Random): void {
    const { filter, next: nexts } = this.#readings.get(key) ?? {};
    const next = nexts?.get(name);
    const { epoch } = this.#log.channel(name);
    if (filter === undefined || nexts === undefined || next === undefined) return;
    const oldest = this.#log.oldest(name);
    const isReborn = next.epoch !== epoch && next.epoch !== '0';
    if (isReborn || next.offset < oldest) {
      nexts.set(name, { epoch, offset: oldest });
      this.#lose(key, name, isReborn ? 'epoch' : 'trimmed', `${epoch}:${oldest - 1}`);
      return;
    }
    nexts.set(name, { epoch, offset: next.offset + 1 });
    // A mark can be said now and then, also on the way.
    const isMarked = isWildcard(filter) && random.chance(0.4);
    const isPushed = isWildcard(filter) && random.chance(0.2);
    const message = { kind: 'message', channel: name, epoch, offset: next.offset } as const;
    const mark = isMarked ? { mark: this.#log.mark(nexts) } : {};
    this.#subscriptions.onMessage({ ...message, ...mark }, [key]);
    if (isPushed) this.#subscriptions.onMark([key], this.#log.mark(nexts));
  }

  #lose(key: string, channel: string, reason: 'epoch' | 'trimmed', position: string): void {
    this.#subscriptions.onGap({ kind: 'gap', channel, gap: { reason }, position }, [key]);
  }

  /** Says to every pattern where it stands. */
  markAll(): void {
    for (const [key, { filter, next }] of this.#readings) {
      if (isWildcard(filter)) this.#subscriptions.onMark([key], this.#log.mark(next));
    }
  }
}

function matches(filter: string, name: string): boolean {
  return filter === name || matchesPattern(filter, name);
}

class ModelLog {
  readonly #channels = new Map<string, { epoch: string; top: number; oldest: number }>();
  readonly #marks: Map<string, { epoch: string; offset: number }>[] = [];
  readonly #texts: string[] = [];
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

  /** The same for all who stand there. @param nexts where a reading goes on in its channels. */
  mark(nexts: ReadonlyMap<string, Next>): string {
    const places = [...this.#channels].map(([name, { epoch, top }]) => {
      const next = nexts.get(name);
      return [
        name,
        { epoch: next?.epoch ?? epoch, offset: (next?.offset ?? top + 1) - 1 },
      ] as const;
    });
    const text = JSON.stringify(places);
    const known = this.#texts.indexOf(text);
    if (known >= 0) return `~${known}`;
    this.#texts.push(text);
    this.#marks.push(new Map(places));
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
      if (position !== undefined) this.places.set(event.channel, position);
    } else if (event.kind === 'message') {
      this.count += 1;
      const { epoch = '', offset = 0, channel } = event;
      const known = this.places.get(channel);
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
    onRevise: (key) => session?.revise(key),
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
  // Who stand at one mark have a wire in common.
  session.markAll();
  for (let step = 0; step < 100 && !session.isIdle; step += 1) session.step(random);
  for (const filter of FILTERS) {
    const times = session.countOf(filter);
    if (times > 1) faults.push(`${filter} is still read ${times} times`);
  }
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
