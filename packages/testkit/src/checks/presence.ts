/**
 * Presence: what watchers were told of who is there, against who was. For one user joins and leaves
 * alternate [PRES-5], and when everything is at rest every list is right.
 */
import type { FollowEvent } from '../follow-history.ts';
import type { Violation } from '../history.ts';

/** One session, as far as presence is concerned. */
interface Attendant {
  readonly user: string;
  /** Subscriptions by name that are open, and their channel. */
  readonly channels: Map<string, string>;
  /** Who is there, by channel that it watches, and whether a join said so. */
  readonly lists: Map<string, Map<string, boolean>>;
}

/** Checks presence as watchers see it. */
export class PresenceCheck {
  readonly #report: (violation: Violation) => void;
  readonly #attendants = new Map<string, Attendant>();
  readonly #asked = new Map<string, string>();

  constructor(report: (violation: Violation) => void) {
    this.#report = report;
  }

  onEvent(event: FollowEvent): void {
    const attendant = this.#attendants.get(event.session);
    switch (event.kind) {
      case 'ask': {
        const [filter = ''] = event.starts.keys();
        if (event.starts.size === 1) this.#asked.set(event.subscription, filter);
        if (attendant !== undefined) return;
        const { user } = event;
        this.#attendants.set(event.session, { user, channels: new Map(), lists: new Map() });
        return;
      }
      case 'following': {
        const channel = this.#asked.get(event.subscription);
        // An event stream is listed only if it says so, and those of a run do not.
        if (channel === undefined || event.transport !== 'websocket') return;
        for (const [other, name] of attendant?.channels ?? []) {
          if (name === channel) attendant?.channels.delete(other);
        }
        attendant?.channels.set(event.subscription, channel);
        // Whoever subscribes again watches only if it says so again.
        attendant?.lists.delete(channel);
        return;
      }
      case 'leaving':
      case 'left': {
        const channel = this.#asked.get(event.subscription);
        // A list may have been under way when it began to leave.
        if (channel !== undefined) attendant?.lists.delete(channel);
        if (event.kind === 'left') attendant?.channels.delete(event.subscription);
        return;
      }
      case 'watching':
        attendant?.lists.set(event.channel, new Map(event.users.map((user) => [user, false])));
        return;
      case 'came':
      case 'went': {
        const list = attendant?.lists.get(event.channel);
        if (list === undefined) return;
        // Who is on a list that was told whole may have come just then: that is told as well.
        const isTwice =
          event.kind === 'came' ? list.get(event.user) === true : !list.has(event.user);
        if (isTwice) {
          const message = `session ${event.session}: ${event.user} ${event.kind} twice`;
          const { step, channel } = event;
          this.#report({ promise: 'presence', step, channel, message });
        }
        if (event.kind === 'came') list.set(event.user, true);
        else list.delete(event.user);
        return;
      }
      case 'ended':
        this.#attendants.delete(event.session);
        return;
      default:
        return;
    }
  }

  /** Everything is at rest and every grace time over: compares the lists with who is there. */
  onEnd(listed: readonly string[], step: number): void {
    for (const channel of listed) {
      const there = new Set<string>();
      for (const { user, channels } of this.#attendants.values()) {
        if ([...channels.values()].includes(channel)) there.add(user);
      }
      const expected = [...there].sort().join();
      for (const [session, { lists }] of this.#attendants) {
        const list = lists.get(channel);
        const told = list === undefined ? expected : [...list.keys()].sort().join();
        if (told === expected) continue;
        const message = `session ${session}: there are ${expected}, it was told ${told}`;
        this.#report({ promise: 'presence', step, channel, message });
      }
    }
  }
}
