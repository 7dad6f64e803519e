/** Fakes of the browser's own WebSocket and EventSource, in place for one test. */
import { onTestFinished, vi } from 'vitest';

export class FakeWebSocket {
  static readonly made: FakeWebSocket[] = [];
  readonly url: string;
  readonly protocol: string;
  readonly sent: unknown[] = [];
  closed: number | undefined;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;

  constructor(url: URL, protocol: string) {
    this.url = url.href;
    this.protocol = protocol;
    FakeWebSocket.made.push(this);
  }

  send(frame: string): void {
    this.sent.push(JSON.parse(frame));
  }

  close(code: number): void {
    this.closed = code;
  }

  /** One text frame that holds these objects. */
  receive(...objects: readonly object[]): void {
    this.onmessage?.({ data: objects.map((object) => JSON.stringify(object)).join('\n') });
  }

  /** The peer closes. */
  end(code: number, reason = ''): void {
    this.onclose?.({ code, reason });
  }
}

export class FakeEventSource extends EventTarget {
  static readonly CLOSED = 2;
  static readonly made: FakeEventSource[] = [];
  static onMade: (() => void) | undefined;
  readonly url: string;
  readyState = 0;
  onerror: ((event: Event) => void) | null = null;

  constructor(url: URL) {
    super();
    this.url = url.href;
    FakeEventSource.made.push(this);
    FakeEventSource.onMade?.();
  }

  close(): void {
    this.readyState = FakeEventSource.CLOSED;
  }

  /** One event of the stream. */
  receive(type: string, lastEventId: string, data: unknown): void {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    this.dispatchEvent(new MessageEvent(type, { data: text, lastEventId }));
  }

  /** The connection breaks; with `refused` the browser will not come back by itself. */
  fail(refused: boolean): void {
    this.readyState = refused ? FakeEventSource.CLOSED : 0;
    this.onerror?.(new Event('error'));
  }
}

/** Puts the fakes in place until the test ends; the answers give those made so far. */
export function fakeSources(): {
  readonly sockets: readonly FakeWebSocket[];
  readonly sources: readonly FakeEventSource[];
} {
  vi.stubGlobal('WebSocket', FakeWebSocket);
  vi.stubGlobal('EventSource', FakeEventSource);
  onTestFinished(() => {
    vi.unstubAllGlobals();
    FakeWebSocket.made.length = 0;
    FakeEventSource.made.length = 0;
    FakeEventSource.onMade = undefined;
  });
  return { sockets: FakeWebSocket.made, sources: FakeEventSource.made };
}

/** Resolves when the next EventSource is made. */
export function nextSource(): Promise<void> {
  return new Promise((resolve) => {
    FakeEventSource.onMade = resolve;
  });
}
