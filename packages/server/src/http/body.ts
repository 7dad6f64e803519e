/** Body: the bytes of one request's body, collected up to a limit. */
import type { Readable } from 'node:stream';
import { CodedError } from '@trunkline/wire';

/** What is taken before the first byte came, however much is declared. */
const FIRST_SIZE = 4096;

/** What a body is read from: a request of node:http, or a stream of node:http2. */
export interface BodySource extends Pick<Readable, 'on' | 'pause'> {
  /** True before 'end' where the peer gave up; node:http2 ends such a stream like any other. */
  readonly aborted: boolean;
}

/**
 * Reads a body once. It grows with what came, not with what was declared, and copies: a body in
 * thousands of tiny chunks takes no more memory than one in a single piece.
 */
export class BodyReader {
  readonly #request: BodySource;
  readonly #sizeMax: number;
  readonly #done: (error: Error | undefined, body: Uint8Array) => void;
  #bytes: Buffer = Buffer.alloc(0);
  #size = 0;
  #ended = false;

  /** @param done called once, with the body or with why there is none. */
  constructor(
    request: BodySource,
    sizeMax: number,
    done: (error: Error | undefined, body: Uint8Array) => void,
  ) {
    this.#request = request;
    this.#sizeMax = sizeMax;
    this.#done = done;
    request.on('data', (chunk: Buffer) => this.#add(chunk));
    request.on('end', () => {
      if (request.aborted) this.#cutOff();
      else this.#end(undefined);
    });
    request.on('close', () => this.#cutOff());
  }

  /** Gives up: nothing more is read. */
  fail(error: Error): void {
    this.#end(error);
  }

  /** Every request closes, nearly always after its end: an error would be made for nothing. */
  #cutOff(): void {
    if (!this.#ended) this.fail(new CodedError('bad_request', 'the body was cut off'));
  }

  #add(chunk: Buffer): void {
    if (this.#ended) return;
    const size = this.#size + chunk.length;
    if (size > this.#sizeMax) {
      this.fail(bodyTooLarge(this.#sizeMax));
      return;
    }
    if (size > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(
        Math.min(this.#sizeMax, Math.max(size, this.#bytes.length * 2, FIRST_SIZE)),
      );
      grown.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = grown;
    }
    this.#bytes.set(chunk, this.#size);
    this.#size = size;
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    if (error !== undefined) this.#request.pause();
    this.#done(error, this.#bytes.subarray(0, this.#size));
  }
}

/** What a body over the limit fails with. */
export function bodyTooLarge(sizeMax: number): CodedError {
  return new CodedError('too_large', `the body must have at most ${sizeMax} bytes`);
}
