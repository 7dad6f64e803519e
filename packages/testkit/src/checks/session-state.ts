/** SessionState: the subscriptions of one session, and where it stands in each channel. */
import { isWildcard, matchesPattern } from '@trunkline/wire';
import type { AskEvent, AskedStart, ChannelHead } from '../follow-history.ts';
import type { Whereabouts } from './whereabouts.ts';

/** One subscription of a session. */
export interface Following {
  readonly name: string;
  readonly reader: string;
  readonly starts: ReadonlyMap<string, AskedStart>;
  readonly muted: boolean;
  /** Present once it was answered: those answered first come first. */
  answered?: number;
  leaving: boolean;
  /** True when its answer said that something is lost. */
  hasLost: boolean;
  /** Where it began in each channel, by its answer. */
  readonly places: Map<string, Whereabouts | undefined>;
  /** The same for those of its filters that lost nothing, by its answer. */
  readonly kept: Map<string, readonly (Whereabouts | undefined)[]>;
  /** The life of each channel that the session was in when its answer told that it is over. */
  readonly over: Map<string, string>;
  /** How often it was told, right behind its answer, that a channel lost something. */
  readonly losses: Map<string, number>;
  /** What the log was like around its answer. */
  heads?: ReadonlyMap<string, ChannelHead>;
  /** The newest mark that it was given. */
  mark?: string;
  /** Which life each channel had in the log by then, where that is known. */
  lives?: ReadonlyMap<string, string> | undefined;
}

/** A subscription may have what it asks for delivered again, from where it asked to begin. */
export interface Allowance {
  readonly subscription: string;
  /** Absent: from anywhere. */
  place: Whereabouts | undefined;
  /** Up to where it must have it: the session certainly began there, and that is later. */
  owedTo: number | undefined;
  /** True where it was told that it goes on there, wherever the session began. */
  isTold?: boolean;
  /** Sessions whose own messages may be missing behind the place, as before the mark asked for. */
  mutes: readonly string[];
}

/** One channel of one session. */
export interface View {
  /** Up to here everything was given; absent: nobody knows. */
  cursor: Whereabouts | undefined;
  /** Where that began. */
  begin: Whereabouts | undefined;
  /** Sessions whose own messages may be missing before the next one. */
  mutes: readonly string[];
  readonly given: Set<string>;
  /** Subscriptions whose allowance was used. */
  readonly used: Set<string>;
  allowances: Allowance[];
}

/** A session while it lasts. */
export class SessionState {
  readonly name: string;
  readonly subscriptions = new Map<string, Following>();
  readonly views = new Map<string, View>();
  /** The subscription that was just answered, until something else is told. */
  opening: Following | undefined;
  #answers = 0;

  constructor(name: string) {
    this.name = name;
  }

  add(event: AskEvent): Following {
    const { subscription: name, reader, starts, muted } = event;
    const state = { leaving: false, hasLost: false, places: new Map(), kept: new Map() };
    const told = { over: new Map(), losses: new Map() };
    const following: Following = { name, reader, starts, muted, ...state, ...told };
    this.subscriptions.set(name, following);
    return following;
  }

  /** The subscription is open; it takes the place of one to the same. @returns that one. */
  answer(following: Following): Following | undefined {
    const key = [...following.starts.keys()].join('\n');
    const replaced = this.answered.find((other) => [...other.starts.keys()].join('\n') === key);
    if (replaced !== undefined) this.subscriptions.delete(replaced.name);
    this.#answers += 1;
    following.answered = this.#answers;
    return replaced;
  }

  /** Those that are open, in the order in which they were answered. */
  get answered(): Following[] {
    return [...this.subscriptions.values()]
      .filter(({ answered }) => answered !== undefined)
      .sort((a, b) => (a.answered ?? 0) - (b.answered ?? 0));
  }

  /** The one that delivers a channel: that which names it, else the first that matches it. */
  delivererOf(channel: string): Following | undefined {
    const matching = this.answered.filter((following) => doesMatch(following, channel));
    return matching.find(({ starts }) => starts.has(channel)) ?? matching[0];
  }
}

/** What a subscription calls a channel: its name, or patterns. */
export function filtersFor({ starts }: Following, channel: string): readonly string[] {
  return [...starts.keys()].filter((filter) => isFor(filter, channel));
}

/** True when the subscription has the channel. */
export function doesMatch(following: Following, channel: string): boolean {
  return filtersFor(following, channel).length > 0;
}

/** True when the subscription asks for what came before. */
export function asksBack(following: Following, channel: string): boolean {
  return filtersFor(following, channel).some((filter) => {
    const { after, last } = following.starts.get(filter) ?? {};
    return after !== undefined || last !== undefined;
  });
}

/** True when a channel or pattern stands for the channel. */
export function isFor(filter: string, channel: string): boolean {
  return isWildcard(filter) ? matchesPattern(filter, channel) : filter === channel;
}
