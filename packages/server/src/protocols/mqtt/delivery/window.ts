/**
 * Window: what one session was sent and has not acknowledged, in the order sent.
 *
 * Packet identifiers are given one after the other, so that an acknowledgement finds its message by
 * counting from the first: no table is kept, and nothing is allocated for a message. What was
 * acknowledged out of turn keeps its place until all before it are done.
 *
 * - `puback`: sent with QoS 1; PUBACK ends it.
 * - `pubrec`: sent with QoS 2; PUBREC comes next.
 * - `pubcomp`: PUBREC came, so that the message is the client's; PUBCOMP ends it.
 */
import type { Place } from '../messages/place.ts';

/** What of the client is awaited; see above. */
export type Awaited = 'puback' | 'pubrec' | 'pubcomp';

/** A message that was sent. */
export interface Sent {
  readonly packetId: number;
  readonly awaited: Awaited;
  /** Of no use any more once PUBREC came. */
  readonly place: Place;
}

/** What became of an acknowledgement; `wrong` is one that does not belong to the QoS. */
export type AckOutcome = 'done' | 'released' | 'unknown' | 'wrong';

const PACKET_ID_MAX = 0xffff;

/** Places that are held before more are needed. */
const ROOM_MIN = 16;

/** Of identifiers that lie further apart than this, the one may be taken for the other. */
const SPAN_MAX = 0x7fff;

/** What is awaited of a message, by number. */
const STAGES: readonly Awaited[] = ['puback', 'pubrec', 'pubcomp'];
const PUBACK = 0;
const PUBREC = 1;
const PUBCOMP = 2;

/** What a window has that nothing was sent to. Nobody writes to it. */
const NO_PLACES: (Place | undefined)[] = [];

export class Window {
  readonly #countMax: number;
  // Rings of one size, a power of two; made with the first message, and the first of QoS 2.
  /** `undefined` where the message was acknowledged. */
  #places = NO_PLACES;
  /** Absent while all are of QoS 1. */
  #stages: Uint8Array | undefined;
  /** Where in the rings the first one stands, and its packet identifier. */
  #head = 0;
  #headId = 1;
  /** From the first to the last, those in between that are done included. */
  #span = 0;
  #count = 0;

  /** @param countMax messages that may be under way: the client's `Receive Maximum`, or less. */
  constructor(countMax: number) {
    this.#countMax = Math.min(countMax, SPAN_MAX);
  }

  /** How many may be under way. */
  get countMax(): number {
    return this.#countMax;
  }

  /** Messages that are not acknowledged; with those that were restored it may be above the limit. */
  get count(): number {
    return this.#count;
  }

  /** How many more may be sent now. */
  get free(): number {
    return Math.max(0, Math.min(this.#countMax - this.#count, SPAN_MAX - this.#span));
  }

  /** True when at least half of it is free: then it is worth to read on. */
  get isRoomy(): boolean {
    return this.free > 0 && this.free * 2 >= this.#countMax;
  }

  /** Takes a message in. @returns its packet identifier. */
  add(place: Place, qos: 1 | 2): number {
    return this.#push(place, qos === 1 ? PUBACK : PUBREC);
  }

  /** Takes in what was sent over an earlier connection, in that order, into an empty window. */
  restore(sent: readonly Sent[]): void {
    const [first] = sent;
    if (first === undefined) return;
    if (this.#span > 0) throw new Error('a window is restored before anything is sent');
    this.#headId = first.packetId;
    for (const { packetId, awaited, place } of sent) {
      // Of what was acknowledged out of turn nothing is known but that it is gone.
      while (this.#nextId !== packetId) this.#push(undefined, PUBACK);
      this.#push(place, STAGES.indexOf(awaited));
    }
  }

  /** What the client says of a packet. @param failed true for a PUBREC that refuses the message. */
  acknowledge(packetId: number, kind: Awaited, failed = false): AckOutcome {
    const at = this.#find(packetId);
    const place = at < 0 ? undefined : this.#places[at];
    if (place === undefined) return 'unknown';
    const stage = this.#stageAt(at);
    if (kind === 'pubrec' && !failed && stage !== PUBACK) {
      // Said again, it is answered again.
      this.#setStage(at, PUBCOMP);
      return 'released';
    }
    if (STAGES[stage] !== kind) return 'wrong';
    this.#places[at] = undefined;
    this.#count -= 1;
    this.#trim();
    place.onDone?.();
    return 'done';
  }

  /** What is awaited of a packet; `undefined` when nothing is. */
  awaitedOf(packetId: number): Awaited | undefined {
    const at = this.#find(packetId);
    if (at < 0 || this.#places[at] === undefined) return undefined;
    return STAGES[this.#stageAt(at)];
  }

  /** All that are not acknowledged, in the order sent. */
  *sent(): Generator<Sent, void, undefined> {
    for (let index = 0; index < this.#span; index += 1) {
      const at = (this.#head + index) & (this.#places.length - 1);
      const place = this.#places[at];
      const awaited = STAGES[this.#stageAt(at)];
      if (awaited === undefined || place === undefined) continue;
      yield { packetId: this.#idAt(index), awaited, place };
    }
  }

  /** Where in the rings a packet stands; -1 when it does not. */
  #find(packetId: number): number {
    const distance = (packetId - this.#headId + PACKET_ID_MAX) % PACKET_ID_MAX;
    return distance < this.#span ? (this.#head + distance) & (this.#places.length - 1) : -1;
  }

  get #nextId(): number {
    return this.#idAt(this.#span);
  }

  /** Identifiers go from 1 to 65,535 and begin again. */
  #idAt(index: number): number {
    return ((this.#headId - 1 + index) % PACKET_ID_MAX) + 1;
  }

  #stageAt(at: number): number {
    return this.#stages?.[at] ?? PUBACK;
  }

  #setStage(at: number, stage: number): void {
    if (stage !== PUBACK) this.#stages ??= new Uint8Array(this.#places.length);
    if (this.#stages !== undefined) this.#stages[at] = stage;
  }

  #push(place: Place | undefined, stage: number): number {
    if (this.#span === this.#places.length) this.#grow();
    const at = (this.#head + this.#span) & (this.#places.length - 1);
    const packetId = this.#nextId;
    this.#setStage(at, stage);
    if (place !== undefined) {
      this.#places[at] = place;
      this.#count += 1;
    }
    this.#span += 1;
    return packetId;
  }

  /** The first ones that are done make room. */
  #trim(): void {
    const mask = this.#places.length - 1;
    let gone = 0;
    while (gone < this.#span && this.#places[(this.#head + gone) & mask] === undefined) gone += 1;
    this.#headId = this.#idAt(gone);
    this.#head = (this.#head + gone) & mask;
    this.#span -= gone;
  }

  #grow(): void {
    const size = Math.max(ROOM_MIN, this.#places.length * 2);
    const places: (Place | undefined)[] = Array.from({ length: size });
    const stages = this.#stages === undefined ? undefined : new Uint8Array(size);
    for (let index = 0; index < this.#span; index += 1) {
      const at = (this.#head + index) & (this.#places.length - 1);
      places[index] = this.#places[at];
      if (stages !== undefined) stages[index] = this.#stageAt(at);
    }
    this.#places = places;
    this.#stages = stages;
    this.#head = 0;
  }
}
