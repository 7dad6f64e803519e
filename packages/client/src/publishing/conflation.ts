/**
 * Conflation: what is sent into volatile channels without an answer, such as cursors and typing. Of
 * each slot only the newest counts, so that a fast sender never piles up behind a slow line.
 */
import type { Features, SendQueue } from '../features.ts';
import type { Clock, Timer } from '../platform.ts';
import type { Attempt, Welcome } from '../transports/transport.ts';
import { paceOf } from './pace.ts';

/** From one message of a slot to the next. */
const INTERVAL_MS = 50;
/** What could not be sent for so long is dropped. */
const WAIT_MS_MAX = 5000;
/** Slots of all channels; over it the one that was sent or given the longest ago is dropped. */
const SLOTS_MAX = 256;
/** The part of the server's commands a second that may be spent on this. */
const PACE_SHARE = 0.3;

interface Slot {
  /** The newest, if it was not sent. */
  readonly members?: string;
  readonly givenMs: number;
  /** When the next one may be sent. */
  readonly dueMs: number;
}

/** Sends the newest of each slot. Sets no timer while nothing waits and no interval runs. */
export class Conflation implements SendQueue {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  /** By channel and slot; first the one that waits the longest for its turn. */
  readonly #slots = new Map<string, Slot>();
  #attempt: Attempt | undefined;
  #takeMs = paceOf(0, PACE_SHARE);
  #timer: Timer | undefined;

  constructor(clock: Clock, intervalMs = INTERVAL_MS) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /**
   * Sends at once if nothing of this slot was sent within the interval, else the newest at its end.
   * Never fails: what waits for a connection for 5 seconds is dropped.
   *
   * @param members of {@link toMembers}.
   */
  send(channel: string, members: string, slot = ''): void {
    // A channel's name has no line break.
    const name = `${channel}\n${slot}`;
    const givenMs = this.#clock.monotonicMs();
    const { dueMs = givenMs } = this.#slots.get(name) ?? {};
    this.#slots.set(name, { members, givenMs, dueMs });
    const [oldest = name] = this.#slots.keys();
    if (this.#slots.size > SLOTS_MAX) this.#slots.delete(oldest);
    this.#pump();
  }

  /** Goes on over this attempt. */
  onReady(attempt: Attempt, { commandsPerSecond }: Welcome): void {
    this.#attempt = attempt;
    this.#takeMs = paceOf(commandsPerSecond, PACE_SHARE);
    this.#pump();
  }

  /** The attempt is over: what was sent over it is gone, what waits may wait for the next one. */
  onLost(): void {
    this.#attempt = undefined;
    this.#pump();
  }

  /** Drops everything. Idempotent. */
  close(): void {
    this.#slots.clear();
    this.onLost();
  }

  #pump(): void {
    const attempt = this.#attempt;
    const nowMs = this.#clock.monotonicMs();
    let wakeMs = Infinity;
    for (const [name, { members, givenMs, dueMs }] of this.#slots) {
      let waitMs = (members === undefined ? dueMs : givenMs + WAIT_MS_MAX) - nowMs;
      if (waitMs <= 0) {
        this.#slots.delete(name);
        continue;
      }
      if (members !== undefined && attempt !== undefined) {
        waitMs = Math.max(0, dueMs - nowMs) || this.#takeMs(nowMs);
        if (waitMs === 0) {
          attempt.send(members);
          // The next turn is that of the others; this loop meets it again at the end.
          this.#slots.delete(name);
          this.#slots.set(name, { givenMs, dueMs: nowMs + this.#intervalMs });
          continue;
        }
      }
      wakeMs = Math.min(wakeMs, waitMs);
    }
    this.#timer?.cancel();
    this.#timer = wakeMs === Infinity ? undefined : this.#clock.after(wakeMs, () => this.#pump());
  }
}

/** The feature: of each slot the newest is sent, as fast as it goes. */
export const conflation: NonNullable<Features['conflation']> = ({ clock }) => new Conflation(clock);
