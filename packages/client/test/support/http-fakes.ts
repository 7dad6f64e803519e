/** HTTP fakes: a server that the test plays over HTTP, and a reader that remembers where it stands. */
import { ManualClock } from '@trunkline/testkit';
import { exactJson } from '../../src/encodings/exact.ts';
import type { Ending } from '../../src/ending.ts';
import type { GapEvent, OpenEvent, ReceivedMessage } from '../../src/events.ts';
import type { Platform } from '../../src/platform.ts';
import type { Attempt, AttemptSink, Transport, Wish } from '../../src/transports/transport.ts';

/** A request that waits for the test to answer it. */
export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  /** What it asks, each parameter once; those that are given several times by a comma. */
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
  readonly isAnswered: boolean;
  /** Without a `content-type` it is JSON, of a problem where it failed. */
  answer(status: number, body?: unknown, headers?: Record<string, string>): void;
  /** Answers with an event stream. */
  stream(type?: string): FakeStream;
  answerWith(response: Response): void;
  fail(message: string): void;
}

/** The body of an answer. */
export interface FakeStream {
  write(text: string): void;
  end(): void;
  /** Pieces that were not taken yet. */
  readonly waiting: number;
}

/** A platform on which nothing happens by itself. Jitter is always a half. */
export interface HttpPlatform extends Platform {
  readonly clock: ManualClock;
  readonly requests: HttpRequest[];
}

/** Makes one. */
export function httpPlatform(): HttpPlatform {
  const requests: HttpRequest[] = [];
  return {
    clock: new ManualClock(),
    random: () => 0.5,
    requests,
    fetch: (input, init = {}) =>
      new Promise((resolve, reject) => {
        const signal = init.signal ?? new AbortController().signal;
        const abort = () => reject(signal.reason as Error);
        if (signal.aborted) abort();
        signal.addEventListener('abort', abort);
        requests.push(toRequest(new Request(input).url, { ...init, signal }, resolve, reject));
      }),
    WebSocket: class extends EventTarget {
      send(): void {}
      close(): void {}
    },
  };
}

function toRequest(
  address: string,
  init: RequestInit & { signal: AbortSignal },
  resolve: (response: Response) => void,
  reject: (error: Error) => void,
): HttpRequest {
  const url = new URL(address);
  const query: Record<string, string> = {};
  for (const [name, value] of url.searchParams) {
    query[name] = name in query ? `${query[name]},${value}` : value;
  }
  let isAnswered = false;
  const respond = (body: BodyInit | null, status: number, headers: Record<string, string>) => {
    isAnswered = true;
    resolve(new Response(body, { status, headers }));
  };
  return {
    method: init.method ?? 'GET',
    path: url.pathname,
    query,
    headers: Object.fromEntries(new Headers(init.headers)),
    body: typeof init.body === 'string' ? init.body : '',
    signal: init.signal,
    get isAnswered() {
      return isAnswered || init.signal.aborted;
    },
    answer(status, body, headers = {}) {
      const type = status < 400 ? 'application/json' : 'application/problem+json';
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      const isBare = body === undefined || status === 204 || status === 304;
      respond(isBare ? null : text, status, { 'content-type': type, ...headers });
    },
    stream(type = 'text/event-stream') {
      const [body, stream] = pipe(init.signal);
      respond(body, 200, { 'content-type': type });
      return stream;
    },
    answerWith(response) {
      isAnswered = true;
      resolve(response);
    },
    fail(message) {
      isAnswered = true;
      reject(new TypeError('fetch failed', { cause: new Error(message) }));
    },
  };
}

/** A body that the test writes, and that nothing reads ahead. */
function pipe(signal: AbortSignal): [ReadableStream<Uint8Array>, FakeStream] {
  const encoder = new TextEncoder();
  const pieces: Uint8Array[] = [];
  let wake = () => {};
  let isOver = false;
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) =>
        signal.addEventListener('abort', () => controller.error(signal.reason)),
      async pull(controller) {
        while (pieces.length === 0 && !isOver) {
          await new Promise<void>((resume) => (wake = resume));
        }
        const piece = pieces.shift();
        if (piece === undefined) controller.close();
        else controller.enqueue(piece);
      },
    },
    { highWaterMark: 0 },
  );
  const stream: FakeStream = {
    write(text) {
      pieces.push(encoder.encode(text));
      wake();
    },
    end() {
      isOver = true;
      wake();
    },
    get waiting() {
      return pieces.length;
    },
  };
  return [body, stream];
}

/** A reader: it wants something of filters, and stands where it was told. */
export class HttpReader implements AttemptSink {
  readonly wishes = new Map<string, Wish>();
  readonly openings: OpenEvent[] = [];
  readonly messages: ReceivedMessage[] = [];
  /** Everything that was told, as short words: `ready`, `open a e:0`, `a 1`, `gap a e:9`. */
  readonly words: string[] = [];
  ending: Ending | undefined;
  /** Called with each word, as it is told. */
  onWord: (word: string) => void = () => {};
  #held: (() => void)[] | undefined;

  /** @param wishes of names and patterns; a bare one is from now on. */
  constructor(...wishes: readonly (string | Wish)[]) {
    this.want(...wishes);
  }

