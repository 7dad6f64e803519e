/** SimulatedSocket: a `WebSocket` of a simulated browser, over a memory link to the server. */
import type { Platform, Socket } from '@trunkline/client';
import type { Close, Frame } from '@trunkline/server/internal/link/link.ts';
import { CODES } from '@trunkline/wire';
import type { MemoryLink, MemoryPeer } from '../memory-link.ts';
import type { Network, Traffic } from './network.ts';

/** RFC 6455 §7.4.1: the connection broke, or never was. */
const BROKEN = 1006;

/** How long a closing socket waits for the other side. */
const CLOSE_MS = 5_000;

/** Opens as soon as it is made. */
export class SimulatedSocket extends EventTarget implements Socket, MemoryPeer, Traffic {
  readonly protocol = '';
  readonly #network: Network;
  #link: MemoryLink | undefined;
  #isOver = false;

  /** The class of a browser that has this network. */
  static over(network: Network): Platform['WebSocket'] {
    return class extends SimulatedSocket {
      constructor() {
        super(network);
      }
    };
  }

  private constructor(network: Network) {
    super();
    this.#network = network;
    network.enter(this);
    network.travel(() => this.#upgrade());
  }

  get link(): MemoryLink | undefined {
    return this.#link;
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.#link?.receive(data);
  }

  close(): void {
    if (this.#isOver) return;
    if (this.#link === undefined) {
      this.#end(BROKEN, '');
      return;
    }
    this.#link.leave();
    // A browser does not wait for ever.
    this.#network.after(CLOSE_MS, () => this.cut());
  }

  cut(): void {
    if (this.#isOver) return;
    this.#link?.drop();
    this.#end(BROKEN, '');
  }

  onFrame(frame: Frame): void {
    if (!this.#isOver) this.dispatchEvent(new MessageEvent('message', { data: frame }));
  }

  onClose(goodbye: Close | undefined): void {
    if (goodbye === undefined) this.#end(BROKEN, '');
    else if (goodbye.code === 'normal') this.#end(1000, '');
    else this.#end(CODES[goodbye.code].close, CODES[goodbye.code].reason);
  }

  #upgrade(): void {
    const network = this.#network;
    if (this.#isOver || network.has('silent') || network.has('swallows upgrades')) return;
    const { server } = network;
    if (server === undefined || network.has('refuses upgrades')) {
      this.#end(BROKEN, '');
      return;
    }
    this.#link = server.openSession(this, network.parts.identity);
    network.noteLink(this);
    this.dispatchEvent(new Event('open'));
  }

  #end(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#network.leave(this);
    // As in a browser, whoever closes hears of it later.
    this.#network.after(0, () => {
      this.dispatchEvent(new CloseEvent('close', { code, reason }));
    });
  }
}
