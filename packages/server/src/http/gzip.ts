/** Gzip: whether a client takes it, and answers made smaller by it (RFC 9110 §8.4.1.3). */
import { promisify } from 'node:util';
import { gzip, gzipSync } from 'node:zlib';
import type { HttpAnswer, RequestHead } from './request.ts';

/** How answers are compressed. */
export interface GzipConfig {
  /** Smaller bodies are sent as they are. */
  readonly payloadBytesMin: number;
  /** 1, fastest, to 9, smallest. */
  readonly level: number;
}

const zip = promisify<string | Uint8Array, { readonly level: number }, Uint8Array>(gzip);

/** One element of `Accept-Encoding` (RFC 9110 §12.5.3). */
const ELEMENT = /^([!#$%&'*+\-.^_`|~0-9a-z]+)(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?$/;

/** Codings a client may list; nobody has a use for more. */
const CODINGS_MAX = 32;

/**
 * True when a client takes gzip and likes it at least as much as no coding at all. A header that
 * can't be read is none.
 */
export function acceptsGzip({ headers }: Pick<RequestHead, 'headers'>): boolean {
  const weights = new Map<string, number>();
  for (const text of (headers['accept-encoding'] ?? '').split(',', CODINGS_MAX)) {
    const element = text.trim().toLowerCase();
    if (element === '') continue;
    const [, coding, weight] = ELEMENT.exec(element) ?? [];
    if (coding === undefined) return false;
    weights.set(coding, Number(weight ?? 1));
  }
  const gzipped = weights.get('gzip') ?? weights.get('x-gzip') ?? weights.get('*') ?? 0;
  return gzipped > 0 && gzipped >= (weights.get('identity') ?? 0);
}

/** The `Vary` field of an answer that depends on `Accept-Encoding` as well. */
export function varyByEncoding(headers: Readonly<Record<string, string>> = {}): string {
  const { vary } = headers;
  return vary === undefined ? 'Accept-Encoding' : `${vary}, Accept-Encoding`;
}

/**
 * Compresses answers on other threads. Whoever asks for the same text while it is being compressed,
 * as many waiting polls of one channel do, is given the same bytes.
 */
export class AnswerGzip {
  readonly #config: GzipConfig;
  /** Bounded by the requests that wait for their answers. */
  readonly #underWay = new Map<string | Uint8Array, Promise<Uint8Array>>();

  constructor(config: GzipConfig) {
    this.#config = config;
  }

  /** The answer to this request, compressed if the client takes that and it is worth it. */
  async answer(request: RequestHead, answer: HttpAnswer): Promise<HttpAnswer> {
    const plain = {
      ...answer,
      headers: { ...answer.headers, vary: varyByEncoding(answer.headers) },
    };
    const { body = '' } = answer;
    if (body.length < this.#config.payloadBytesMin || !isCompressible(answer)) return plain;
    if (!acceptsGzip(request)) return plain;
    return compressed(plain, await this.#compress(body));
  }

  #compress(body: string | Uint8Array): Promise<Uint8Array> {
    // Bytes are the same only if they are the same object.
    let zipping = this.#underWay.get(body);
    if (zipping === undefined) {
      zipping = zip(body, { level: this.#config.level }).finally(() => {
        this.#underWay.delete(body);
      });
      this.#underWay.set(body, zipping);
    }
    return zipping;
  }
}

/** What becomes smaller: text, and our own binary encoding of it. */
const COMPRESSIBLE_TYPE =
  /^(?:text\/|image\/svg\+xml|application\/(?:json|javascript|vnd\.trunkline|[^;]*\+json))/;

function isCompressible({ headers }: HttpAnswer): boolean {
  return COMPRESSIBLE_TYPE.test(headers?.['content-type'] ?? '');
}

/** Compresses files that never change, each once and as small as it goes. */
export class FileGzip {
  readonly #zipped = new WeakMap<Uint8Array, Uint8Array>();

  /** The answer to this request, compressed if the client takes that and it is worth it. */
  answer(request: RequestHead, answer: HttpAnswer): HttpAnswer {
    const { body } = answer;
    if (!(body instanceof Uint8Array) || !isCompressible(answer)) return answer;
    const plain = {
      ...answer,
      headers: { ...answer.headers, vary: varyByEncoding(answer.headers) },
    };
    if (!acceptsGzip(request)) return plain;
    let zipped = this.#zipped.get(body);
    if (zipped === undefined) {
      zipped = gzipSync(body, { level: 9 });
      this.#zipped.set(body, zipped);
    }
    return compressed(plain, zipped);
  }
}

function compressed(answer: HttpAnswer, body: Uint8Array): HttpAnswer {
  if (body.length >= Buffer.byteLength(answer.body ?? '')) return answer;
  return { ...answer, headers: { ...answer.headers, 'content-encoding': 'gzip' }, body };
}
