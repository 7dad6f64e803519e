/** The SSE transport: requests for event streams become one-way links. */
import { CODES } from '@trunkline/wire';
import { bodyFraming, LAST_CHUNK } from '../../http/chunked.ts';
import { problemAnswer } from '../../http/problem.ts';
import type { StreamRequest } from '../../http/request.ts';
import type { Turn } from '../../link/turn.ts';
import type { Log } from '../../observe/log.ts';
import type { Wheel } from '../../wheel.ts';
import type { Admission, Admit } from '../transport.ts';
import type { SseConfig } from './config.ts';
import { goodbyeEvent } from './goodbye.ts';
import { SseLink } from './link.ts';
import type { SseLinkParts } from './link.ts';

/** What the transport is built from. */
export interface SseParts {
  readonly turn: Turn;
  readonly wheel: Wheel;
  readonly log: Log;
  readonly admit: Admit;
  readonly config: SseConfig;
}

/** `no-transform` and `X-Accel-Buffering` keep proxies from holding the stream back. */
const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

export class SseTransport {
  readonly name = 'sse';
  readonly #parts: SseParts;
  readonly #links = new Set<SseLink>();
  readonly #linkParts: SseLinkParts;

  constructor(parts: SseParts) {
    this.#parts = parts;
    const { turn, wheel, config } = parts;
    this.#linkParts = { turn, wheel, config, onGone: (link) => this.#links.delete(link) };
  }

  /** Links open now. */
  get links(): ReadonlySet<SseLink> {
    return this.#links;
  }

  /** Takes a request in; the answer is a stream, or a refusal. */
  onEventStream(request: StreamRequest): void {
    const admission = this.#parts.admit(request);
    if (!(admission instanceof Promise)) {
      this.#answer(request, admission);
      return;
    }
    admission.then(
      (answer) => this.#answer(request, answer),
      (error: unknown) => {
        this.#parts.log.error({ error }, 'admitting an event stream failed');
        request.refuse(problemAnswer('internal', 'internal error'));
      },
    );
  }

  #answer(request: StreamRequest, admission: Admission): void {
    if (admission.kind === 'refused') {
      this.#refuse(request, admission);
      return;
    }
    const stream = request.accept(200, { ...HEADERS, ...admission.headers });
    const link = new SseLink(stream, request, this.#linkParts);
    this.#links.add(link);
    link.open(admission.open(link));
  }

  /**
   * An `EventSource` gives up for good on any answer but 200, so what may pass is answered with
   * 200, a time to come back, and an end.
   */
  #refuse(request: StreamRequest, refused: Extract<Admission, { kind: 'refused' }>): void {
    const { close, message, headers } = refused;
    const code = close.code === 'normal' ? 'internal' : close.code;
    if (!CODES[code].temporary) {
      const answer = problemAnswer(code, message);
      request.refuse({ ...answer, headers: { ...answer.headers, ...headers } });
      return;
    }
    const stream = request.accept(200, { ...HEADERS, ...headers });
    const framing = bodyFraming(request.version);
    const goodbye = Buffer.from(goodbyeEvent(close, this.#parts.config.retryMs));
    stream.write(framing.frame(goodbye, true));
    if (request.version === '1.1') stream.write(LAST_CHUNK);
    stream.end();
  }
}
