/**
 * SharedBatch: the messages of one turn in one encoding, on their way to many links.
 *
 * It remembers its bytes per framing, so a link never frames what its neighbour already framed,
 * and the hub never learns what a framing is.
 */

/** One way of putting a frame on the wire, e.g. as a WebSocket message or an HTTP chunk. */
export interface Framing {
  readonly name: string;
  /** The bytes to write for one frame. Pure. */
  frame(payload: Uint8Array, text: boolean): Uint8Array;
}

export class SharedBatch {
  /** The encoded messages: one frame of the protocol. */
  readonly payload: Uint8Array;
  /** True when the payload is UTF-8 text, for transports that tell text from bytes. */
  readonly text: boolean;
  // Nearly every batch meets one framing; a second and third are kept in the array.
  #framing: Framing | undefined;
  #framed: Uint8Array | undefined;
  #others: { readonly framing: Framing; readonly framed: Uint8Array }[] | undefined;

  constructor(payload: Uint8Array, text: boolean) {
    this.payload = payload;
    this.text = text;
  }

  /** The bytes of this batch under `framing`, made at the first call. */
  framed(framing: Framing): Uint8Array {
    if (this.#framing === framing && this.#framed !== undefined) return this.#framed;
    if (this.#framing === undefined) {
      this.#framing = framing;
      this.#framed = framing.frame(this.payload, this.text);
      return this.#framed;
    }
    const known = this.#others?.find((other) => other.framing === framing);
    if (known !== undefined) return known.framed;
    const framed = framing.frame(this.payload, this.text);
    this.#others ??= [];
    this.#others.push({ framing, framed });
    return framed;
  }
}
