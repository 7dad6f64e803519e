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
  /** The newest offset of each epoch of each channel. */
  readonly #tops = new Map<string, number>();

  /** Takes one testimony; answers with a violation when an earlier one says otherwise. */
  testify(place: Place, payload: string, witness: string, step: number): Violation | undefined {
    const name = formatPosition(place.position);
    const id = `${place.channel} ${name}`;
    const known = this.#meanings.get(id);
    if (known === undefined) {
      this.#meanings.set(id, { payload, witness });
      const life = `${place.channel} ${place.position.epoch}`;
      this.#tops.set(life, Math.max(this.#tops.get(life) ?? 0, place.position.offset));
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

  /** The newest offset of an epoch that anybody was told of. */
  topOf(channel: string, epoch: string): number {
    return this.#tops.get(`${channel} ${epoch}`) ?? 0;
  }

  /** What stands there, if anybody was told. */
  payloadAt({ channel, position }: Place): string | undefined {
    return this.#meanings.get(`${channel} ${formatPosition(position)}`)?.payload;
  }

  /** Everywhere that a payload was seen, each place once, in the order of the testimonies. */
  placesOf(payload: string): readonly Place[] {
    return this.#places.get(payload) ?? [];
  }
}
