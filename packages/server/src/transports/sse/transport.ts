/** The SSE transport: requests for event streams become one-way links. */
import { CODES } from '@trunkline/wire';
import { bodyFraming } from '../../http/chunked.ts';
import { acceptsGzip, varyByEncoding } from '../../http/gzip.ts';
import { problemAnswer } from '../../http/problem.ts';
import type { StreamRequest } from '../../http/request.ts';
import type { Close, LinkHandler } from '../../link/link.ts';
import type { Framing } from '../../link/shared-batch.ts';
import type { Turn } from '../../link/turn.ts';
import type { Log } from '../../observe/log.ts';
import type { Wheel } from '../../wheel.ts';
import { LinkSet } from '../link-set.ts';
import type { LinkCounts } from '../link-set.ts';
import type { Admission, Admit } from '../transport.ts';
import type { SseConfig } from './config.ts';
import { GzipFraming, GzipStream } from './gzip.ts';
import type { EventGzipConfig } from './gzip.ts';
import { GzipSseLink, SseLink } from './link.ts';
import type { SseLinkParts } from './link.ts';

/** What the transport is built from. */
export interface SseParts {
  readonly turn: Turn;
  readonly wheel: Wheel;
  readonly log: Log;
  readonly admit: Admit;
  readonly config: SseConfig;
  /** Absent where streams are not compressed. */
  readonly gzip?: EventGzipConfig;
}

/** `no-transform` and `X-Accel-Buffering` keep proxies from holding the stream back. */
const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** Takes requests in and keeps the links they became. */
export class SseTransport {
  readonly name = 'sse';
  readonly #parts: SseParts;
  readonly #links = new LinkSet<SseLink>();
  readonly #linkParts: SseLinkParts;
  /** How shared batches are compressed, by the framing of the body. */
  readonly #gzips = new Map<Framing, GzipFraming>();

  constructor(parts: SseParts) {
    this.#parts = parts;
    const { turn, wheel, config } = parts;
    const onGone = (link: SseLink, close: Close): void => this.#links.remove(link, close);
    this.#linkParts = { turn, wheel, config, onGone };
  }

  /** Links that are open, those that are still closing included. */
  get links(): ReadonlySet<SseLink> {
    return this.#links.links;
  }

  /** What is counted of the links, for the metrics. */
  get counts(): LinkCounts {
    return this.#links.counts;
  }

  /** Takes a request in; the answer is a stream, or a refusal. Never throws. */
  onEventStream(request: StreamRequest): void {
    let admission: Admission | Promise<Admission>;
    try {
      admission = this.#parts.admit(request);
    } catch (error) {
      admission = this.#failed(error);
    }
    if (!(admission instanceof Promise)) {
      this.#answer(request, admission);
      return;
    }
    admission
      .catch((error: unknown) => this.#failed(error))
      .then((decided) => this.#answer(request, decided))
      .catch((error: unknown) => {
        this.#parts.log.error({ error }, 'answering a request for an event stream failed');
      });
  }

  #answer(request: StreamRequest, admission: Admission): void {
    if (admission.kind === 'refused') {
      this.#refuse(request, admission);
      return;
    }
    const link = this.#accept(request, admission);
    let handler: LinkHandler = SILENT;
    try {
      handler = admission.open(link);
    } catch (error) {
      this.#parts.log.error({ error }, 'opening an event stream failed');
      link.close({ code: 'internal' });
    }
    link.open(handler);
  }

  /**
   * An `EventSource` gives up for good on any answer but 200, so what may pass is answered with
   * 200, a time to come back, and an end [SSE-8].
   */
  #refuse(request: StreamRequest, refusal: Refusal): void {
    const { close, message, headers } = refusal;
    const code = close.code === 'normal' ? 'unavailable' : close.code;
    if (CODES[code].temporary) {
      const link = this.#accept(request, refusal);
      link.open(SILENT);
      link.close({ ...close, code });
    } else {
      request.refuse(problemAnswer(code, message, headers === undefined ? {} : { headers }));
    }
  }

  /** A client that left meanwhile is a link as well, which closes at once. */
  #accept(request: StreamRequest, { headers }: Pick<Admission, 'headers'>): SseLink {
    const link = this.#open(request, { ...HEADERS, ...headers });
    this.#links.add(link, request.version);
    return link;
  }

  #open(request: StreamRequest, headers: Readonly<Record<string, string>>): SseLink {
    const { gzip } = this.#parts;
    if (gzip === undefined) {
      return new SseLink(request.accept(200, headers), request, this.#linkParts);
    }
    const varied = { ...headers, vary: varyByEncoding(headers) };
    if (!acceptsGzip(request)) {
      return new SseLink(request.accept(200, varied), request, this.#linkParts);
    }
    const stream = request.accept(200, { ...varied, 'content-encoding': 'gzip' });
    const body = bodyFraming(request.version);
    const own = new GzipStream(this.#gzipFor(body, gzip), body);
    return new GzipSseLink(stream, request, this.#linkParts, own);
  }

  #gzipFor(body: Framing, config: EventGzipConfig): GzipFraming {
    let shared = this.#gzips.get(body);
    if (shared === undefined) {
      shared = new GzipFraming(config, body);
      this.#gzips.set(body, shared);
    }
    return shared;
  }

  #failed(error: unknown): Refusal {
    this.#parts.log.error({ error }, 'admitting an event stream failed');
    const message = 'the server failed; its log says why';
    return { kind: 'refused', close: { code: 'internal' }, message, tellInside: false };
  }
}

type Refusal = Extract<Admission, { kind: 'refused' }>;

/** Hears nothing: for links that are only there to be closed. */
const SILENT: LinkHandler = { onFrame() {}, onDrain() {}, onClose() {} };
