/** FakeWebSocket: in place of the browser's own for one test. */
import { onTestFinished, vi } from 'vitest';

export class FakeWebSocket {
  static readonly made: FakeWebSocket[] = [];
  readonly url: string;
  readonly protocol: string;
  extensions = '';
  binaryType = '';
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

  send(frame: string | Uint8Array): void {
    if (typeof frame === 'string') this.sent.push(JSON.parse(frame));
    else this.sent.push(frame);
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

/** Puts the fake in place until the test ends; the answer gives those made so far. */
export function fakeSockets(): readonly FakeWebSocket[] {
  vi.stubGlobal('WebSocket', FakeWebSocket);
  onTestFinished(() => {
    vi.unstubAllGlobals();
    FakeWebSocket.made.length = 0;
  });
  return FakeWebSocket.made;
}