  want(...wishes: readonly (string | Wish)[]): void {
    for (const wish of wishes) {
      const whole = typeof wish === 'string' ? { filter: wish } : wish;
      this.wishes.set(whole.filter, whole);
    }
  }

  /** What was told since the last call. */
  told(): string[] {
    return this.words.splice(0);
  }

  /** Has no room until {@link release}. */
  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const resolve of held) resolve();
  }

  keys(): readonly string[] {
    return [...this.wishes.keys()];
  }

  wish(key: string): Wish | undefined {
    return this.wishes.get(key);
  }

  onReady({ session }: { readonly session?: string }): void {
    this.#tell(session === undefined ? 'ready' : `ready ${session}`);
  }

  onOpen(opening: OpenEvent, key: string): void {
    const { position, mark, recovered } = opening;
    this.openings.push(opening);
    const wish = this.wishes.get(key);
    if (recovered !== true || wish?.after === undefined) this.#move(key, position ?? mark);
    this.#tell(['open', key, position ?? mark ?? ''].join(' ').trim());
  }

  onMessage(message: ReceivedMessage, keys: readonly string[]): void {
    const { channel, epoch, offset } = message;
    this.messages.push(message);
    if (keys.includes(channel) && epoch !== undefined) {
      this.#move(channel, `${epoch}:${offset}`);
    }
    this.#tell(`${channel} ${offset ?? JSON.stringify(message.data)}`);
  }

  onGap(gap: GapEvent, keys: readonly string[]): void {
    const { channel, position } = gap;
    this.#move(channel, position);
    const others = keys.length > 0 && !keys.includes(channel) ? ` for ${keys.join()}` : '';
    this.#tell(`gap ${channel} ${position}${others}`);
  }

  onMark(keys: readonly string[], mark: string): void {
    for (const key of keys) if (/[+#]/.test(key)) this.#move(key, mark);
    this.#tell(`mark ${mark}`);
  }

  onExpired(channel: string, position: string): void {
    this.#move(channel, position);
    this.#tell(`expired ${channel} ${position}`);
  }

  onPresence({ kind, channel }: { readonly kind: string; readonly channel: string }): void {
    this.#tell(`${kind} ${channel}`);
  }

  onSnapshot({ channel, position }: { readonly channel: string; readonly position: string }): void {
    this.#tell(`snapshot ${channel} ${position}`);
  }

  onRefused(key: string, error: Error & { readonly code?: string }): void {
    this.wishes.delete(key);
    this.#tell(`refused ${key} ${error.code}`);
  }

  onEnd(ending: Ending): void {
    this.ending = ending;
    this.#tell(`end ${ending.kind}`);
  }

  room(): Promise<void> {
    if (this.#held === undefined) return Promise.resolve();
    return new Promise((resolve) => this.#held?.push(resolve));
  }

  #move(key: string, after: string | undefined): void {
    const wish = this.wishes.get(key);
    if (wish !== undefined && after !== undefined) this.wishes.set(key, { ...wish, after });
  }

  #tell(word: string): void {
    this.words.push(word);
    this.onWord(word);
  }
}

/** An attempt with its server and its reader. */
export interface Attempted {
  readonly attempt: Attempt;
  readonly reader: HttpReader;
  readonly platform: HttpPlatform;
  /** Lets everything settle. @returns the last request that was not answered. */
  asked(): Promise<HttpRequest>;
  /** As `asked`, but all of them. */
  open(): Promise<HttpRequest[]>;
}

/** Opens an attempt to `https://server.example/base`. */
export function attemptOver(
  transport: Transport,
  reader: HttpReader,
  token = 't',
  encoding = exactJson,
): Attempted {
  const platform = httpPlatform();
  const target = { url: 'https://server.example/base', token, encoding };
  const attempt = transport.open(target, reader, platform);
  const open = async () => {
    await platform.clock.settle();
    return platform.requests.filter(({ isAnswered }) => !isAnswered);
  };
  return {
    attempt,
    reader,
    platform,
    open,
    async asked() {
      const request = (await open()).at(-1);
      if (request === undefined) throw new Error('nothing is asked');
      return request;
    },
  };
}

/** A message object of epoch `e`. */
export function wireMessage(channel: string, offset: number): object {
  return { channel, offset, epoch: 'e', time: 1, data: { n: offset } };
}

/** The answer to a poll. */
export function page(
  positions: Readonly<Record<string, string>>,
  messages: readonly (readonly [string, number])[] = [],
  others: object = {},
): object {
  return {
    messages: messages.map(([channel, offset]) => wireMessage(channel, offset)),
    positions,
    recovered: {},
    gaps: {},
    ...others,
  };
}

/** One event of a stream. */
export function event(fields: {
  readonly event?: string;
  readonly id?: string;
  readonly data: unknown;
}): string {
  const { event: type, id, data } = fields;
  const idLine = id === undefined ? '' : `id: ${id}\n`;
  const typeLine = type === undefined ? '' : `event: ${type}\n`;
  return `${idLine}${typeLine}data: ${JSON.stringify(data)}\n\n`;
}
