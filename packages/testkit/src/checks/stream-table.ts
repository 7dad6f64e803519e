/** StreamTable: which payload each offset of each epoch meant, by everything anyone was told. */
import type { Position } from '@trunkline/wire';
import { formatPosition } from '@trunkline/wire';
import type { Violation } from '../history.ts';

/** Where a payload was seen. */
export interface Place {
  readonly channel: string;
  readonly position: Position;
}

interface Meaning {
  readonly payload: string;
  /** Who said so first, e.g. `the acknowledgement of p4`. */
  readonly witness: string;
}

/** Collects testimony and reports where it does not agree. */
export class StreamTable {
  readonly #meanings = new Map<string, Meaning>();
  readonly #places = new Map<string, Place[]>();

  /** Takes one testimony; answers with a violation when an earlier one says otherwise. */
  testify(place: Place, payload: string, witness: string, step: number): Violation | undefined {
    const name = formatPosition(place.position);
    const id = `${place.channel} ${name}`;
    const known = this.#meanings.get(id);
    if (known === undefined) {
      this.#meanings.set(id, { payload, witness });
      const places = this.#places.get(payload);
      if (places === undefined) this.#places.set(payload, [place]);
      else places.push(place);
      return undefined;
    }
    if (known.payload === payload) return undefined;
    return {
      promise: 'offset',
      step,
      channel: place.channel,
      message: `${name} meant ${known.payload} to ${known.witness} and ${payload} to ${witness}`,
    };
  }

  /** Everywhere that a payload was seen, each place once, in the order of the testimonies. */
  placesOf(payload: string): readonly Place[] {
    return this.#places.get(payload) ?? [];
  }
}
