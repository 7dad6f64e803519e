/**
 * Volatile: what readers were given of channels of which nothing is kept. What one publisher sent
 * comes in its order and once [VOL-2]; whoever is never slow gets all of it, and whoever was gets at
 * least the newest of each slot in the end [VOL-3].
 */
import { isWildcard } from '@trunkline/wire';
import type { AskEvent, FollowEvent, PassingEvent } from '../follow-history.ts';
import type { BrokenPromise, PassedEvent, PublishEvent, Violation } from '../history.ts';
import { isFor } from './session-state.ts';

/** Something that was said in a volatile channel. */
interface Said {
  readonly event: PublishEvent;
  /** Its place among all events of the run. */
  readonly index: number;
  /** When its publisher was told; absent when it never was. */
  passedIndex?: number;
}

/** A subscription of a session. */
interface Listening {
  readonly filters: readonly string[];
  /** Absent before it was answered. */
  from?: number;
}

/** What one session was given. */
interface Listener {
  readonly name: string;
  /** True when it does not want what it says itself. */
  muted: boolean;
  readonly listening: Map<string, Listening>;
  /** Payloads by channel. */
  readonly given: Map<string, Set<string>>;
  /** The newest of each publisher's connection, by channel. */
  readonly newest: Map<string, number>;
  /** When it first had too much unsent. */
  slowFrom: number;
}

/** Checks volatile channels as their readers see them. */
export class VolatileCheck {
  readonly #report: (violation: Violation) => void;
  readonly #said = new Map<string, Said>();
  readonly #attempts = new Map<string, Said>();
  readonly #listeners = new Map<string, Listener>();

  constructor(report: (violation: Violation) => void) {
    this.#report = report;
  }

  onPublish(event: PublishEvent, index: number): void {
    const said: Said = { event, index };
    this.#said.set(event.payload, said);
    this.#attempts.set(event.attempt, said);
  }

  onPassed(event: PassedEvent, index: number): void {
    const said = this.#attempts.get(event.attempt);
    if (said !== undefined) said.passedIndex = index;
  }

  onEvent(event: FollowEvent, index: number): void {
    if (event.kind === 'ask') return this.#onAsk(event);
    const listener = this.#listenerOf(event.session);
    if (event.kind === 'following') {
      answer(listener, event.subscription, index);
    } else if (event.kind === 'leaving') listener.listening.delete(event.subscription);
    else if (event.kind === 'slow') listener.slowFrom = Math.min(listener.slowFrom, index);
    else if (event.kind === 'ended') this.#listeners.delete(event.session);
    else if (event.kind === 'passing') this.#onPassing(listener, event);
  }

  /** Judges those who still listen. */
  onEnd(step: number): void {
    const all = [...this.#said.values()].filter(({ passedIndex }) => passedIndex !== undefined);
    for (const listener of this.#listeners.values()) {
      for (const said of all) this.#checkGiven(listener, said, step);
    }
  }

  #onAsk({ session, subscription, starts, muted }: AskEvent): void {
    const listener = this.#listenerOf(session);
    listener.muted ||= muted;
    listener.listening.set(subscription, { filters: [...starts.keys()] });
  }

  #listenerOf(name: string): Listener {
    const listener: Listener = this.#listeners.get(name) ?? {
      name,
      muted: false,
      listening: new Map(),
      given: new Map(),
      newest: new Map(),
      slowFrom: Number.POSITIVE_INFINITY,
    };
    this.#listeners.set(name, listener);
    return listener;
  }

  #onPassing(listener: Listener, { channel, payload, step }: PassingEvent): void {
    const fail = this.#failer(listener, channel, step);
    const given = listener.given.get(channel) ?? new Set<string>();
    listener.given.set(channel, given);
    if (given.has(payload)) fail(3, `got ${payload} again`);
    given.add(payload);
    const said = this.#said.get(payload);
    if (said?.event.channel !== channel) {
      fail('volatile', `got ${payload}, which was never said there`);
      return;
    }
    const key = `${channel} ${said.event.connection}`;
    const newest = listener.newest.get(key) ?? -1;
    if (said.index < newest) fail(1, `got ${payload} after what was said later`);
    listener.newest.set(key, Math.max(newest, said.index));
  }

  #checkGiven(listener: Listener, said: Said, step: number): void {
    const { channel, payload, connection } = said.event;
    if (listener.muted && connection === listener.name) return;
    const since = this.#listensSince(listener, channel);
    if (since === undefined || said.index < since.from) return;
    if (listener.given.get(channel)?.has(payload) === true) return;
    const fail = this.#failer(listener, channel, step);
    if (since.isByName && listener.slowFrom === Number.POSITIVE_INFINITY) {
      fail('volatile', `never was slow and did not get ${payload}`);
    } else if (this.#isNewest(listener, said)) {
      fail('volatile', `did not get ${payload}, the newest of its slot`);
    }
  }

  /** From when on the session has had the channel all the time. */
  #listensSince(
    { listening }: Listener,
    channel: string,
  ): { readonly from: number; readonly isByName: boolean } | undefined {
    let from: number | undefined;
    let isByName = true;
    for (const one of listening.values()) {
      const matching = one.filters.filter((filter) => isFor(filter, channel));
      if (matching.length === 0) continue;
      // A subscription of several filters, and patterns, may read a log before it is live.
      if (one.filters.length > 1 || matching.some(isWildcard)) isByName = false;
      // One that is begun anew, or is not answered yet, leaves open who delivers meanwhile.
      if (one.from === undefined) return undefined;
      from = Math.max(from ?? 0, one.from);
    }
    return from === undefined ? undefined : { from, isByName };
  }

  /** True when certainly nothing was said later in the slot that the session may have instead. */
  #isNewest(listener: Listener, said: Said): boolean {
    const { slot } = said.event;
    if (slot === undefined) return false;
    for (const other of this.#said.values()) {
      if (other === said || other.event.slot !== slot) continue;
      if (other.event.channel !== said.event.channel) continue;
      const isBefore = other.passedIndex !== undefined && other.passedIndex < said.index;
      if (!isBefore && other.index > said.index) return false;
      if (!isBefore && listener.given.get(said.event.channel)?.has(other.event.payload))
        return false;
    }
    return true;
  }

  #failer({ name }: Listener, channel: string, step: number) {
    return (promise: BrokenPromise, text: string): void =>
      this.#report({ promise, step, channel, message: `session ${name}: ${text}` });
  }
}

/** A subscription is open, and takes the place of one to the same. */
function answer({ listening }: Listener, subscription: string, index: number): void {
  const answered = listening.get(subscription);
  if (answered === undefined) return;
  for (const [name, other] of listening) {
    const isSame = other.filters.join('\n') === answered.filters.join('\n');
    if (isSame && other !== answered && other.from !== undefined) listening.delete(name);
  }
  answered.from = index;
}
