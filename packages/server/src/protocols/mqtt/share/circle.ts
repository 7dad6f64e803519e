/**
 * Circle: the members of a group that are connected, in turn. Whoever has no room is passed over, and
 * so is one whose client does not take a message of that size (5.0 §3.1.2.11.4 leaves it to the server).
 */
import type { Item, Seat } from './seat.ts';

/** What became of a message: `dropped` when no member takes so many bytes. */
export type Outcome = 'given' | 'full' | 'dropped';

/** What is asked of a member that is connected. */
export type CircleSeat = Pick<Seat, 'hasRoom' | 'publicationOf' | 'give' | 'requestRoom'>;

export class Circle<S extends CircleSeat = Seat> {
  #seats: readonly S[] = [];
  /** Whose turn it is. */
  #turn = 0;

  get seats(): readonly S[] {
    return this.#seats;
  }

  get count(): number {
    return this.#seats.length;
  }

  /** True when somebody can be given something. */
  get hasRoom(): boolean {
    return this.#seats.some((seat) => seat.hasRoom);
  }

  add(seat: S): void {
    this.#seats = [...this.#seats, seat];
  }

  /** Whose turn it is does not change for the others. */
  remove(seat: S): void {
    const index = this.#seats.indexOf(seat);
    if (index < 0) return;
    this.#seats = this.#seats.filter((other) => other !== seat);
    if (index < this.#turn) this.#turn -= 1;
    if (this.#turn >= this.#seats.length) this.#turn = 0;
  }

  /** Gives a message to the next one that takes it. */
  give(item: Item, nowMs: number): Outcome {
    const count = this.#seats.length;
    let isAwaited = count === 0;
    for (let step = 0; step < count; step += 1) {
      const index = (this.#turn + step) % count;
      const seat = this.#seats[index];
      if (seat?.hasRoom !== true) {
        isAwaited = true;
        continue;
      }
      const publication = seat.publicationOf(item, nowMs);
      if (publication === undefined) continue;
      this.#turn = (index + 1) % count;
      seat.give(publication);
      return 'given';
    }
    return isAwaited ? 'full' : 'dropped';
  }

  /** Whoever has no room says when there is. */
  requestRoom(): void {
    for (const seat of this.#seats) if (!seat.hasRoom) seat.requestRoom();
  }
}
