/**
 * A session over a memory link that believes what it is told: it keeps what reached it, checks each
 * frame against what the log holds, and goes on by marks and positions when it comes back.
 */
import { MemoryLink } from '@trunkline/testkit';
import { formatPosition, isWildcard, matchesPattern, parseAfter } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { Hub } from '../../../src/hub/hub.ts';
import type { Caller, Encoding, Start } from '../../../src/hub/hub-types.ts';
import { parsePlaceMark } from '../../../src/hub/place-mark.ts';
import { SharedBatch } from '../../../src/link/shared-batch.ts';
import type { LinkHandler } from '../../../src/link/link.ts';
import { nativePresence } from '../../../src/protocols/native/presence.ts';
import { Subscriptions } from '../../../src/protocols/native/subscriptions.ts';
import type { SubscribingSession } from '../../../src/protocols/native/subscriptions.ts';
import type { setUp } from '../hub-setup.ts';

/** Every message, in the order in which it was published. */
export type Published = { readonly channel: string; readonly offset: number }[];

type Told =
  | { readonly kind: 'message'; readonly channel: string; readonly at: string; mark?: string }
  | { readonly kind: 'mark'; readonly filter: string; readonly mark: string }
  | { readonly kind: 'subscribed'; readonly filter: string; readonly place: string }
  | { readonly kind: 'unsubscribed'; readonly filter: string }
  | { readonly kind: 'gap'; readonly channel: string };

/** Writes one JSON object a line. */
export const toldEncoding: Encoding & { count: number } = {
  name: 'told',
  count: 0,
  encode(runs, mark) {
    this.count += 1;
    const told = runs.flatMap(({ channel, epoch, messages }) =>
      messages.map(({ offset }): Told => ({ kind: 'message', channel, at: `${epoch}:${offset}` })),
    );
    const last = told.at(-1);
    if (last?.kind === 'message' && mark !== undefined) last.mark = mark;
    const text = told.map((one) => JSON.stringify(one)).join('\n');
    return new SharedBatch(Buffer.from(text), true);
  },
};

/** What a filter began at and where it stands. */
interface Following {
  /** By channel; others are at 0. */
  readonly begins: ReadonlyMap<string, number>;
  place: string;
}

export class Reader implements SubscribingSession, LinkHandler {
  readonly encoding = toldEncoding;
  readonly presenceEncoding = nativePresence;
  readonly faults: string[] = [];
  readonly name: string;
  readonly #world: ReturnType<typeof setUp>;
  readonly #published: Published;
  link: MemoryLink;
  #subscriptions: Subscriptions;
  readonly following = new Map<string, Following>();
  /** What it is to subscribe to when it comes back. */
  readonly #wanted = new Map<string, string | undefined>();
  /** Newest offset of each channel in this life. */
  #newest = new Map<string, number>();
  #seen = new Map<string, Set<number>>();
  /** From where a channel was read without a break, as long as something matches it. */
  #covered = new Map<string, number>();
  /** Places to which a channel may go back once. */
  #rewinds = new Map<string, Set<number>>();
  /** A fault that is to be found. */
  plant: 'lose' | 'repeat' | undefined;
  #lines = 0;
  readonly recent: string[] = [];
  /** What came before the first fault. */
  readonly context: string[] = [];

