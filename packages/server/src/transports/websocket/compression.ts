/** Compression: what a handshake's offers come to, and what the link is then given. */
import type { Framing } from '../../link/shared-batch.ts';
import { DeflateContext, deflateFraming } from './deflate.ts';
import type { DeflateConfig } from './deflate.ts';
import { negotiateDeflate } from './extensions.ts';
import type { DeflateTerms } from './extensions.ts';
import { ContextInflater, PlainInflater } from './inflate.ts';
import type { CountingInflater } from './inflate.ts';

/** How a link compresses. Without context it is the same object for many links. */
export interface LinkCompression {
  /** How shared batches stand on the link; used without `deflater` only. */
  readonly framing: Framing;
  /** Set for a link with context; its own. */
  readonly deflater?: DeflateContext;
  readonly inflater: CountingInflater;
}

/** How the offers of a handshake are answered. */
export type CompressionAnswer =
  | {
      readonly kind: 'agreed';
      readonly compression: LinkCompression;
      /** The value of `Sec-WebSocket-Extensions`. */
      readonly answer: string;
    }
  | { readonly kind: 'declined' }
  | { readonly kind: 'malformed' };

/** RFC 7692 §7.1.2.1: without the parameter a window has 2^15 bytes. */
const WINDOW_BITS_MAX = 15;

/** Compresses the messages of a transport's links as each handshake agrees. */
export class Compression {
  readonly #config: DeflateConfig;
  readonly #inflater = new PlainInflater();
  /** What links without any context share, by the size of the window: seven at most. */
  readonly #shared = new Map<number, LinkCompression>();

  constructor(config: DeflateConfig) {
    this.#config = config;
  }

  /** Answers the value of `Sec-WebSocket-Extensions`. */
  negotiate(header: string | undefined): CompressionAnswer {
    const { context, contextBits } = this.#config;
    const windowBits = context ? contextBits : WINDOW_BITS_MAX;
    const negotiated = negotiateDeflate(header, { context, windowBits });
    if (negotiated.kind !== 'agreed') return negotiated;
    const { terms, answer } = negotiated;
    return { kind: 'agreed', answer, compression: this.#compressionFor(terms) };
  }

  #compressionFor(terms: DeflateTerms): LinkCompression {
    const { serverContext, serverWindowBits, clientContext, clientWindowBits } = terms;
    const shared = this.#sharedFor(serverWindowBits);
    if (!serverContext && !clientContext) return shared;
    return {
      ...shared,
      ...(serverContext ? { deflater: new DeflateContext(this.#config, serverWindowBits) } : {}),
      ...(clientContext ? { inflater: new ContextInflater(clientWindowBits) } : {}),
    };
  }

  #sharedFor(windowBits: number): LinkCompression {
    let shared = this.#shared.get(windowBits);
    if (shared === undefined) {
      const framing = deflateFraming(this.#config, windowBits);
      shared = { framing, inflater: this.#inflater };
      this.#shared.set(windowBits, shared);
    }
    return shared;
  }
}
