/**
 * The naive truth about presence, for tests: every session with the moment it went, looked through
 * from the beginning each time.
 */
import type { Newcomer } from '@trunkline/server/internal/hub/presence/presence-types.ts';
import { personOf } from './presence-setup.ts';

interface Session {
  readonly newcomer: Newcomer;
  holds: number;
  /** Absent while something holds it. */
  goneMs: number | undefined;
}

export class NaivePresence {
  readonly #graceMs: number;
  #sessions: Session[] = [];

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  enter(newcomer: Newcomer): void {
    const known = this.#sessions.find((session) => isSame(session.newcomer, newcomer));
    if (known !== undefined) {
      known.holds += 1;
      known.goneMs = undefined;
      return;
    }
    this.#sessions = this.#sessions.filter(
      ({ newcomer: other, holds }) => holds > 0 || personOf(other) !== personOf(newcomer),
    );
    this.#sessions.push({ newcomer, holds: 1, goneMs: undefined });
  }

  leave(newcomer: Newcomer, nowMs: number): void {
    const known = this.#sessions.find((session) => isSame(session.newcomer, newcomer));
    if (known === undefined) throw new Error('the test gave back what it did not take');
    known.holds -= 1;
    if (known.holds === 0) known.goneMs = nowMs;
  }

  /** Lets go of those whose grace time ended `lateMs` ago or earlier. */
  fade(nowMs: number, lateMs = 0): void {
    this.#sessions = this.#sessions.filter(
      ({ goneMs }) => goneMs === undefined || goneMs + this.#graceMs + lateMs > nowMs,
    );
  }

  /** True when every grace time either is not over or has been for a while. */
  isClear(nowMs: number, lateMs: number): boolean {
    return this.#sessions.every(
      ({ goneMs }) =>
        goneMs === undefined ||
        goneMs + this.#graceMs > nowMs ||
        goneMs + this.#graceMs + lateMs <= nowMs,
    );
  }

  get people(): string[] {
    return [...new Set(this.#sessions.map(({ newcomer }) => personOf(newcomer)))].sort();
  }

  get sessions(): string[] {
    return this.#sessions.map(({ newcomer }) => nameOf(newcomer)).sort();
  }
}

export function nameOf({ session, user }: Pick<Newcomer, 'session' | 'user'>): string {
  return `${user ?? ''}/${session}`;
}

function isSame(a: Newcomer, b: Newcomer): boolean {
  return a.session === b.session && a.user === b.user;
}