  constructor(name: string, world: ReturnType<typeof setUp>, published: Published) {
    this.name = name;
    this.#world = world;
    this.#published = published;
    [this.link, this.#subscriptions] = this.#connect(world.hub);
  }

  caller(): Caller {
    return { identity: { kind: 'anonymous', grants: new Map() }, session: this.name };
  }

  apart(): this {
    return this; // None of its subscriptions stands apart.
  }

  onFrame(): void {}

  onDrain(): void {
    this.#subscriptions.advance();
  }

  onClose(): void {
    this.#subscriptions.end();
  }

  onGap(channel: string, _gap: Gap, _position: Position): void {
    this.#tell({ kind: 'gap', channel });
  }

  onMark([filter = '']: readonly string[], mark: string): void {
    this.#tell({ kind: 'mark', filter, mark });
  }

  /** Asks for a filter from a place; from now on without one. */
  subscribe(filter: string, place?: string): void {
    this.recent.push(`ask ${filter} ${place ?? 'now'}`);
    const start: Start = place === undefined ? {} : { after: parseAfter(place) };
    const request = { channel: filter, start, presence: false, echo: true, snapshot: false };
    const { link } = this;
    this.#subscriptions
      .subscribe(request, ({ position, mark, recovered }) => {
        if (place !== undefined && recovered !== true) this.#fault(`${filter} not recovered`);
        const at = mark ?? (position === undefined ? '' : formatPosition(position));
        this.#tell({ kind: 'subscribed', filter, place: at }, link);
      })
      .catch((error: unknown) => {
        if (link === this.link) this.recent.push(`refused ${filter}: ${String(error)}`);
      });
  }

  unsubscribe(filter: string): void {
    this.recent.push(`leave ${filter}`);
    const { link } = this;
    void this.#subscriptions.unsubscribe({ channel: filter }, () => {
      this.#tell({ kind: 'unsubscribed', filter }, link);
    });
  }

  /** The connection breaks; the client comes back and goes on where it stands. */
  reconnect(): void {
    this.take();
    this.recent.push('reconnect');
    for (const [filter, { place }] of this.following) this.#wanted.set(filter, place);
    this.#subscriptions.end();
    this.link.drop();
    this.following.clear();
    this.#newest = new Map();
    this.#seen = new Map();
    this.#covered = new Map();
    this.#rewinds = new Map();
    [this.link, this.#subscriptions] = this.#connect(this.#world.hub);
    for (const [filter, place] of this.#wanted) this.subscribe(filter, place);
  }

  /** Reads what has reached it. */
  take(): void {
    for (const frame of this.link.takeFrames()) {
      for (const line of String(frame).split('\n')) {
        this.#lines += 1;
        const told = JSON.parse(line) as Told;
        const isPlanted = this.plant !== undefined && this.#lines % 40 === 0;
        if (isPlanted && told.kind === 'message' && this.plant === 'lose') continue;
        if (isPlanted && this.plant === 'repeat') this.#read(told);
        this.#read(told);
      }
    }
  }

  /** At the end nothing may be missing of what is still followed. */
  finish(): void {
    this.take();
    if (this.link.isGone) this.#fault(`closed: ${JSON.stringify(this.link.goodbye)}`);
    for (const [filter, { begins }] of this.following) {
      for (const { channel, offset } of this.#published) {
        if (!matchesPattern(filter, channel) || offset <= (begins.get(channel) ?? 0)) continue;
        if (!this.#has(channel, offset)) this.#fault(`${filter}: lost ${channel}:${offset}`);
      }
    }
  }

  #connect(hub: Hub): [MemoryLink, Subscriptions] {
    const { clock, turn } = this.#world;
    const link = new MemoryLink({ clock, turn });
    const subscriptions = new Subscriptions(hub, this, 50);
    link.attach({
      onFrame() {},
      onDrain: () => subscriptions.advance(),
      onClose: () => subscriptions.end(),
    });
    return [link, subscriptions];
  }

  #fault(text: string): void {
    if (this.faults.length === 0) this.context.push(...this.recent.slice(-30));
    this.faults.push(text);
  }

  #tell(told: Told, link = this.link): void {
    link.send(JSON.stringify(told));
  }

  #read(told: Told): void {
    const { kind, ...rest } = told;
    this.recent.push(`${kind} ${Object.values(rest).join(' ')}`);
    switch (told.kind) {
      case 'message':
        this.#message(told.channel, told.at);
        if (told.mark !== undefined) {
          for (const filter of this.following.keys()) {
            if (!isWildcard(filter) || !matchesPattern(filter, told.channel)) continue;
            this.#marked(filter, told.mark);
          }
        }
        break;
      case 'mark':
        this.#marked(told.filter, told.mark);
        break;
      case 'subscribed':
        this.#subscribed(told.filter, told.place);
        break;
      case 'unsubscribed':
        this.following.delete(told.filter);
        this.#wanted.delete(told.filter);
        for (const channel of [...this.#covered.keys()]) {
          if (!this.#follows(channel)) this.#covered.delete(channel);
        }
        break;
      case 'gap':
        this.#fault(`a gap in ${told.channel}`);
    }
  }

  #message(channel: string, place: string): void {
    const offset = Number(place.split(':')[1]);
    if (!this.#follows(channel)) this.#fault(`not asked for: ${channel}:${offset}`);
    const newest = this.#newest.get(channel) ?? this.#covered.get(channel) ?? 0;
    const rewinds = this.#rewinds.get(channel);
    if (rewinds?.delete(offset - 1) !== true && offset !== newest + 1) {
      this.#fault(`${channel}:${offset} after ${newest}`);
    }
    this.#newest.set(channel, offset);
    const seen = this.#seen.get(channel) ?? new Set();
    this.#seen.set(channel, seen.add(offset));
    const following = this.following.get(channel);
    if (following !== undefined) following.place = place;
  }

  #subscribed(filter: string, place: string): void {
    const isAgain = this.following.has(filter);
    const begins = this.#placesAt(filter, place);
    for (const channel of new Set([...begins.keys(), ...this.#newest.keys()])) {
      if (!matchesPattern(filter, channel)) continue;
      const begin = begins.get(channel) ?? 0;
      const covered = this.#begunAt(channel);
      if (!this.#follows(channel)) {
        this.#covered.set(channel, begin);
        this.#newest.set(channel, begin);
      } else if (begin < covered || isAgain) {
        this.#covered.set(channel, Math.min(begin, covered));
        const rewinds = this.#rewinds.get(channel) ?? new Set();
        this.#rewinds.set(channel, rewinds.add(begin));
      }
    }
    this.following.set(filter, { begins, place });
    this.#wanted.set(filter, place);
  }

  /** Everything up to the mark must have come. */
  #marked(filter: string, mark: string): void {
    const following = this.following.get(filter);
    if (following === undefined) return;
    following.place = mark;
    for (const [channel, place] of this.#placesAt(filter, mark)) {
      for (let offset = (following.begins.get(channel) ?? 0) + 1; offset <= place; offset += 1) {
        if (this.#has(channel, offset)) continue;
        this.#fault(`${mark} of ${filter} is ahead: no ${channel}:${offset}`);
      }
    }
  }

  /** Where a place is in each channel of a filter. */
  #placesAt(filter: string, place: string): Map<string, number> {
    if (!place.startsWith('~')) return new Map([[filter, Number(place.split(':')[1])]]);
    const { mark, behind } = parsePlaceMark(place);
    const places = new Map<string, number>();
    for (const { channel, offset } of this.#published.slice(0, Number(mark.slice(1)))) {
      if (matchesPattern(filter, channel)) places.set(channel, offset);
    }
    for (const [channel, { offset }] of behind) places.set(channel, offset);
    return places;
  }

  /** From where the channel is read for those that follow it now. */
  #begunAt(channel: string): number {
    const matching = [...this.following].filter(([filter]) => matchesPattern(filter, channel));
    return Math.min(...matching.map(([, { begins }]) => begins.get(channel) ?? 0));
  }

  #has(channel: string, offset: number): boolean {
    return this.#seen.get(channel)?.has(offset) === true;
  }

  #follows(channel: string): boolean {
    for (const filter of this.following.keys()) if (matchesPattern(filter, channel)) return true;
    return false;
  }
}
