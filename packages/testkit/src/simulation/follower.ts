/** Follower: an application that follows channels and patterns, from connection to connection. */
import { parsePosition } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import { isFor } from '../checks/session-state.ts';
import type { AskedStart, ChannelHead, FollowVerdict } from '../follow-history.ts';
import type { SeededRandom } from '../random.ts';
import type { FollowingParts, Place } from './connection.ts';
import type { Recorder } from './recorder.ts';

/** What a follower keeps: its name, and its places by channel or pattern. */
interface FollowerState {
  name: string;
  readonly places: Map<string, string>;
}

/** Keeps the place of each channel or pattern that it follows: a position, or a mark. */
export class Follower {
  readonly filters: readonly string[];
  readonly #recorder: Recorder;
  readonly #state: FollowerState;

  constructor(recorder: Recorder, filters: readonly string[], state?: FollowerState) {
    this.filters = filters;
    this.#recorder = recorder;
    this.#state = state ?? { name: recorder.name('follower-'), places: new Map() };
  }

  get name(): string {
    return this.#state.name;
  }

  /** The same application, as far as one of its channels or patterns is concerned. */
  only(filter: string): Follower {
    return new Follower(this.#recorder, [filter], this.#state);
  }

  /** The application was reloaded: it stands nowhere, or somewhere it can't stand. */
  restart(place: string | undefined): void {
    const { places } = this.#state;
    this.#state.name = this.#recorder.name('follower-');
    places.clear();
    if (place !== undefined) for (const filter of this.filters) places.set(filter, place);
  }

  /** Where it asks to go on. Who stands nowhere may begin in several ways. */
  placeOf(filter: string, random: SeededRandom): Place {
    const after = this.#state.places.get(filter);
    const partial = random.chance(0.5) ? ({ partial: true } as const) : {};
    if (after !== undefined) return { after, ...partial };
    return random.pick<Place>([{}, { after: 'start' }, {}, { last: 3 }]);
  }

  /** Everything up to here was delivered. */
  stand(filter: string, place: string): void {
    this.#state.places.set(filter, place);
  }

  /** A message came: an application that follows the channel by its name stands there. */
  advance(channel: string, { epoch, offset }: Position, isOpen: boolean): void {
    if (!this.filters.includes(channel)) return;
    const stands = parsePosition(this.#state.places.get(channel) ?? '');
    const isNext = stands?.epoch === epoch && stands.offset + 1 === offset;
    if (isOpen || isNext) this.#state.places.set(channel, `${epoch}:${offset}`);
  }
}

/** A subscription that a session has asked for. */
export interface Asked {
  readonly follower: Follower;
  readonly subscription: string;
  readonly starts: ReadonlyMap<string, AskedStart>;
  readonly heads: ReadonlyMap<string, Omit<ChannelHead, 'answered'>>;
  readonly jumps: number;
}

/** Writes down what one session asks and is told. */
export class SessionRecord {
  readonly session: string;
  readonly #recorder: Recorder;
  readonly #transport: string;
  readonly #channels: readonly string[];
  readonly #user: string;
  #isSlow = false;

  /** @param kind begins its name. */
  constructor({ recorder, channels, user }: FollowingParts, transport: string, kind = 'session-') {
    this.session = recorder.name(kind);
    this.#recorder = recorder;
    this.#transport = transport;
    this.#channels = channels;
    this.#user = user;
  }

  ask(follower: Follower, starts: ReadonlyMap<string, AskedStart>, muted: boolean): Asked {
    const recorder = this.#recorder;
    const subscription = recorder.name('subscription-');
    const { session } = this;
    const reader = follower.name;
    const user = this.#user;
    recorder.record({ kind: 'ask', session, subscription, reader, user, starts, muted });
    const filters = [...starts.keys()];
    const heads = new Map(
      this.#channels
        .filter((channel) => filters.some((filter) => isFor(filter, channel)))
        .map((channel) => [channel, recorder.headOf(channel)]),
    );
    return { follower, subscription, starts, heads, jumps: recorder.jumps };
  }

  following(asked: Asked, verdicts: ReadonlyMap<string, FollowVerdict>): void {
    const { session } = this;
    const { subscription } = asked;
    const heads = new Map<string, ChannelHead>();
    for (const [channel, head] of asked.heads) {
      const now = this.#recorder.headOf(channel);
      const isSameTime = asked.jumps === this.#recorder.jumps;
      const comparable = head.comparable && now.comparable && isSameTime;
      heads.set(channel, { ...head, answered: now.asked, comparable });
    }
    const transport = this.#transport;
    this.#recorder.record({ kind: 'following', session, subscription, transport, verdicts, heads });
  }

  marked({ subscription, heads }: Asked, mark: string): void {
    const recorder = this.#recorder;
    const lives = new Map([...heads.keys()].map((channel) => [channel, recorder.lifeOf(channel)]));
    recorder.record({ kind: 'marked', session: this.session, subscription, mark, lives });
  }

  given(message: {
    readonly channel: string;
    readonly epoch: string;
    readonly offset: number;
    readonly payload: string;
    readonly isOwn: boolean;
    readonly sentMs: number;
    readonly storedMs: number;
  }): void {
    this.#recorder.record({ kind: 'given', session: this.session, ...message });
  }

  lapsed(told: {
    readonly channel: string;
    readonly epoch: string;
    readonly from: number;
    readonly to: number;
    readonly sentMs: number;
  }): void {
    this.#recorder.record({ kind: 'lapsed', session: this.session, ...told });
  }

  passing(channel: string, payload: string): void {
    this.#recorder.record({ kind: 'passing', session: this.session, channel, payload });
  }

  /** Messages of volatile channels may pass it by from now on. */
  slow(): void {
    if (this.#isSlow) return;
    this.#isSlow = true;
    this.#recorder.record({ kind: 'slow', session: this.session });
  }

  watching(channel: string, users: readonly string[]): void {
    this.#recorder.record({ kind: 'watching', session: this.session, channel, users });
  }

  changed(kind: 'came' | 'went', channel: string, user: string): void {
    this.#recorder.record({ kind, session: this.session, channel, user });
  }

  lost(channel: string, gap: Gap, position: Position): void {
    this.#recorder.record({ kind: 'lost', session: this.session, channel, gap, position });
  }

  leave(kind: 'leaving' | 'left', { subscription }: Asked): void {
    this.#recorder.record({ kind, session: this.session, subscription });
  }

  ended(): void {
    this.#recorder.record({ kind: 'ended', session: this.session });
  }
}
