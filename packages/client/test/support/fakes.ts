/** Fakes: a platform on which nothing happens by itself, and WebSockets that the test plays. */
import { ManualClock } from '@trunkline/testkit';
import type { Platform, Socket } from '../../src/platform.ts';

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
}

/** A message object of channel `a` in epoch `e`. */
export function wireMessage(offset: number): object {
  return { channel: 'a', offset, epoch: 'e', time: 1, data: { n: offset } };
}

/** What a test sees of its client. */
export interface FakePlatform extends Platform {
  readonly clock: ManualClock;
  readonly sockets: FakeSocket[];
}

/** A platform on which nothing happens by itself, and no request is answered. Jitter is a half. */
export function fakePlatform(): FakePlatform {
  const sockets: FakeSocket[] = [];
  return {
    clock: new ManualClock(),
    random: () => 0.5,
    sockets,
    fetch: () => new Promise(() => {}),
    WebSocket: class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    },
  };
}
