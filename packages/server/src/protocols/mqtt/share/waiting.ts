/**
 * Waiting: what the hub has given to a group and no member has taken yet. It is one portion, or what
 * one turn of the hub may give beyond that.
 */
import type { SentPlace } from '../delivery/sent-place.ts';
import type { Outcome } from './circle.ts';
import type { Item } from './seat.ts';
import type { Portion } from './share-reader.ts';

/** A portion, and how much of it was given. */
interface Begun {
  readonly portion: Portion;
  runIndex: number;
  messageIndex: number;
}

export class Waiting {
  #portions: readonly Begun[] = [];

  get isEmpty(): boolean {
    return this.#portions.length === 0;
  }

  add(portion: Portion): void {
    this.#portions = [...this.#portions, { portion, runIndex: 0, messageIndex: 0 }];
  }

  /**
   * Gives messages in their order until one is not taken.
   *
   * @param place moves on with what was given.
   * @returns how many were.
   */
  give(place: SentPlace | undefined, giveOne: (item: Item) => Outcome): number {
    let given = 0;
    for (let [begun] = this.#portions; begun !== undefined; [begun] = this.#portions) {
      for (let item = itemOf(begun); item !== undefined; item = itemOf(begun)) {
        if (giveOne(item) === 'full') return given;
        const { channel, epoch } = item.run;
        place?.reachPlace({ channel, epoch, offset: item.message.offset });
        begun.messageIndex += 1;
        given += 1;
      }
      place?.reach(begun.portion.end);
      this.#portions = this.#portions.slice(1);
    }
    return given;
  }
}

/** The next one; runs may be empty. */
function itemOf(begun: Begun): Item | undefined {
  const { runs } = begun.portion;
  for (let run = runs[begun.runIndex]; run !== undefined; run = runs[begun.runIndex]) {
    const message = run.messages[begun.messageIndex];
    if (message !== undefined) return { run, message };
    begun.runIndex += 1;
    begun.messageIndex = 0;
  }
  return undefined;
}
