/** Fakes: a server that the test plays, over WebSockets and over HTTP, and a subscription on it. */
import { ManualClock } from '@trunkline/testkit';
import type { SubscriptionEvent } from '../../src/events.ts';
import type { Platform, Socket } from '../../src/platform.ts';
import { subscribe } from '../../src/single/subscription.ts';
import type { SubscribeOptions, Subscription } from '../../src/single/subscription.ts';

/** A WebSocket whose other end is the test. */
export class FakeSocket extends EventTarget implements Socket {
  readonly url: string;
  readonly protocols: readonly string[];
  readonly sent: Record<string, unknown>[] = [];
  closedWith: number | undefined;

  constructor(url: string, protocols: string[]) {
    super();
    this.url = url;
    this.protocols = protocols;
  }

  send(data: string): void {
    this.sent.push(JSON.parse(data) as Record<string, unknown>);
  }

  close(code?: number): void {
    this.closedWith ??= code ?? 1005;
  }

  open(): void {
    this.dispatchEvent(new Event('open'));
  }

  /** The server sends objects, in one frame. */
  receive(...objects: (object | string)[]): void {
    const lines = objects.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
    this.dispatchEvent(new MessageEvent('message', { data: lines.join('\n') }));
  }

  /** The connection ends. */
  end(code: number, reason = ''): void {
    this.dispatchEvent(new CloseEvent('close', { code, reason }));
  }

  /** Opens, welcomes, and answers the subscribe. */
  accept(subscribed: object = { position: 'e:0' }): void {
    this.open();
    this.receive({ type: 'welcome', id: 1, session: 's', ping: 25_000 });
    const { id, channel } = this.sent.at(-1) ?? {};
    this.receive({ type: 'subscribed', id, channel, ...subscribed });
  }

  /** Pushes messages with these offsets, in one frame. */
  push(...offsets: number[]): void {
    this.receive(...offsets.map((offset) => ({ type: 'message', ...wireMessage(offset) })));
  }
}

/** A message object of channel `a` in epoch `e`. */
export function wireMessage(offset: number): object {
  return { channel: 'a', offset, epoch: 'e', time: 1, data: { n: offset } };
}

/** A request that waits for the test to answer it. */
export interface FakeRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal | undefined;
  answer(status: number, body: unknown, headers?: Record<string, string>): void;
  /** Answers with an event stream and gives the function that writes to it. */
  stream(): { write(text: string): void; end(): void };
  fail(message: string): void;
}

/** What a test sees of its client. */
export interface FakePlatform extends Platform {
  readonly clock: ManualClock;
  readonly sockets: FakeSocket[];
  readonly requests: FakeRequest[];
}

/** A platform on which nothing happens by itself. Jitter is always a half. */
export function fakePlatform(): FakePlatform {
  const sockets: FakeSocket[] = [];
  const requests: FakeRequest[] = [];
  return {
    clock: new ManualClock(),
    random: () => 0.5,
    sockets,
    requests,
    fetch: (input, init) =>
      new Promise((resolve, reject) => {
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error));
        requests.push(toRequest(new Request(input).url, init, resolve, reject));
      }),
    WebSocket: class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    },
  };
}

function toRequest(
  url: string,
  init: RequestInit | undefined,
  resolve: (response: Response) => void,
  reject: (error: Error) => void,
): FakeRequest {
  const encoder = new TextEncoder();
  return {
    url: new URL(url),
    method: init?.method ?? 'GET',
    headers: Object.fromEntries(new Headers(init?.headers)),
    body: typeof init?.body === 'string' ? init.body : '',
    signal: init?.signal ?? undefined,
    answer: (status, body, headers = {}) =>
      resolve(
        new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers }),
      ),
    stream() {
      const pipe = new TransformStream<Uint8Array, Uint8Array>(undefined, { highWaterMark: 1e6 });
      const writer = pipe.writable.getWriter();
      const headers = { 'content-type': 'text/event-stream' };
      resolve(new Response(pipe.readable, { headers }));
      return {
        write: (text) => void writer.write(encoder.encode(text)),
        end: () => void writer.close(),
      };
    },
    fail: (message) => reject(new TypeError('fetch failed', { cause: new Error(message) })),
  };
}

/** A subscription, and all that it has told. */
export interface Watched {
  readonly subscription: Subscription;
  readonly platform: FakePlatform;
  readonly events: SubscriptionEvent[];
  /** What the iteration threw; `undefined` while it runs or when it ended well. */
  readonly ended: { error?: unknown; done: boolean };
  /** Events as short words: `connected`, `open e:0`, `1`, `gap e:9`. */
  told(): string[];
}

/** Subscribes to channel `a` and reads everything. */
export function watch(options: Partial<SubscribeOptions> = {}, platform = fakePlatform()): Watched {
  const { clock, random, fetch, WebSocket } = platform;
  const subscription = subscribe({
    url: 'http://server.example',
    channel: 'a',
    clock,
    random,
    fetch,
    WebSocket,
    ...options,
  });
  const events: SubscriptionEvent[] = [];
  const ended: Watched['ended'] = { done: false };
  const read = async () => {
    for await (const event of subscription) events.push(event);
  };
  read().then(
    () => (ended.done = true),
    (error: unknown) => Object.assign(ended, { error, done: true }),
  );
  return { subscription, platform, events, ended, told: () => events.splice(0).map(toWord) };
}

function toWord(event: SubscriptionEvent): string {
  if (event.kind === 'message') return String(event.offset);
  if (event.kind === 'state') return event.state;
  return 'position' in event ? `${event.kind} ${event.position}` : event.kind;
}
