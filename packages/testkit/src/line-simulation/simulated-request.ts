/**
 * SimulatedRequest: what `fetch` of a simulated browser begins: a request that travels to the
 * server, and its answer, or an event stream, that travels back.
 */
import { CodedError } from '@trunkline/wire';
import { failureAnswer } from '@trunkline/server/internal/api/answers.ts';
import type { HttpAnswer, HttpRequest } from '@trunkline/server/internal/http/request.ts';
import type { Close, Frame } from '@trunkline/server/internal/link/link.ts';
import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import { SSE_DEFAULTS } from '@trunkline/server/internal/transports/sse/config.ts';
import { goodbyeEvent } from '@trunkline/server/internal/transports/sse/goodbye.ts';
import type { MemoryLink, MemoryPeer } from '../memory-link.ts';
import type { HttpService } from './http-service.ts';
import type { Network, Traffic } from './network.ts';

const encoder = new TextEncoder();
const COMMENT = new SharedBatch(encoder.encode(':\n\n'), true);

/** Where a request's answer goes. */
interface Settle {
  readonly resolve: (response: Response) => void;
  readonly reject: (error: unknown) => void;
}

/** `fetch` of a browser that has this network. */
export function simulatedFetch(
  network: Network,
  url: string,
  init: RequestInit = {},
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const signal = init.signal ?? new AbortController().signal;
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const settle = { resolve, reject };
    new SimulatedRequest(network, new URL(url), { ...init, signal }, settle).begin();
  });
}

/** One request, as the server sees it and as the network does. */
export class SimulatedRequest implements HttpRequest, MemoryPeer, Traffic {
  readonly method: string;
  readonly path: string;
  readonly search: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly remoteAddress = '127.0.0.1';
  readonly secure = true;
  readonly version = '1.1';
  readonly #network: Network;
  readonly #body: string;
  readonly #signal: AbortSignal;
  readonly #settle: Settle;
  readonly #abortTasks: (() => void)[] = [];
  #link: MemoryLink | undefined;
  #stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** What a proxy holds back until the answer is complete. */
  #held: Uint8Array[] | undefined;
  #isOver = false;

  constructor(
    network: Network,
    url: URL,
    init: RequestInit & { readonly signal: AbortSignal },
    settle: Settle,
  ) {
    this.method = init.method ?? 'GET';
    this.path = url.pathname;
    this.search = url.search.slice(1);
    this.headers = Object.fromEntries(new Headers(init.headers));
    this.#network = network;
    this.#body = typeof init.body === 'string' ? init.body : '';
    this.#signal = init.signal;
    this.#settle = settle;
  }

  /** Sends it on its way. */
  begin(): void {
    this.#signal.addEventListener('abort', this.#onAbort);
    this.#network.enter(this);
    this.#network.travel(() => this.#arrive());
  }

  get link(): MemoryLink | undefined {
    return this.#link;
  }

  async body(): Promise<Uint8Array> {
    return encoder.encode(this.#body);
  }

  onAbort(task: () => void): void {
    this.#abortTasks.push(task);
  }

  cut(): void {
    this.#fail(new TypeError('fetch failed', { cause: new Error('the connection broke') }));
  }

  onFrame(frame: Frame): void {
    if (!this.#isOver && typeof frame === 'string') this.#pass(encoder.encode(frame));
  }

  onClose(goodbye: Close | undefined): void {
    if (this.#isOver) return;
    if (goodbye === undefined) {
      this.cut();
      return;
    }
    this.#pass(encoder.encode(goodbyeEvent(goodbye, SSE_DEFAULTS.retryMs)));
    for (const piece of this.#held ?? []) this.#stream?.enqueue(piece);
    this.#stream?.close();
    this.#end();
  }

  readonly #onAbort = (): void => this.#fail(this.#signal.reason);

  #arrive(): void {
    const network = this.#network;
    if (this.#isOver || network.has('silent')) return;
    const { server } = network;
    if (server === undefined) {
      if (network.has('answers for the server') && !network.has('offline')) {
        this.#answer({ status: 502, body: '<h1>Bad gateway</h1>' });
      } else this.cut();
      return;
    }
    const service = network.serviceOf(server);
    if (this.path === '/v1/sse') {
      this.#openStream(service);
      return;
    }
    if (network.has('cuts long answers')) network.cutLater(this);
    const { identity } = network.parts;
    // It never rejects.
    void service.answer(this, identity).then((answer) => {
      if (network.has('silent')) return;
      network.travel(() => {
        if (network.parts.random.chance(network.lossChance)) this.cut();
        else this.#answer(answer);
      });
    });
  }

  #openStream(service: HttpService): void {
    const network = this.#network;
    try {
      this.#link = service.openStream(this, network.parts.identity, this);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#answer(failureAnswer(this, error, {}));
      return;
    }
    if (network.has('holds streams')) this.#held = [];
    const headers = { 'content-type': 'text/event-stream; charset=utf-8' };
    const body = new ReadableStream<Uint8Array>({
      start: (stream) => {
        this.#stream = stream;
      },
    });
    this.#settle.resolve(new Response(body, { headers }));
    network.noteLink(this);
    this.#comment();
  }

  /** [SSE-7] The link of a real stream does it. */
  #comment(): void {
    this.#network.after(SSE_DEFAULTS.keepAliveMs, () => {
      const link = this.#link;
      if (this.#isOver || link === undefined || link.isGone) return;
      if (link.pendingBytes === 0) link.sendShared(COMMENT);
      this.#comment();
    });
  }

  #pass(piece: Uint8Array): void {
    if (this.#held === undefined) this.#stream?.enqueue(piece);
    else this.#held.push(piece);
  }

  #answer({ status, headers = {}, body }: HttpAnswer): void {
    if (this.#isOver) return;
    const hasBody = status !== 204 && status !== 304;
    const bytes = typeof body === 'string' ? body : new Uint8Array(body ?? []);
    this.#settle.resolve(new Response(hasBody ? bytes : null, { status, headers }));
    this.#end();
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#end();
    this.#link?.drop();
    this.#stream?.error(error);
    this.#settle.reject(error);
    for (const task of this.#abortTasks) task();
  }

  #end(): void {
    this.#isOver = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#network.leave(this);
  }
}
