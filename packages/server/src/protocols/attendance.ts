/** Attendance: where one session is listed as present, and whose presence it is told of. */
import type { MemberPage } from '@trunkline/wire';
import type { Hub } from '../hub/hub.ts';
import type { Caller } from '../hub/hub-types.ts';
import type { Watch } from '../hub/presence/audience.ts';
import type { PresenceWatcher } from '../hub/presence/presence-types.ts';
import type { Stay } from '../hub/presence/presence.ts';

/** What attendance needs of a session. */
export interface Attending extends PresenceWatcher {
  /** Who asks, now. @throws {CodedError} when nobody is known. */
  caller(): Caller;
}

/** Made for sessions that are listed somewhere, or watch. */
export class Attendance {
  readonly #hub: Hub;
  readonly #session: Attending;
  readonly #stays = new Map<string, Stay>();
  readonly #watches = new Map<string, Watch>();

  constructor(hub: Hub, session: Attending) {
    this.#hub = hub;
    this.#session = session;
  }

  /** Lists the session in a channel. @throws {CodedError} `rate_limited` when that is full. */
  enter(channel: string): void {
    if (this.#stays.has(channel)) return;
    const { identity, session } = this.#session.caller();
    const { user, info } = identity;
    const newcomer = {
      session,
      ...(user === undefined ? {} : { user }),
      ...(info === undefined ? {} : { info }),
    };
    this.#stays.set(channel, this.#hub.presence.enter(channel, newcomer));
  }

  /**
   * Tells the session who comes and goes from now on.
   *
   * @returns who is there; changes follow.
   * @throws {CodedError} `forbidden`, or `rate_limited` when too many watch.
   */
  watch(channel: string): MemberPage {
    this.#hub.demand(this.#session.caller().identity, 'presence', channel);
    this.unwatch(channel);
    const watch = this.#hub.presence.watch(channel, this.#session);
    this.#watches.set(channel, watch);
    return this.#hub.presence.show(watch);
  }

  /** Tells the session nothing more of a channel. */
  unwatch(channel: string): void {
    const watch = this.#watches.get(channel);
    if (watch === undefined) return;
    this.#watches.delete(channel);
    this.#hub.presence.unwatch(watch);
  }

  /** The session does not subscribe to the channel any more. */
  leave(channel: string): void {
    this.unwatch(channel);
    const stay = this.#stays.get(channel);
    if (stay === undefined) return;
    this.#stays.delete(channel);
    this.#hub.presence.leave(stay);
  }

  /** Ends watching where that is not allowed any more. */
  dropForbidden(permits: (channel: string) => boolean): void {
    for (const channel of [...this.#watches.keys()]) if (!permits(channel)) this.unwatch(channel);
  }

  /** The link has drained: what was left out is told as a snapshot. */
  advance(): void {
    for (const watch of this.#watches.values()) this.#hub.presence.advance(watch);
  }

  /** The session is gone. */
  end(): void {
    for (const channel of [...this.#watches.keys()]) this.unwatch(channel);
    for (const stay of this.#stays.values()) this.#hub.presence.leave(stay);
    this.#stays.clear();
  }
}
